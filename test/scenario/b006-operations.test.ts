/** The admin port of a real node: operations, health, metrics. */
import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { behave, HttpOrigin } from '../support/http-origin.ts';
import { ADMIN, type NodeProcess, startNode, until } from '../support/node-process.ts';
import { ENGINES, expectProblem, JSON_BODY, json } from '../support/scenario-apps.ts';

const SCHEMA = `
type Item @table @sourcedFrom(origin: "shop", path: "/items/{id}") @export(public: [read]) {
  id: ID @primaryKey
  note: String @indexed
}
type Plain @table @export(public: [read, insert, update, delete]) { id: ID @primaryKey }
`;
const AS_ADMIN = Buffer.from(`${ADMIN.username}:${ADMIN.password}`).toString('base64');

/** Names which scripts and dashboards rely on, of what this node can feed at once. */
const METRICS = [
  ...['http_requests_total', 'http_request_duration_seconds', 'http_response_bytes_total'],
  ...['cache_requests_total', 'cache_entries', 'cache_bytes', 'cache_purges_total'],
  ...['collapsed_requests_total', 'origin_requests_total', 'origin_request_duration_seconds'],
  ...['origin_in_flight', 'origin_breaker_open', 'origin_bytes_total', 'feed_connected'],
  ...['connections', 'subscriptions', 'messages_sent_total', 'messages_received_total'],
  ...['subscriber_resets_total', 'delivery_lag_seconds', 'log_entries', 'log_bytes'],
  ...['slow_subscribers', 'subscriber_stalls_total', 'conflated_changes_total', 'snapshots_total'],
  ...['store_commit_duration_seconds', 'store_bytes', 'write_queue_depth', 'limits_hit_total'],
  ...['auth_failures_total', 'cache_evictions_total', 'memory_cache_bytes'],
  ...['memory_cache_requests_total'],
];

describe.each(ENGINES)('the admin port over %s', (engine) => {
  let node: NodeProcess;
  let origin: HttpOrigin;
  beforeAll(async () => {
    origin = await HttpOrigin.start(() => behave.json({ note: 'from the shop' }));
    node = await startNode({
      files: {
        'schema.graphql': SCHEMA,
        'origins/shop.yaml': `kind: http\nurl: ${origin.url}\nallowPrivate: true\n`,
      },
      env: { MILLRACE_HTTP_ENGINE: engine },
    });
  });
  afterAll(async () => {
    await node.dispose();
    await origin.close();
  });

  const post = (body: string, headers: object = {}) =>
    fetch(`${node.admin}/`, {
      method: 'POST',
      body,
      headers: { authorization: `Basic ${AS_ADMIN}`, ...JSON_BODY, ...headers },
    });
  const operate = (document: object) => post(JSON.stringify(document));

  it('counts what is looked up in the caches of its memory', async () => {
    await node.fetch('/Item/never-asked-before');
    const labels = { cache: 'failures', result: 'miss' };
    expect(await node.metric('millrace_memory_cache_requests_total', labels)).toBeGreaterThan(0);
    expect(await node.metric('millrace_memory_cache_bytes', { cache: 'failures' })).toBe(0);
    const text = await (await fetch(`${node.admin}/metrics`)).text();
    expect(text).toContain('millrace_memory_cache_bytes{cache="snapshots"}');
  });

  it('runs operations for the administrator only', async () => {
    const document = JSON.stringify({ operation: 'describe_all' });
    for (const authorization of ['', `Basic ${Buffer.from('a:b').toString('base64')}`]) {
      const refused = await post(document, { authorization });
      expect(refused.headers.get('www-authenticate')).toMatch(/^Basic/);
      await expectProblem(refused, 401, 'AUTHENTICATION_REQUIRED');
    }
    expect((await post(document)).status).toBe(200);
  });

  it('does not run operations on the app port', async () => {
    const response = await node.fetch('/', {
      method: 'POST',
      body: '{"operation":"describe_all"}',
      headers: { authorization: `Basic ${AS_ADMIN}`, ...JSON_BODY },
    });
    expect(response.status).toBe(404);
    expect((await node.fetch('/metrics')).status).toBe(404);
    expect((await node.fetch('/health')).status).toBe(404);
  });

  it('describes every table, with what it holds', async () => {
    await node.put('/Plain/a', {});
    const described = await node.operate({ operation: 'describe_all' });
    expect(described).toMatchObject({
      data: {
        Item: {
          ...{ name: 'Item', hash_attribute: 'id', sourced_from: { origin: 'shop' } },
          exported: { path: '/Item/', public: ['read'] },
          attributes: expect.arrayContaining([
            expect.objectContaining({ attribute: 'note', type: 'String', indexed: true }),
          ]),
        },
        Plain: { entries: 1, sealed: false },
      },
    });
  });

  it('shows what is held under a key, and that nothing is', async () => {
    await node.fetch('/Item/seen');
    expect(
      await node.operate({ operation: 'cache_inspect', table: 'Item', key: 'seen' }),
    ).toMatchObject({
      ...{ table: 'Item', key: 'seen', stored: true, kind: 'record', status: 200, state: 'fresh' },
      ...{ entityTag: expect.stringMatching(/^"/), bytes: expect.any(Number), groups: [] },
      ...{
        storedAt: expect.stringMatching(/^\d{4}-/),
        freshUntil: expect.stringMatching(/^\d{4}-/),
      },
    });
    const nothing = await node.operate({ operation: 'cache_inspect', table: 'Item', key: 'never' });
    expect(nothing).toMatchObject({ table: 'Item', key: 'never', stored: false, entries: [] });
  });

  it('purges by key: the next read asks the origin again', async () => {
    const target = '/Item/purged';
    await node.fetch(target);
    expect((await node.fetch(target)).headers.get('cache-status')).toMatch(/; hit/);
    const asked = origin.requests.length;
    const purged = await node.operate({ operation: 'purge', table: 'Item', keys: ['purged'] });
    expect(purged).toEqual({ table: 'Item', purged: ['purged'], soft: false });
    const state = await node.operate({ operation: 'cache_inspect', table: 'Item', key: 'purged' });
    expect(['invalidated', undefined]).toContain(state.state);
    expect((await node.fetch(target)).headers.get('cache-status')).not.toMatch(/; hit/);
    expect(origin.requests).toHaveLength(asked + 1);
    const labels = { table: 'Item', kind: 'key' };
    expect(await node.metric('millrace_cache_purges_total', labels)).toBe(1);
  });

  it('purges a whole table', async () => {
    await Promise.all(['t1', 't2'].map((key) => node.fetch(`/Item/${key}`)));
    expect(await node.operate({ operation: 'purge', table: 'Item' })).toMatchObject({
      purged: 'all',
    });
    const again = await Promise.all(['t1', 't2'].map((key) => node.fetch(`/Item/${key}`)));
    for (const { headers } of again) expect(headers.get('cache-status')).not.toMatch(/; hit/);
  });

  it.each([
    ['an operation nobody knows', { operation: 'nope' }, 400, 'OPERATION_UNKNOWN'],
    ['no operation', { table: 'Item' }, 400, 'USAGE'],
    ['an argument it does not take', { operation: 'describe_all', x: 1 }, 400, 'USAGE'],
    ['no table', { operation: 'purge' }, 400, 'USAGE'],
    ['a table that is not there', { operation: 'purge', table: 'Nope' }, 404, 'TABLE_UNKNOWN'],
    ['keys that are no list', { operation: 'purge', table: 'Item', keys: 'a' }, 400, 'USAGE'],
    ['a key that is none', { operation: 'purge', table: 'Item', keys: [{}] }, 400, 'KEY_INVALID'],
    ['two things', { operation: 'purge', table: 'Item', key: 'a', group: 'g' }, 400, 'USAGE'],
    ['a group without a name', { operation: 'purge', group: '' }, 400, 'USAGE'],
    ['all that is not true', { operation: 'purge', table: 'Item', all: 'yes' }, 400, 'USAGE'],
    ['a limit that is none', { operation: 'purge_log', limit: 0 }, 400, 'USAGE'],
    ['a flag that is none', { operation: 'purge', table: 'Item', soft: 1 }, 400, 'USAGE'],
    ['a table that is the only copy', { operation: 'purge', table: 'Plain' }, 400, 'USAGE'],
    ['no key to look at', { operation: 'cache_inspect', table: 'Item' }, 400, 'USAGE'],
  ])('refuses %s', async (_what, document, status, code) => {
    await expectProblem(await operate(document), status, code);
  });

  it('refuses what is no JSON object of JSON', async () => {
    await expectProblem(await post('{'), 400, 'BODY_MALFORMED');
    await expectProblem(await post('[]'), 400, 'BODY_MALFORMED');
    const form = { 'content-type': 'text/plain' };
    await expectProblem(await post('{}', form), 415, 'CONTENT_TYPE_UNSUPPORTED');
    const put = await fetch(`${node.admin}/`, { method: 'PUT', body: '{}' });
    await expectProblem(put, 405, 'METHOD_NOT_ALLOWED');
    await expectProblem(await fetch(`${node.admin}/nothing`), 404, 'NOT_FOUND');
  });

  it('says that it lives and is ready', async () => {
    expect(await json(await fetch(`${node.admin}/health/live`))).toEqual({ status: 'live' });
    const ready = await until('a ready node', async () => {
      const report = (await (await fetch(`${node.admin}/health/ready`)).json()) as object;
      return 'status' in report && report.status === 'ready' ? report : undefined;
    });
    expect(ready).toMatchObject({ status: 'ready' });
  });

  it('names in its metrics what dashboards rely on, in the form Prometheus reads', async () => {
    const response = await fetch(`${node.admin}/metrics`);
    expect(response.headers.get('content-type')).toMatch(/^text\/plain/);
    const text = await response.text();
    const named = [...text.matchAll(/^# TYPE millrace_(\S+)/gm)].map((match) => match[1]);
    expect(METRICS.filter((name) => !named.includes(name))).toEqual([]);
    expect(named).toHaveLength(new Set(named).size);
    expect(text).toContain('process_resident_memory_bytes');
    const promtool = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
    if (promtool.error === undefined) expect(promtool.stdout + promtool.stderr).toBe('');
  });

  it('counts what it answered', async () => {
    const labels = { resource: 'Item', method: 'GET', status: '200' };
    const before = await node.metric('millrace_http_requests_total', labels);
    await node.fetch('/Item/counted');
    await node.fetch('/Item/counted');
    expect(await node.metric('millrace_http_requests_total', labels)).toBe(before + 2);
    const hits = await node.metric('millrace_cache_requests_total', {
      table: 'Item',
      result: 'hit',
    });
    expect(hits).toBeGreaterThanOrEqual(1);
    expect(await node.metric('millrace_cache_entries', { table: 'Plain' })).toBe(1);
  });
});

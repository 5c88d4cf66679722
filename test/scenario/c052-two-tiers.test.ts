/**
 * Two tiers of real processes, an edge node over an upper node over an origin: what changes at the
 * upper node reaches the edge, and what the edge holds is never fresher than it is there.
 */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { read } from '../support/cache-apps.ts';
import { behave, HttpOrigin } from '../support/http-origin.ts';
import { ADMIN, type NodeProcess, startNode, until } from '../support/node-process.ts';

const OPEN = '@export(public: [read, insert, update, delete, subscribe])';
const UPPER = {
  own: `type Flight @table ${OPEN} { id: ID @primaryKey }\n`,
  cache: `type Flight @table @sourcedFrom(origin: "api", path: "/flights/{id}")
    @cache(freshness: { jitter: "0%" }) ${OPEN} { id: ID @primaryKey }\n`,
};
const EDGE = `type Flight @table @sourcedFrom(origin: "upper", write: through)
  @cache(freshness: { jitter: "0%" }, stale: { ifError: "1h" }) ${OPEN} { id: ID @primaryKey }\n`;

interface Change {
  readonly type: string;
  readonly id?: string | null;
  readonly value?: Readonly<Record<string, unknown>>;
}

const ended: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});

async function startUpper(
  schema: string,
  files: Readonly<Record<string, string>> = {},
  over?: { readonly folder: string; readonly port: string },
): Promise<NodeProcess> {
  const upper = await startNode({
    files: { 'schema.graphql': schema, ...files },
    flags: ['--threads', '1', '--http-port', over?.port ?? '0'],
    ...(over === undefined ? {} : { folder: over.folder }),
  });
  ended.push(() => upper.dispose());
  return upper;
}

async function startEdge(upper: NodeProcess, more = ''): Promise<NodeProcess> {
  const origin = `kind: millrace\nurl: ${upper.http}/Flight\nallowPrivate: true\n`;
  const quick = 'timeout: 20s\nbreaker: { failures: 3, cooldown: 200ms }\n';
  const edge = await startNode({
    files: { 'schema.graphql': EDGE, 'origins/upper.yaml': origin + quick + more },
    flags: ['--threads', '1'],
  });
  ended.push(() => edge.dispose());
  return edge;
}

async function follow(node: NodeProcess): Promise<Change[]> {
  const changes: Change[] = [];
  const socket = new WebSocket(`${node.ws}/Flight/`);
  ended.push(() => socket.terminate());
  socket.on('message', (text) => changes.push(JSON.parse(String(text)) as Change));
  await until('the snapshot', () => changes.some(({ type }) => type === 'snapshot'));
  return changes;
}

const isFed = (edge: NodeProcess, value: 0 | 1) =>
  until(`feed_connected ${value}`, async () => {
    return (await edge.metric('millrace_feed_connected', { origin: 'upper' })) === value;
  });

const told = (changes: Change[], id: string, state: string) =>
  until(`${id} to be told as ${state}`, () =>
    changes.some((one) => one.type === 'put' && one.id === id && one.value?.state === state),
  );

const put = async (node: NodeProcess, id: string, state: string): Promise<void> => {
  expect((await node.put(`/Flight/${id}`, { id, state })).status).toBeLessThan(300);
};

describe('two tiers', () => {
  it('a change at the upper node reaches the subscribers and readers of the edge', async () => {
    const upper = await startUpper(UPPER.own);
    await put(upper, 'A1', 'before');
    const edge = await startEdge(upper);
    await isFed(edge, 1);
    const changes = await follow(edge);
    await put(upper, 'A1', 'boarding');
    await told(changes, 'A1', 'boarding');
    const answer = await read(edge, '/Flight/A1');
    expect(JSON.parse(answer.text)).toEqual({ id: 'A1', state: 'boarding' });
    expect(answer.headers.get('etag')).toBe((await read(upper, '/Flight/A1')).headers.get('etag'));
    await upper.fetch('/Flight/A1', { method: 'DELETE' });
    await until('the deletion', () => changes.some((c) => c.type === 'delete' && c.id === 'A1'));
    expect((await read(edge, '/Flight/A1')).status).toBe(404);
  });

  it('the edge takes over the freshness that is left at the upper node', async () => {
    const fields = { 'cache-control': 'max-age=100' };
    const origin = await HttpOrigin.start(() => behave.json({ id: 'A1' }, fields));
    ended.push(() => origin.close());
    const upper = await startUpper(UPPER.cache, {
      'origins/api.yaml': `kind: http\nurl: ${origin.url}\nallowPrivate: true\n`,
    });
    const edge = await startEdge(upper);
    await isFed(edge, 1);
    expect((await read(upper, '/Flight/A1')).status).toBe(200);
    await until('an age at the upper node', async () => (await read(upper, '/Flight/A1')).age >= 1);
    const first = await read(edge, '/Flight/A1');
    expect(first.age).toBeGreaterThanOrEqual(1);
    const ttl = await until('a hit', async () => {
      const { cache } = await read(edge, '/Flight/A1');
      return Number(/^millrace; hit; ttl=(\d+)/.exec(cache)?.[1] ?? Number.NaN) || undefined;
    });
    expect(ttl).toBeLessThan(100);
    expect(ttl).toBeGreaterThan(60);
    // One request of the origin for both tiers.
    expect(origin.requests.length).toBe(1);
  });

  it('a purge at the upper node crosses: the old record is not served as fresh again', async () => {
    let state = 'old';
    const fields = { 'cache-control': 'max-age=3600' };
    const origin = await HttpOrigin.start(() => behave.json({ id: 'A1', state }, fields));
    ended.push(() => origin.close());
    const upper = await startUpper(UPPER.cache, {
      'origins/api.yaml': `kind: http\nurl: ${origin.url}\nallowPrivate: true\n`,
    });
    const edge = await startEdge(upper);
    await isFed(edge, 1);
    // The change that its own question made at the upper node may come before the answer.
    await until('a hit', async () => {
      return (await read(edge, '/Flight/A1')).cache.startsWith('millrace; hit');
    });
    for (const keys of [{ keys: ['A1'] }, {}]) {
      const changes = await follow(edge);
      state += '!';
      await upper.operate({ operation: 'purge', table: 'Flight', ...keys });
      await until('the purge', () => changes.some(({ type }) => type === 'invalidate'));
      expect(JSON.parse((await read(edge, '/Flight/A1')).text)).toEqual({ id: 'A1', state });
    }
  });

  it.each([
    ['goes on where it was', false],
    ['has lost its log, and says so', true],
  ])('serves stale without the upper node, which then %s: no change is lost', async (_, isNew) => {
    const upper = await startUpper(UPPER.own);
    await put(upper, 'A1', 'first');
    await put(upper, 'A2', 'first');
    const edge = await startEdge(upper);
    await isFed(edge, 1);
    expect((await read(edge, '/Flight/A1')).status).toBe(200);
    expect((await read(edge, '/Flight/A2')).status).toBe(200);
    const changes = await follow(edge);
    await upper.stop('SIGKILL');
    await isFed(edge, 0);
    const port = new URL(upper.http).port;
    const stale = await read(edge, '/Flight/A2');
    expect([stale.status, JSON.parse(stale.text)]).toEqual([200, { id: 'A2', state: 'first' }]);
    // On another port first, so that the edge is not there when the change is made.
    const folder = isNew ? mkdtempSync(path.join(tmpdir(), 'millrace-test-')) : upper.folder;
    const away = await startUpper(UPPER.own, {}, { folder, port: '0' });
    await put(away, 'A1', 'missed');
    await away.stop();
    await startUpper(UPPER.own, {}, { folder, port });
    await isFed(edge, 1);
    await told(changes, 'A1', 'missed');
    expect((await read(edge, '/Flight/A1')).text).toContain('missed');
    expect((await read(edge, '/Flight/A2')).status).toBe(isNew ? 404 : 200);
  });

  it('writes through to the upper node, with its credentials', async () => {
    const closed = UPPER.own.replace(OPEN, '@export(public: [read])');
    const upper = await startUpper(closed);
    const basic = Buffer.from(`${ADMIN.username}:${ADMIN.password}`).toString('base64');
    const edge = await startEdge(upper, `headers: { authorization: "Basic ${basic}" }\n`);
    await isFed(edge, 1);
    await put(edge, 'W1', 'new');
    expect(JSON.parse((await read(upper, '/Flight/W1')).text)).toEqual({ id: 'W1', state: 'new' });
    const patch = await edge.fetch('/Flight/W1', {
      method: 'PATCH',
      body: '{"gate":"B2"}',
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    expect(patch.status).toBeLessThan(300);
    expect((await read(upper, '/Flight/W1')).text).toContain('B2');
    expect((await edge.fetch('/Flight/W1', { method: 'DELETE' })).status).toBeLessThan(300);
    expect((await read(upper, '/Flight/W1')).status).toBe(404);
    // Nobody has told the upper node who they are.
    expect((await upper.put('/Flight/W1', { id: 'W1' })).status).toBe(401);
  });

  it('asks nothing of an upper node whose table is fresh by its changes alone', async () => {
    const upper = await startUpper(UPPER.own);
    const edge = await startEdge(upper, 'freshness: live\n');
    await isFed(edge, 1);
    const changes = await follow(edge);
    await put(upper, 'L1', 'told');
    await told(changes, 'L1', 'told');
    const answer = await read(edge, '/Flight/L1');
    expect(answer.cache).toMatch(/^millrace; hit/);
    expect(answer.text).toContain('told');
  });
});

/**
 * `PURGE` of a page's URL: what is read after its answer was rendered after it, whichever thread
 * reads, and nobody purges who may not.
 */
import { request as httpRequest } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { behave, HttpOrigin } from '../support/http-origin.ts';
import { ADMIN, type NodeProcess, startNode, until } from '../support/node-process.ts';
import { expectProblem } from '../support/scenario-apps.ts';

const CREDENTIALS = Buffer.from(`${ADMIN.username}:${ADMIN.password}`).toString('base64');
const AS_ADMIN = { authorization: `Basic ${CREDENTIALS}` };
const OVERRIDE = { 'x-method-override': 'PURGE' };

const POLICY = `
freshness: { default: 1h, jitter: 0% }
stale: { whileRevalidate: 1h, ifError: 1h }
key: { query: { ignore: [utm_*], sort: true }, headers: [x-shop], cookies: [] }
client: { cacheControl: "" }
rules: [{ match: "/plain/*", key: { headers: [] } }]
`;

const NODES = [
  { engine: 'uws', threads: '1', method: 'POST' },
  { engine: 'uws', threads: '2', method: 'POST' },
  { engine: 'node', threads: '1', method: 'POST' },
  { engine: 'node', threads: '1', method: 'PURGE' },
] as const;

describe.each(NODES)('$method purges on $threads threads of $engine', (setting) => {
  const { engine, threads, method } = setting;
  let origin: HttpOrigin;
  let node: NodeProcess;
  let rendered = 0;
  let serial = 0;
  const path = (): string => `/page/${serial}`;

  beforeAll(async () => {
    origin = await HttpOrigin.start(() => {
      rendered += 1;
      return behave.json({ rendered }, { vary: 'accept-language', 'cache-control': 'max-age=60' });
    });
    node = await startNode({
      files: {
        'schema.graphql': 'type Page @pages(origin: "web", policy: "site", path: "/p*")\n',
        'origins/web.yaml': `kind: http\nurl: ${origin.url}\nallowPrivate: true\nretries: 0\n`,
        'cache-policies/site.yaml': POLICY,
        'roles.yaml': 'anonymous: { tables: { Page: { purge: true, keys: ["+/pub/#"] } } }\n',
      },
      flags: ['--threads', threads],
      env: { MILLRACE_HTTP_ENGINE: engine },
    });
  });
  afterAll(async () => {
    await node.dispose();
    await origin.close();
  });
  beforeEach(() => {
    serial += 1;
  });

  const purge = (target: string, headers: object = AS_ADMIN): Promise<Response> =>
    node.fetch(target, {
      method,
      headers: { ...(method === 'POST' ? OVERRIDE : {}), ...headers },
    });

  /** On a connection of its own, so that any thread may take it. */
  const read = (target: string, headers: Record<string, string> = {}) =>
    new Promise<{ readonly rendered: number; readonly isHit: boolean }>((resolve, reject) => {
      const asked = httpRequest(`${node.http}${target}`, { agent: false, headers }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => {
          const isHit = String(response.headers['cache-status']).includes('; hit');
          resolve({ rendered: Number((JSON.parse(text) as { rendered: number }).rendered), isHit });
        });
      });
      asked.on('error', reject).end();
    });
  const stored = (target: string, headers: Record<string, string> = {}) =>
    until('a stored page', async () => (await read(target, headers)).isHit);

  it.each(['', '/plain'])('let the very next read fetch anew, every time (%o)', async (under) => {
    const target = under + path();
    for (let round = 0; round < 20; round += 1) {
      await stored(target);
      const before = rendered;
      const answer = await purge(target);
      const purged = [`${new URL(node.http).host}${target}`];
      expect([answer.status, await answer.json()]).toEqual([
        200,
        { table: 'Page', purged, soft: false },
      ]);
      expect(await read(target)).toEqual({ rendered: before + 1, isHit: false });
    }
  });

  it('reach all variants of the URL, and no other page', async () => {
    const shops = [{}, { 'x-shop': 'de' }, { 'x-shop': 'fr', 'accept-language': 'fr' }];
    const all = [...shops, { 'accept-language': 'de' }];
    for (const headers of all) await stored(`${path()}?a=1&b=2`, headers);
    await stored(`${path()}?a=1`);
    await purge(`${path()}?b=2&utm_source=x&a=1`);
    for (const headers of all) {
      expect((await read(`${path()}?a=1&b=2`, headers)).isHit).toBe(false);
    }
    expect((await read(`${path()}?a=1`)).isHit).toBe(true);
  });

  it('make the page stale when they are soft', async () => {
    const target = `/plain${path()}`;
    await stored(target);
    const before = rendered;
    const answer = await purge(target, { ...AS_ADMIN, 'x-purge-soft': '1' });
    expect(await answer.json()).toMatchObject({ soft: true });
    expect((await read(target)).rendered).toBeLessThanOrEqual(before);
    await until('the refresh', async () => (await read(target)).rendered > before);
    const wrong = await purge(target, { ...AS_ADMIN, 'x-purge-soft': 'yes' });
    await expectProblem(wrong, 400, 'USAGE');
  });

  it('are for whom a role grants them, for the pages it names, and are counted', async () => {
    const labels = { resource: 'Page', method: 'PURGE', status: '200' };
    const before = await node.metric('millrace_http_requests_total', labels);
    const target = `/pub${path()}`;
    await stored(target);
    expect((await purge(target, {})).status).toBe(200);
    expect((await read(target)).isHit).toBe(false);
    expect(await node.metric('millrace_http_requests_total', labels)).toBe(before + 1);
  });

  it('are refused to who may not, and never reach the renderer', async () => {
    await stored(path());
    const before = origin.requests.length;
    await expectProblem(await purge(path(), {}), 401, 'AUTHENTICATION_REQUIRED');
    const wrong = { authorization: 'Basic eDp5' };
    await expectProblem(await purge(path(), wrong), 401, 'AUTHENTICATION_REQUIRED');
    await expectProblem(await purge('/elsewhere'), 404, 'TABLE_UNKNOWN');
    expect((await read(path())).isHit).toBe(true);
    expect(origin.requests.length).toBe(before);
  });
});

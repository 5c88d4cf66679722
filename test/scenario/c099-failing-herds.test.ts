/**
 * A herd at a key whose origin fails, however it fails: two fetches at most in the time for which a
 * failure is remembered, over both engines, on one thread and on two, cold or with a stale page.
 */
import { createServer, request as httpRequest, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';
import { freePort } from '../support/ports.ts';

const CLIENTS = 500;
const NODES = [
  { engine: 'uws', threads: '1' },
  { engine: 'node', threads: '2' },
] as const;
const SCHEMA = `
type Page @pages(origin: "web", policy: "site", path: "/web/*")
type Gone @pages(origin: "gone", policy: "site", path: "/gone/*")
type Kept @pages(origin: "web", policy: "kept", path: "/kept/*")
type Forgotten @pages(origin: "web", policy: "forgotten", path: "/forgotten/*")
`;
const POLICY = 'freshness: { default: 1s, jitter: 0% }\n';
const FILES = {
  'schema.graphql': SCHEMA,
  'cache-policies/site.yaml': `${POLICY}negative: { 5xx: 10m }\n`,
  'cache-policies/kept.yaml': `${POLICY}stale: { ifError: 1d }\nnegative: { 5xx: 10m }\n`,
  'cache-policies/forgotten.yaml': `${POLICY}negative: { 5xx: 0s }\n`,
};

type Fail = (response: ServerResponse) => void;
const WAYS: readonly (readonly [string, Fail])[] = [
  ['answers 500', (response) => void response.writeHead(500).end('no')],
  ['resets', (response) => void response.destroy()],
  ['hangs', () => undefined],
];

describe.each(NODES)('herds at failing keys on $threads threads of $engine', (setting) => {
  const { engine, threads } = setting;
  let fail: Fail | undefined;
  let asked = 0;
  const origin = createServer((_, response) => {
    asked += 1;
    if (fail !== undefined) fail(response);
    else response.writeHead(200, { 'cache-control': 'max-age=0', etag: '"1"' }).end('page');
  });
  let node: NodeProcess;
  let serial = 0;

  beforeAll(async () => {
    await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', () => resolve()));
    const { port } = origin.address() as AddressInfo;
    const settings = 'allowPrivate: true\nretries: 0\ntimeout: 2s\nbreaker: { failures: 100000 }\n';
    const at = (place: number) => `kind: http\nurl: http://127.0.0.1:${place}\n${settings}`;
    node = await startNode({
      files: { ...FILES, 'origins/web.yaml': at(port), 'origins/gone.yaml': at(await freePort()) },
      flags: ['--threads', threads],
      env: { MILLRACE_HTTP_ENGINE: engine },
    });
  });
  afterAll(async () => {
    await node?.dispose();
    origin.closeAllConnections();
    origin.close();
  });

  /** On a connection of its own, so that any thread may take it. */
  const get = (target: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const sent = httpRequest(`${node.http}${target}`, { agent: false }, (response) => {
        response.resume().on('end', () => resolve(response.statusCode ?? 0));
      });
      sent.once('error', reject).end();
    });
  const herd = async (target: string): Promise<ReadonlyMap<number, number>> => {
    const found = new Map<number, number>();
    const all = await Promise.all(Array.from({ length: CLIENTS }, () => get(target)));
    for (const status of all) found.set(status, (found.get(status) ?? 0) + 1);
    return found;
  };

  it.each(WAYS)('asks twice at most for a cold page while the origin %s', async (_, way) => {
    serial += 1;
    asked = 0;
    fail = way;
    const statuses = await herd(`/web/${serial}`);
    expect([...statuses.keys()].every((status) => status >= 500)).toBe(true);
    expect(asked).toBeLessThanOrEqual(2);
  });

  it('asks twice at most for a cold page while the origin is not there', async () => {
    const before = await attempts();
    const statuses = await herd('/gone/1');
    expect([...statuses.keys()].every((status) => status >= 500)).toBe(true);
    expect((await attempts()) - before).toBeLessThanOrEqual(2);
  });

  it.each(WAYS.filter(([name]) => name !== 'resets'))(
    'serves what is stale to all of it while the origin %s',
    async (_, way) => {
      serial += 1;
      const target = `/kept/${serial}`;
      fail = undefined;
      await until('a stored page', async () => {
        await get(target);
        const response = await node.fetch(target);
        await response.text();
        return /fwd=stale/.test(response.headers.get('cache-status') ?? '');
      });
      asked = 0;
      fail = way;
      const statuses = await herd(target);
      expect(statuses).toEqual(new Map([[200, CLIENTS]]));
      expect(asked).toBeLessThanOrEqual(2);
    },
  );

  it('asks one by one where failures are not remembered', async () => {
    serial += 1;
    let waiting = 0;
    let most = 0;
    fail = (response) => {
      waiting += 1;
      most = Math.max(most, waiting);
      // Long enough for another to come meanwhile.
      setTimeout(() => {
        waiting -= 1;
        response.writeHead(500).end('no');
      }, 50);
    };
    await herd(`/forgotten/${serial}`);
    expect(most).toBe(1);
  });

  async function attempts(): Promise<number> {
    const text = await (await fetch(`${node.admin}/metrics`)).text();
    const lines = text.matchAll(
      /^millrace_origin_requests_total\{[^}]*origin="gone"[^}]*\} (\d+)/gm,
    );
    return [...lines].reduce((sum, [, count]) => sum + Number(count), 0);
  }
});

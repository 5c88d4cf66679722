/** Policies as files, inline and in code, each by what it makes a real node do. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { pass, read, startCache } from '../support/cache-apps.ts';
import { behave, HttpOrigin } from '../support/http-origin.ts';
import { type NodeProcess, until } from '../support/node-process.ts';

const HOOKS = `
import { definePolicy } from 'millrace';
export default definePolicy({
  freshness: { jitter: 0 },
  hooks: {
    freshnessLifetime: (reply) => (reply.entityTag === '"brief"' ? 7_000 : undefined),
    storable: (reply) => reply.contentType !== 'application/x-secret+json',
    groupsOf: () => ['everything'],
    staleAllowance: () => ({ whileRevalidate: 60_000, ifError: 60_000 }),
  },
});
`;

const FILE = `
freshness: { default: 30s, origin: cap, max: 50s, jitter: 0% }
negative: { 404: 20s }
client: { cacheControl: "public, max-age=5", cdnCacheControl: "max-age=9" }
`;

describe('policies', () => {
  let origin: HttpOrigin;
  let node: NodeProcess;
  beforeAll(async () => {
    origin = await HttpOrigin.start();
    node = await startCache({
      tables: [
        { name: 'None' },
        { name: 'Filed', cache: 'policy: "filed"' },
        { name: 'Inline', cache: 'policy: "filed", freshness: "90s"' },
        { name: 'Coded', cache: 'policy: "hooks"' },
        { name: 'Never', cache: 'policy: "never"' },
        { name: 'Deaf', cache: 'freshness: { default: "40s", origin: "ignore", jitter: "0%" }' },
        { name: 'Jitter', cache: 'freshness: { default: "1000s", jitter: "20%" }' },
        { name: 'Immutable', cache: 'policy: "immutable"' },
      ],
      url: origin.url,
      files: { 'cache-policies/filed.yaml': FILE, 'cache-policies/hooks.ts': HOOKS },
    });
  });
  afterAll(async () => {
    await node.dispose();
    await origin.close();
  });
  beforeEach(() => {
    origin.requests.length = 0;
  });

  const ttlOf = async (target: string, fields: Record<string, string> = {}): Promise<number> => {
    origin.script = () => behave.json({ id: target.split('/').pop() }, fields);
    return Number(/ttl=(-?\d+)/.exec((await read(node, target)).cache)?.[1] ?? Number.NaN);
  };

  it('a table without a policy is fresh for a minute, less at most a tenth', async () => {
    const ttl = await ttlOf('/None/a');
    expect(ttl).toBeGreaterThanOrEqual(53);
    expect(ttl).toBeLessThanOrEqual(60);
  });

  it('a YAML file gives the lifetime, caps the origin and tells downstream', async () => {
    expect([29, 30]).toContain(await ttlOf('/Filed/a'));
    expect([49, 50]).toContain(await ttlOf('/Filed/b', { 'cache-control': 'max-age=9999' }));
    expect([9, 10]).toContain(await ttlOf('/Filed/c', { 'cache-control': 'max-age=10' }));
    const answer = await read(node, '/Filed/a');
    expect(answer.headers.get('cache-control')).toBe('public, max-age=5');
    expect(answer.headers.get('cdn-cache-control')).toBe('max-age=9');
    origin.script = () => behave.status(404);
    expect((await read(node, '/Filed/none')).cache).toMatch(/ttl=(19|20)/);
  });

  it('inline words override the file and keep the rest', async () => {
    origin.script = () => behave.json({ id: 'a' });
    const answer = await read(node, '/Inline/a');
    // `max` of the file still caps what the origin or the default says.
    expect(answer.headers.get('cache-control')).toBe('public, max-age=5');
    expect(Number(/ttl=(\d+)/.exec(answer.cache)?.[1])).toBeGreaterThan(30);
  });

  it('hooks in code decide lifetime, storing, groups and stale windows', async () => {
    expect([6, 7]).toContain(await ttlOf('/Coded/a', { etag: '"brief"' }));
    expect(await ttlOf('/Coded/b')).toBeGreaterThan(50);
    const secret = { 'content-type': 'application/x-secret+json' };
    await ttlOf('/Coded/secret', secret);
    await ttlOf('/Coded/secret', secret);
    const asked = origin.requests.filter(({ path }) => path === '/Coded/secret');
    expect(asked).toHaveLength(2);
    await ttlOf('/Coded/stale', { 'cache-control': 'max-age=0' });
    await pass(5);
    expect((await read(node, '/Coded/stale')).cache).toMatch(/hit|stale/);
  });

  it('`never` goes to the origin every time and tells downstream to keep nothing', async () => {
    await ttlOf('/Never/a');
    const answer = await read(node, '/Never/a');
    expect(answer.cache).toMatch(/^millrace; fwd=bypass; fwd-status=200/);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    const asked = origin.requests.filter(({ path }) => path === '/Never/a');
    expect(asked).toHaveLength(2);
    const inspected = await node.operate({ operation: 'cache_inspect', table: 'Never', key: 'a' });
    expect(JSON.stringify(inspected)).not.toContain('freshUntil');
  });

  it('`origin: ignore` does not hear no-store, but hears private', async () => {
    expect([39, 40]).toContain(await ttlOf('/Deaf/a', { 'cache-control': 'no-store' }));
    expect((await read(node, '/Deaf/a')).cache).toMatch(/hit/);
    await ttlOf('/Deaf/b', { 'cache-control': 'private, max-age=100' });
    expect((await read(node, '/Deaf/b')).cache).toMatch(/fwd=miss/);
  });

  it('jitter spreads lifetimes within its bounds', async () => {
    const lifetimes: number[] = [];
    for (let i = 0; i < 60; i += 1) lifetimes.push(await ttlOf(`/Jitter/${i}`));
    expect(Math.min(...lifetimes)).toBeGreaterThanOrEqual(798);
    expect(Math.max(...lifetimes)).toBeLessThanOrEqual(1_000);
    expect(new Set(lifetimes).size).toBeGreaterThan(20);
  });

  it('`immutable` keeps for a year', async () => {
    expect(await ttlOf('/Immutable/a', { 'cache-control': 'max-age=1' })).toBeGreaterThan(3e7);
  });
});

describe('an origin in code', () => {
  const CODE = `
import { threadId } from 'node:worker_threads';
import { defineOrigin, notModified, tables } from 'millrace';
// No two threads count alike.
let asked = threadId * 1_000_000;
export default defineOrigin({
  async get(id, context) {
    asked += 1;
    if (id === 'none') return undefined;
    if (id === 'sweep') { await tables.Score.invalidate('kept'); return { id }; }
    if (id === 'sweep-all') { await tables.Score.invalidate(); return { id }; }
    if (id === 'secret') context.noStore = true;
    if (id === 'broken') throw new Error('code broke');
    if (id === 'brief') context.freshUntil = Date.now() + 5_000;
    if (id === 'same' && context.replacing !== undefined) return notModified();
    context.entityTag = 'v-' + id;
    return { id, asked };
  },
});
`;
  let node: NodeProcess;
  let threads: NodeProcess;
  const start = (count: number): Promise<NodeProcess> =>
    startCache({
      tables: [{ name: 'Score', origin: 'scores', attributes: 'asked: Int' }],
      url: 'http://127.0.0.1:1',
      threads: count,
      files: { 'origins/scores.ts': CODE },
    });
  beforeAll(async () => {
    [node, threads] = await Promise.all([start(1), start(2)]);
  });
  afterAll(async () => {
    await Promise.all([node.dispose(), threads.dispose()]);
  });

  it('answers with its records, its absence and its failure', async () => {
    expect((await read(node, '/Score/a')).text).toMatch(/^\{"id":"a","asked":\d+\}$/);
    expect((await read(node, '/Score/a')).cache).toMatch(/hit/);
    expect((await read(node, '/Score/none')).status).toBe(404);
    expect((await read(node, '/Score/broken')).status).toBe(502);
    expect((await read(node, '/Score/brief')).cache).toMatch(/ttl=[45]/);
    await read(node, '/Score/secret');
    expect((await read(node, '/Score/secret')).cache).not.toMatch(/hit/);
  });

  it('confirms what it gave before', async () => {
    const before = await read(node, '/Score/same');
    const confirmed = await read(node, '/Score/same', 'no-cache');
    expect(confirmed.cache).toMatch(/fwd-status=304/);
    expect(confirmed.text).toBe(before.text);
  });

  it.each(['sweep', 'sweep-all'])('invalidates another record from code: %s', async (way) => {
    for (const each of [node, threads]) {
      const before = await read(each, '/Score/kept');
      expect((await read(each, '/Score/kept')).text).toBe(before.text);
      await read(each, `/Score/${way}`, 'no-cache');
      const next = await until('the refetch', async () => {
        const answer = await read(each, '/Score/kept');
        return answer.text === before.text ? undefined : answer;
      });
      expect(next.status).toBe(200);
    }
  });
});

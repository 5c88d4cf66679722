/**
 * Sources that an application writes in code: rows of other tables beside the one asked for, what
 * is told to a source, stale records by the word of a class, events that are sent instead of
 * yielded. On a real node, on one thread and on two.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type NodeProcess, startNode } from '../support/node-process.ts';
import { JSON_BODY, json } from '../support/scenario-apps.ts';

const OPEN = '@export(public: [read, insert, update, delete])';
const SCHEMA = `
type Post @table ${OPEN} { id: ID @primaryKey, authorId: ID, title: String }
type Author @table(expiration: 3600) ${OPEN} { id: ID @primaryKey, name: String, asked: Int }
type Visit @table ${OPEN} { id: ID @primaryKey, posts: Int }
type Price @table(expiration: 0.001, eviction: 3600) ${OPEN} { id: ID @primaryKey, n: Int }
type Told @table ${OPEN} { id: ID @primaryKey }
type Sent @table ${OPEN} { id: ID @primaryKey, n: Int }
`;

const RESOURCES = `
import { Resource, getContext, tables } from 'millrace';
let authorsAsked = 0;
tables.Author.sourcedFrom({
  get(id) { authorsAsked += 1; return { name: 'asked', asked: authorsAsked }; },
});
tables.Post.sourcedFrom(class extends Resource {
  async get() {
    const id = this.getId();
    if (id === 'slow') await fetch(process.env.SLOW_URL);
    await tables.Author.put('a-' + id, { name: 'Author of ' + id }, this.getContext());
    await tables.Visit.put(id, { posts: 1 });
    if (id === 'broken') throw Object.assign(new Error('no'), { statusCode: 503 });
    if (id === 'none') return undefined;
    if (id === 'unkept') this.getContext().noCacheStore = true;
    const own = await tables.Author.get('a-' + id);
    return { authorId: 'a-' + id, title: own.name };
  }
});
let prices = 0;
tables.Price.sourcedFrom({ get() { prices += 1; return { n: prices }; } });
export class Price extends tables.Price {
  allowStaleWhileRevalidate(entry, id) {
    if (id === 'throws') throw new Error('never mind');
    const isTold = entry.localTime > 0 && entry.expiresAt <= Date.now() && entry.value.n > 0;
    return id === 'stale' && isTold;
  }
}
let lastTold;
tables.Told.sourcedFrom({
  async get(id, context) {
    lastTold = {
      same: getContext() === context, id: context.id,
      asker: context.requestContext?.pathname ?? null,
      replaced: context.replacingRecord?.word ?? null,
      version: typeof context.replacingVersion,
    };
    context.expiresAt = Date.now() + 60_000;
    return { word: 'first', told: lastTold };
  },
});
export class Asks extends Resource {
  static public = ['read'];
  static async get(target, context) {
    context.noCache = target.has('anew');
    return tables.Told.get(target.id, context);
  }
}
let stream;
tables.Sent.sourcedFrom(class extends Resource {
  get() { return { n: 0 }; }
  subscribe() {
    stream = super.subscribe();
    stream.send({ type: 'put', id: 'early', value: { n: 1 } });
    return stream;
  }
});
export class Send extends Resource {
  static public = ['insert'];
  static post(target, body) {
    if (stream === undefined) return { sent: false };
    if (body.fail) stream.error(new Error('the line broke')); else stream.send(body);
    return { sent: true };
  }
}
`;

const post = (body: object): RequestInit => ({
  method: 'POST',
  headers: JSON_BODY,
  body: JSON.stringify(body),
});

const eventually = (check: () => Promise<void>) =>
  vi.waitFor(check, { timeout: 10_000, interval: 20 });

describe.each(['1', '2'])('a source in code, with %s threads', (threads) => {
  let node: NodeProcess;
  /** Asked in the middle of a fetch: the client writes just then. */
  const upstream = createServer((_, response) => {
    const written = node.put('/Author/a-slow', { name: 'written meanwhile' });
    void written.then(({ status }) => response.end(String(status)));
  });
  beforeAll(async () => {
    await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
    const { port } = upstream.address() as AddressInfo;
    node = await startNode({
      files: { 'schema.graphql': SCHEMA, 'resources.js': RESOURCES },
      flags: ['--threads', threads],
      env: { SLOW_URL: `http://127.0.0.1:${port}` },
    });
  });
  afterAll(async () => {
    await node?.dispose();
    upstream.closeAllConnections();
    upstream.close();
  });
  const held = async (path: string) => {
    const response = await node.fetch(path, { headers: { 'cache-control': 'only-if-cached' } });
    return response.ok ? json(response) : response.status;
  };

  it('stores rows of other tables with its own, and sees them before', async () => {
    expect(await json(await node.fetch('/Post/one'))).toMatchObject({ title: 'Author of one' });
    expect(await held('/Author/a-one')).toMatchObject({ name: 'Author of one' });
    expect(await held('/Visit/one')).toEqual({ id: 'one', posts: 1 });
  });

  it('stores none of them when it fails', async () => {
    expect((await node.fetch('/Post/broken')).status).toBe(502);
    expect(await held('/Author/a-broken')).toBe(504);
    expect(await held('/Visit/broken')).toBe(404);
  });

  it.each(['none', 'unkept'])('stores them beside a record that is not stored (%s)', async (id) => {
    await node.fetch(`/Post/${id}`);
    await eventually(async () => expect(await held(`/Visit/${id}`)).toEqual({ id, posts: 1 }));
    expect(await held(`/Author/a-${id}`)).toMatchObject({ name: `Author of ${id}` });
  });

  it('overwrites nothing that was written after it was asked', async () => {
    expect((await node.fetch('/Post/slow')).status).toBe(200);
    expect(await held('/Author/a-slow')).toMatchObject({ name: 'written meanwhile' });
  });

  it('lets a class say whether a stale record may answer meanwhile', async () => {
    const first = (await json(await node.fetch('/Price/stale'))) as { n: number };
    const second = await node.fetch('/Price/stale');
    expect(await json(second)).toEqual(first);
    expect(second.headers.get('cache-status')).toContain('hit');
    await eventually(async () => {
      expect(await json(await node.fetch('/Price/stale'))).not.toEqual(first);
    });
    for (const id of ['fresh', 'throws']) {
      const before = (await json(await node.fetch(`/Price/${id}`))) as { n: number };
      const after = (await json(await node.fetch(`/Price/${id}`))) as { n: number };
      expect(after.n).toBeGreaterThan(before.n);
    }
  });

  it('is told what it needs, as its own context', async () => {
    expect(await json(await node.fetch('/Asks/x'))).toEqual({
      id: 'x',
      word: 'first',
      told: { same: true, id: 'x', asker: '/Asks/x', replaced: null, version: 'undefined' },
    });
    expect(await json(await node.fetch('/Asks/x?anew'))).toMatchObject({
      told: { replaced: 'first', version: 'number' },
    });
    const plain = await node.fetch('/Told/y');
    expect(await json(plain)).toMatchObject({ told: { same: true, asker: null } });
    expect(plain.headers.get('cache-status')).toMatch(/ttl=(59|60)/);
  });

  it('may send events instead of yielding them', async () => {
    await eventually(async () => expect(await held('/Sent/early')).toEqual({ id: 'early', n: 1 }));
    if (threads === '2') return; // The feed is on the store thread, this resource on another.
    await node.fetch('/Send', post({ type: 'put', id: 'later', value: { n: 2 } }));
    await eventually(async () => expect(await held('/Sent/later')).toEqual({ id: 'later', n: 2 }));
    const two = [
      { type: 'put', id: 'p', value: { n: 3 } },
      { type: 'put', table: 'Visit', id: 'p', value: { posts: 4 } },
    ];
    await node.fetch('/Send', post({ type: 'transaction', writes: two }));
    await eventually(async () => expect(await held('/Visit/p')).toEqual({ id: 'p', posts: 4 }));
  });
});

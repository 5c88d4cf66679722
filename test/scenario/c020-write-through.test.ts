/**
 * A table that writes through to its origin, on a real node: the origin decides, then it is kept.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { originFile, read } from '../support/cache-apps.ts';
import { type Behaviour, behave, HttpOrigin, type SeenRequest } from '../support/http-origin.ts';
import { type NodeProcess, startNode } from '../support/node-process.ts';
import { expectProblem, JSON_BODY } from '../support/scenario-apps.ts';

const OPEN = '@export(public: [read, insert, update, delete])';
const schema = `
type Item @table @sourcedFrom(origin: "api", path: "/items/{id}", write: through) ${OPEN} {
  id: ID @primaryKey
  n: Int
}
type Fixed @table @sourcedFrom(origin: "fixed", write: through) ${OPEN} {
  id: ID @primaryKey
  n: Int
}
`;
const fixed = `import { defineOrigin } from 'millrace';
export default defineOrigin({ get: (id) => ({ id, n: 1 }), delete: () => undefined });
`;

/** An application behind the node: keeps what it is sent, and numbers it. */
class Backend {
  readonly records = new Map<string, Record<string, unknown>>();
  /** Instead of taking a write. */
  refuse: Behaviour | undefined;
  /** Whether a write is answered with the record. */
  tells = true;

  readonly answer = ({ method, path, body }: SeenRequest): Behaviour => {
    const id = decodeURIComponent(path.slice('/items/'.length));
    const held = this.records.get(id);
    if (method === 'GET') return held === undefined ? behave.status(404) : behave.json(held);
    if (this.refuse !== undefined) return this.refuse;
    if (method === 'DELETE') {
      this.records.delete(id);
      return behave.status(204);
    }
    const sent = JSON.parse(body) as Record<string, unknown>;
    const record = { ...(method === 'PATCH' ? held : {}), ...sent, id, by: 'backend' };
    this.records.set(id, record);
    const status = held === undefined ? 201 : 200;
    const type = { 'content-type': 'application/json' };
    return this.tells
      ? behave.answer(status, type, JSON.stringify(record))
      : behave.status(held === undefined ? 201 : 204);
  };
}

describe.each([1, 2])('write-through on a node of %i threads', (threads) => {
  const backend = new Backend();
  let origin: HttpOrigin;
  let node: NodeProcess;
  beforeAll(async () => {
    origin = await HttpOrigin.start(backend.answer);
    node = await startNode({
      files: {
        'schema.graphql': schema,
        'origins/api.yaml': originFile(
          origin.url,
          'timeout: 3s\nbreaker: { failures: 1000, cooldown: 1s }',
        ),
        'origins/fixed.js': fixed,
      },
      flags: ['--threads', String(threads)],
    });
  });
  afterAll(async () => {
    await node.dispose();
    await origin.close();
  });
  beforeEach(() => {
    backend.refuse = undefined;
    backend.tells = true;
  });

  const send = (method: string, target: string, body?: object, headers: object = {}) =>
    node.fetch(target, {
      method,
      headers: { ...JSON_BODY, ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  const written = () => origin.requests.filter((request) => request.method !== 'GET').length;

  it('keeps what the origin made of a PUT, a PATCH and a POST, and serves it without asking', async () => {
    expect((await send('PUT', '/Item/a', { n: 1 })).status).toBe(201);
    expect((await send('PUT', '/Item/a', { n: 2 })).status).toBe(204);
    expect((await send('PATCH', '/Item/a', { n: 3 })).status).toBe(204);
    const posted = await send('POST', '/Item/', { n: 4 });
    expect(posted.status).toBe(201);
    const created = posted.headers.get('location') ?? '';
    const before = origin.requests.length;
    for (const [target, n] of [
      ['/Item/a', 3],
      [created, 4],
    ] as const) {
      const answer = await read(node, target);
      expect([answer.status, answer.cache.startsWith('millrace; hit')]).toEqual([200, true]);
      expect(JSON.parse(answer.text)).toMatchObject({ n, by: 'backend' });
    }
    expect(origin.requests).toHaveLength(before);
  });

  it('keeps what was sent when the origin only says that it took it', async () => {
    backend.tells = false;
    expect((await send('PUT', '/Item/quiet', { n: 1 })).status).toBe(201);
    const put = await read(node, '/Item/quiet');
    expect([put.cache.startsWith('millrace; hit'), JSON.parse(put.text)]).toEqual([
      true,
      { id: 'quiet', n: 1 },
    ]);
    expect((await send('PATCH', '/Item/quiet', { n: 2 })).status).toBe(204);
    expect(JSON.parse((await read(node, '/Item/quiet')).text)).toMatchObject({ n: 2 });
  });

  it('deletes at the origin, then here, whether or not it was held here', async () => {
    await send('PUT', '/Item/gone', { n: 1 });
    backend.records.set('unseen', { id: 'unseen', n: 1 });
    for (const id of ['gone', 'unseen']) {
      expect((await send('DELETE', `/Item/${id}`)).status).toBe(204);
      expect(backend.records.has(id)).toBe(false);
      expect((await read(node, `/Item/${id}`)).status).toBe(404);
    }
  });

  it.each([
    [404, 404, 'ORIGIN_REFUSED'],
    [409, 409, 'ORIGIN_REFUSED'],
    [412, 412, 'ORIGIN_REFUSED'],
    [422, 422, 'ORIGIN_REFUSED'],
    [403, 502, 'ORIGIN_STATUS'],
    [500, 502, 'ORIGIN_STATUS'],
    [503, 502, 'ORIGIN_STATUS'],
  ])('passes the refusal %i on as %i and stores nothing', async (said, status, code) => {
    const target = `/Item/refused-${said}`;
    await send('PUT', target, { n: 1 });
    backend.refuse = behave.status(said);
    for (const method of ['PUT', 'PATCH', 'DELETE']) {
      const refused = await send(method, target, method === 'DELETE' ? undefined : { n: 9 });
      if (method === 'DELETE' && said === 404) expect(refused.status).toBe(204);
      else await expectProblem(refused, status, code);
    }
    if (said !== 404) expect(JSON.parse((await read(node, target)).text)).toMatchObject({ n: 1 });
  });

  it.each([
    ['never answers', behave.hang(), 504, 'ORIGIN_TIMED_OUT'],
    ['drops the connection', behave.reset(), 502, 'ORIGIN_UNREACHABLE'],
  ])(
    'fails a write that the origin %s, once, and stores nothing',
    async (_how, told, status, code) => {
      await send('PUT', '/Item/lost', { n: 1 });
      backend.refuse = told;
      const before = written();
      await expectProblem(await send('PUT', '/Item/lost', { n: 2 }), status, code);
      expect(written() - before).toBe(1);
      backend.refuse = undefined;
      expect(JSON.parse((await read(node, '/Item/lost')).text)).toMatchObject({ n: 1 });
    },
  );

  it('does not trouble the origin with what the schema refuses', async () => {
    const before = origin.requests.length;
    await expectProblem(await send('PUT', '/Item/bad', { n: 'no' }), 400, 'RECORD_INVALID');
    expect(origin.requests).toHaveLength(before);
  });

  it('decides If-Match on what the origin holds now [RFC9110 §13.1.1]', async () => {
    await send('PUT', '/Item/cas', { n: 1 });
    const etag = (await node.fetch('/Item/cas')).headers.get('etag') ?? '';
    backend.records.set('cas', { id: 'cas', n: 5, by: 'somebody else' });
    const before = written();
    const late = await send('PUT', '/Item/cas', { n: 2 }, { 'if-match': etag });
    await expectProblem(late, 412, 'PRECONDITION_FAILED');
    expect(written()).toBe(before);
    const now = (await node.fetch('/Item/cas')).headers.get('etag') ?? '';
    expect((await send('PUT', '/Item/cas', { n: 3 }, { 'if-match': now })).status).toBe(204);
    const taken = await send('POST', '/Item/', { id: 'cas', n: 4 });
    await expectProblem(taken, 409, 'RECORD_EXISTS');
  });

  it('answers 405 for writes which the origin has no way to take [RFC9110 §15.5.6]', async () => {
    const put = await send('PUT', '/Fixed/a', { n: 1 });
    expect(put.headers.get('allow')).toBe('GET, HEAD, DELETE, OPTIONS');
    await expectProblem(put, 405, 'METHOD_NOT_ALLOWED');
    await expectProblem(await send('PATCH', '/Fixed/a', { n: 1 }), 405, 'METHOD_NOT_ALLOWED');
    await expectProblem(await send('POST', '/Fixed/', { n: 1 }), 405, 'METHOD_NOT_ALLOWED');
    expect((await send('DELETE', '/Fixed/a')).status).toBe(204);
  });
});

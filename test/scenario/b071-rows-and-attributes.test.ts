/**
 * Grants that are limited to keys, rows or attributes, over REST: what lies outside of them is as
 * if it were not there, and neither a condition, an order, a count, a cursor nor a tag tells of it.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN, type NodeProcess, startNode } from '../support/node-process.ts';
import { ENGINES, expectProblem, JSON_BODY, json } from '../support/scenario-apps.ts';

const SCHEMA = `
type Desk @table @export {
  id: ID @primaryKey
  name: String @indexed
  budget: Int
  stories: [Story] @relationship(to: desk)
}
type Story @table @export {
  id: ID @primaryKey
  desk: String @indexed
  title: String @indexed
  level: Int @indexed
  secret: String @indexed
  loud: String @computed(from: "title + '!'")
  told: String @computed(from: "title + secret")
  deskOf: Desk @relationship(from: desk)
}`;
const ROLES = `
anonymous:
  tables:
    Story: { read: true, filter: "level=le=1", attributes: { secret: { read: false } } }
editor:
  tables:
    Story:
      read: true
      insert: true
      update: true
      delete: true
      filter: "desk=\${user.desk}"
      attributes: { secret: { read: false, insert: false, update: false } }
    Desk: { read: true, attributes: { name: { read: true }, stories: { read: true } } }
chief:
  tables:
    Story: { read: true, filter: "desk=sport" }
keyed:
  tables:
    Story: { read: true, keys: ["news/#"], deny: { read: ["news/x"] } }
`;
const AS_ADMIN = {
  authorization: `Basic ${Buffer.from(`${ADMIN.username}:${ADMIN.password}`).toString('base64')}`,
};
const as = (whom: string) => ({ ...AS_ADMIN, 'millrace-impersonate': whom });
const SPORT = as('role=editor&desk=sport');

const STORIES = {
  'news/a': { desk: 'news', title: 'A', level: 1, secret: 's1' },
  'news/x': { desk: 'news', title: 'X', level: 2, secret: 's2' },
  b: { desk: 'sport', title: 'B', level: 1, secret: 's3' },
  c: { desk: 'sport', title: 'C', level: 3, secret: 's4' },
};

describe.each(ENGINES)('limited grants over %s', (engine) => {
  let node: NodeProcess;
  beforeAll(async () => {
    const env = { MILLRACE_HTTP_ENGINE: engine };
    node = await startNode({ files: { 'schema.graphql': SCHEMA, 'roles.yaml': ROLES }, env });
    await node.put('/Desk/sport', { name: 'Sport', budget: 9 }, AS_ADMIN);
    await node.put('/Desk/news', { name: 'News', budget: 7 }, AS_ADMIN);
    for (const [id, story] of Object.entries(STORIES)) {
      expect((await node.put(`/Story/${id}`, story, AS_ADMIN)).status).toBe(201);
    }
  });
  afterAll(() => node.dispose());

  const get = (target: string, headers: Record<string, string> = {}) =>
    node.fetch(target, { headers });
  const ids = async (target: string, headers: Record<string, string> = {}) => {
    const response = await get(target, headers);
    expect([target, response.status]).toEqual([target, 200]);
    return ((await response.json()) as { id: string }[]).map(({ id }) => id).sort();
  };

  it('shows the rows and attributes that are covered, and nothing of the others', async () => {
    expect(await ids('/Story/')).toEqual(['b', 'news/a']);
    expect(await ids('/Story/', SPORT)).toEqual(['b', 'c', 'news/a']);
    expect(await json(await get('/Story/b'))).toEqual({
      id: 'b',
      desk: 'sport',
      title: 'B',
      level: 1,
    });
    expect(await json(await get('/Story/c', SPORT))).not.toHaveProperty('secret');
    expect(await ids('/Story/', as('role=keyed'))).toEqual(['b', 'news/a']);
    await expectProblem(await get('/Story/news/x', SPORT), 404, 'NOT_FOUND');
  });

  it('adds up what several roles see of a row', async () => {
    const both = as('role=editor,chief&desk=news');
    expect(await json(await get('/Story/c', both))).toMatchObject({ secret: 's4' });
    expect(await json(await get('/Story/news/x', both))).not.toHaveProperty('secret');
    // A condition on an attribute finds the rows only in which it may be read.
    expect(await ids('/Story/?secret=s4|secret=s2', both)).toEqual(['c']);
  });

  it('answers for an unseen record exactly as for one that is not there', async () => {
    const answer = async (target: string) => {
      const response = await get(target, SPORT);
      const headers = [...response.headers].filter(([name]) => name !== 'date');
      return { status: response.status, headers, body: await response.text() };
    };
    const unseen = await answer('/Story/news/x');
    const absent = await answer('/Story/news/y');
    const renamed = absent.body.replaceAll('news/y', 'news/x');
    expect(unseen).toEqual({ ...absent, body: renamed });
    expect(unseen.status).toBe(404);
  });

  it.each([
    'secret=s4',
    'level=1|secret=s4',
    'sort(secret)',
    'sort(-level,secret)',
    'select(id,secret)',
    'select(told)',
    'told=Bs3',
    'deskOf.budget=9',
    'select(id,deskOf{budget})',
    'explain()',
    'level=1&explain()',
  ])('refuses a query that could tell of what is not covered: %s', async (query) => {
    await expectProblem(await get(`/Story/?${query}`, SPORT), 403, 'ACCESS_DENIED');
  });

  it('computes what is made of covered attributes, and follows relationships by their grants', async () => {
    const one = await get('/Story/b?select(id,loud,deskOf)', SPORT);
    expect(await json(one)).toEqual({
      id: 'b',
      loud: 'B!',
      deskOf: { id: 'sport', name: 'Sport' },
    });
    expect(await ids('/Story/?deskOf.name=Sport', SPORT)).toEqual(['b', 'c']);
    expect(await ids('/Story/?deskOf.name=News', SPORT)).toEqual(['news/a']);
    // Rows of a related table are there only as far as they are seen.
    const desks = await get('/Desk/?select(id,stories{id})&sort(id)', SPORT);
    expect(await json(desks)).toEqual([
      { id: 'news', stories: [{ id: 'news/a' }] },
      { id: 'sport', stories: [{ id: 'b' }, { id: 'c' }] },
    ]);
    await expectProblem(await get('/Story/b?select(deskOf{name})'), 401, 'AUTHENTICATION_REQUIRED');
  });

  it('pages through the seen rows alone', async () => {
    const seen: unknown[] = [];
    let query = 'sort(title)&limit(1)&after()';
    for (let pages = 0; query !== '' && pages < 9; pages += 1) {
      const response = await get(`/Story/?${query}`, SPORT);
      seen.push(...((await response.json()) as { id: string }[]).map(({ id }) => id));
      query = /<\?([^>]*)>/.exec(response.headers.get('link') ?? '')?.[1] ?? '';
    }
    expect(seen).toEqual(['news/a', 'b', 'c']);
  });

  it('has a tag that changes with what is seen, and only then', async () => {
    const tag = async () => (await get('/Story/b')).headers.get('etag');
    const before = await tag();
    expect(before).not.toBeNull();
    const answer = await get('/Story/b', { 'if-none-match': before ?? '' });
    expect([answer.status, answer.headers.get('last-modified')]).toEqual([304, null]);
    await node.put('/Story/b', { ...STORIES.b, secret: 'other' }, AS_ADMIN);
    expect(await tag()).toBe(before);
    await node.put('/Story/b', { ...STORIES.b, title: 'BB' }, AS_ADMIN);
    expect(await tag()).not.toBe(before);
    await node.put('/Story/b', STORIES.b, AS_ADMIN);
    expect(await tag()).toBe(before);
    const whole = await get('/Story/b', AS_ADMIN);
    expect(whole.headers.get('etag')).not.toBe(before);
  });

  it('describes a table without what may not be read', async () => {
    const described = (await json(await get('/Story', SPORT))) as {
      attributes: { name: string }[];
    };
    const names = described.attributes.map(({ name }) => name);
    expect(names).toEqual(['id', 'desk', 'title', 'level', 'loud', 'deskOf']);
  });

  const send = (method: string, target: string, body: unknown, headers: object = SPORT) =>
    node.fetch(target, {
      method,
      headers: { ...JSON_BODY, ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  const stored = async (id: string) => json(await get(`/Story/${id}`, AS_ADMIN));

  it('writes only records that were covered before and are after', async () => {
    expect((await send('PUT', '/Story/w1', { desk: 'sport', title: 'W' })).status).toBe(201);
    await expectProblem(await send('PUT', '/Story/w2', { desk: 'news' }), 403, 'ACCESS_DENIED');
    await expectProblem(await send('PUT', '/Story/w2', { title: 'none' }), 403, 'ACCESS_DENIED');
    // Neither may a record be taken out of what is covered, nor one outside be taken in.
    await expectProblem(await send('PUT', '/Story/w1', { desk: 'news' }), 403, 'ACCESS_DENIED');
    await expectProblem(await send('PATCH', '/Story/w1', { desk: 'news' }), 403, 'ACCESS_DENIED');
    const taken = await send('PUT', '/Story/news/x', { desk: 'sport' });
    await expectProblem(taken, 403, 'ACCESS_DENIED');
    const merged = await send('PATCH', '/Story/news/x', { desk: 'sport' });
    await expectProblem(merged, 403, 'ACCESS_DENIED');
    expect(await stored('news/x')).toMatchObject(STORIES['news/x']);
    expect((await send('PATCH', '/Story/w1', { level: 2 })).status).toBe(204);
    const counted = await send('PATCH', '/Story/w1', { level: { __op__: 'add', value: 3 } });
    expect(counted.status).toBe(204);
    expect(await stored('w1')).toEqual({ id: 'w1', desk: 'sport', title: 'W', level: 5 });
    expect((await get('/Story/w2', AS_ADMIN)).status).toBe(404);
  });

  it('keeps what may not be changed, and refuses to name it', async () => {
    await send('PUT', '/Story/k', { desk: 'sport', title: 'K', secret: 'kept' }, AS_ADMIN);
    const put = await send('PUT', '/Story/k', { desk: 'sport', title: 'L' });
    expect([put.status, put.headers.get('etag')]).toEqual([204, null]);
    expect(await stored('k')).toEqual({ id: 'k', desk: 'sport', title: 'L', secret: 'kept' });
    for (const secret of ['kept', 'other', null]) {
      const named = { desk: 'sport', title: 'L', secret };
      await expectProblem(await send('PUT', '/Story/k', named), 403, 'ACCESS_DENIED');
      await expectProblem(await send('PATCH', '/Story/k', { secret }), 403, 'ACCESS_DENIED');
    }
    await expectProblem(
      await send('PUT', '/Story/k2', { desk: 'sport', secret: 'x' }),
      403,
      'ACCESS_DENIED',
    );
    expect(await stored('k')).toMatchObject({ secret: 'kept' });
  });

  it('deletes what is covered; what is not seen is not there', async () => {
    await send('PUT', '/Story/d', { desk: 'sport' }, AS_ADMIN);
    expect((await send('DELETE', '/Story/d', undefined)).status).toBe(204);
    await expectProblem(await send('DELETE', '/Story/news/x', undefined), 404, 'NOT_FOUND');
    // Seen by everybody, but not of this desk.
    await expectProblem(await send('DELETE', '/Story/news/a', undefined), 403, 'ACCESS_DENIED');
    for (const id of ['d1', 'd2'])
      await send('PUT', `/Story/${id}`, { desk: 'sport', title: 'D' }, AS_ADMIN);
    await send('PUT', '/Story/d3', { desk: 'news', title: 'D', level: 1 }, AS_ADMIN);
    const many = await json(await send('DELETE', '/Story/?title=D', undefined));
    expect(many).toMatchObject({ deleted: 2, changed: 0 });
    expect(await stored('d3')).toMatchObject({ title: 'D' });
    await expectProblem(await send('DELETE', '/Story/?secret=s4', undefined), 403, 'ACCESS_DENIED');
  });

  it('writes lists whole or not at all, and streams row by row, by the same rules', async () => {
    const mixed = [
      { id: 'l1', desk: 'sport' },
      { id: 'l2', desk: 'news' },
    ];
    for (const method of ['PUT', 'PATCH', 'POST']) {
      const refused = await expectProblem(
        await send(method, '/Story/', mixed),
        403,
        'ACCESS_DENIED',
      );
      expect(String(refused.detail)).toMatch(/^row 2:/);
    }
    expect((await get('/Story/l1', AS_ADMIN)).status).toBe(404);
    expect((await send('PUT', '/Story/', [mixed[0]])).status).toBe(200);
    const rows = [
      '{"id":"l1","title":"1"}',
      '{"id":"l1","title":"2"}',
      '{"id":"news/x","title":"3"}',
    ];
    const streamed = await node.fetch('/Story/?onError=continue', {
      method: 'PATCH',
      headers: { ...SPORT, 'content-type': 'application/x-ndjson' },
      body: rows.join('\n'),
    });
    const told = (await json(streamed)) as { errors: { row: number }[] };
    expect(told).toMatchObject({ written: 2, failed: 1 });
    expect(told.errors.map(({ row }) => row)).toEqual([3]);
    expect(await stored('l1')).toMatchObject({ title: '2' });
  });

  it('compares tags with what the writer sees', async () => {
    await send('PUT', '/Story/t', { desk: 'sport', title: 'T', secret: 'x' }, AS_ADMIN);
    const tag = (await get('/Story/t', SPORT)).headers.get('etag') ?? '';
    const wrong = await send(
      'PATCH',
      '/Story/t',
      { title: 'no' },
      { ...SPORT, 'if-match': '"no"' },
    );
    expect([wrong.status, wrong.headers.get('etag')]).toEqual([412, null]);
    const whole = (await get('/Story/t', AS_ADMIN)).headers.get('etag') ?? '';
    const other = { ...SPORT, 'if-match': whole };
    expect((await send('PATCH', '/Story/t', { title: 'no' }, other)).status).toBe(412);
    const right = await send('PATCH', '/Story/t', { title: 'U' }, { ...SPORT, 'if-match': tag });
    expect(right.status).toBe(204);
  });

  it('loses no increment when limited writers race', async () => {
    await send('PUT', '/Story/race', { desk: 'sport', level: 0 }, AS_ADMIN);
    const add = { level: { __op__: 'add', value: 1 } };
    const statuses = await Promise.all(
      Array.from({ length: 24 }, async () => (await send('PATCH', '/Story/race', add)).status),
    );
    const done = statuses.filter((status) => status === 204).length;
    expect(await stored('race')).toMatchObject({ level: done });
    expect(done).toBeGreaterThan(0);
    expect(statuses.every((status) => status === 204 || status === 503)).toBe(true);
  });

  it('lets administrators alone act as others, and never as more', async () => {
    const wrong = { ...AS_ADMIN, authorization: 'Basic eDp5' };
    const rejected = await get('/Story/b', { ...wrong, 'millrace-impersonate': 'role=chief' });
    expect(rejected.status).toBe(401);
    await expectProblem(await get('/Story/b', as('role=nobody')), 404, 'NOT_FOUND');
    await expectProblem(await get('/Story/b', as('nonsense')), 404, 'NOT_FOUND');
    const lesser = await node.fetch('/Desk/sport', {
      ...{ method: 'PUT', headers: { ...JSON_BODY, ...SPORT }, body: '{"name":"no"}' },
    });
    await expectProblem(lesser, 403, 'ACCESS_DENIED');
  });
});

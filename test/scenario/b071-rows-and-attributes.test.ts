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

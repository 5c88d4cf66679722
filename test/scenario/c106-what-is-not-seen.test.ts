/**
 * What somebody may not see leaves no trace: two tables hold the same where a role looks and
 * something else everywhere besides, other rows, other values of attributes that it may not read,
 * other rows behind relationships. Whatever it asks, by any condition, order, window, part, key,
 * operation or subscription, is answered of both alike, to the byte.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connectMqtt, type Received } from '../support/mqtt-client.ts';
import { ADMIN, type NodeProcess, startNode, until } from '../support/node-process.ts';
import { JSON_BODY } from '../support/scenario-apps.ts';

/** Names of one length; `W` stands for both in what is compared. */
const WORLDS = ['A', 'B'] as const;
type World = (typeof WORLDS)[number];
const typesOf = (world: World): string => `
type Story${world} @table @export {
  id: ID @primaryKey
  desk: String @indexed
  level: Int @indexed
  secret: String @indexed
  title: String
  authorId: ID @indexed
  author: Author${world} @relationship(from: authorId)
}
type Author${world} @table @export {
  id: ID @primaryKey
  name: String @indexed
  ssn: String @indexed
  hidden: Boolean
  stories: [Story${world}] @relationship(to: authorId)
}
`;
const SEES = { read: true, subscribe: true };
const grantsOf = (world: World) => ({
  [`Story${world}`]: { ...SEES, filter: 'level=le=1', attributes: { secret: { read: false } } },
  [`Author${world}`]: { ...SEES, filter: 'hidden=false', attributes: { ssn: { read: false } } },
});
const OPERATIONS = ['describe_all', 'search_by_id', 'search_by_value', 'search_by_conditions'];
const ROLES = { part: { operations: OPERATIONS, tables: { ...grantsOf('A'), ...grantsOf('B') } } };

const seen = (secret: string) => [
  { id: 's1', desk: 'news', level: 1, title: 'One', authorId: 'a1', secret: `${secret}1` },
  { id: 's3', desk: 'sport', level: 0, title: 'Three', authorId: 'a2', secret: `${secret}2` },
  { id: 's5', desk: 'sport', level: 1, title: 'Five', authorId: 'a9', secret: `${secret}3` },
];
const STORIES: Readonly<Record<World, readonly object[]>> = {
  A: [
    ...seen('m'),
    { id: 's0', desk: 'news', level: 7, title: 'Zero', authorId: 'a1', secret: 'q' },
    { id: 's2', desk: 'deep', level: 5, title: 'Two', authorId: 'a1', secret: 'm1' },
    { id: 's4', desk: 'sport', level: 9, title: 'Four', authorId: 'a2', secret: 'z' },
  ],
  B: [...seen('n'), { id: 's6', desk: 'sport', level: 2, title: 'Six', authorId: 'a2' }],
};
const AUTHORS: Readonly<Record<World, readonly object[]>> = {
  A: [
    { id: 'a1', name: 'Ann', ssn: '111', hidden: false },
    { id: 'a2', name: 'Bob', ssn: '222', hidden: true },
    { id: 'a9', name: 'Cy', ssn: '333', hidden: true },
  ],
  B: [{ id: 'a1', name: 'Ann', ssn: '999', hidden: false }],
};

const PART = { username: 'part', password: 'a long and quiet river' };
const ADMINISTRATOR = `Basic ${btoa(`${ADMIN.username}:${ADMIN.password}`)}`;
const AS_PART = { authorization: ADMINISTRATOR, 'millrace-impersonate': 'role=part' };
let node: NodeProcess;
beforeAll(async () => {
  node = await startNode({
    files: {
      'schema.graphql': WORLDS.map(typesOf).join(''),
      'roles.yaml': JSON.stringify(ROLES),
    },
  });
  for (const world of WORLDS) {
    for (const [table, rows] of [
      ['Story', STORIES[world]],
      ['Author', AUTHORS[world]],
    ] as const) {
      const headers = { ...JSON_BODY, authorization: ADMINISTRATOR };
      const init = { method: 'PUT', headers, body: JSON.stringify(rows) };
      expect((await node.fetch(`/${table}${world}/`, init)).status).toBe(200);
    }
  }
});
afterAll(() => node?.dispose());

/** What may not differ between worlds. */
const FIELDS = ['content-length', 'content-type', 'link', 'allow', 'vary', 'preference-applied'];
const plain = (text: string): string => text.replace(/\b(Story|Author)[AB]\b/g, '$1W');

/** Positions name what was passed over; they are sealed, so that nobody can read them. */
const withoutCursors = (text: string): string =>
  text.replace(/after\([^)]*\)/g, 'after()').replace(/"next":"[^"]*"/g, '"next":""');

async function answer(response: Response): Promise<readonly unknown[]> {
  const fields = FIELDS.map((name) => withoutCursors(plain(response.headers.get(name) ?? '')));
  return [response.status, ...fields, withoutCursors(plain(await response.text()))];
}

async function expectAlike(ask: (world: World) => Promise<Response>, what: string): Promise<void> {
  const [one, other] = await Promise.all(WORLDS.map(async (world) => answer(await ask(world))));
  expect([what, ...(one ?? [])]).toEqual([what, ...(other ?? [])]);
}

const VALUES = ['s1', 's2', 'news', 'deep', 'm1', 'n1', 'z', '1', '5', 'null', 'Ann', 'Bob', '111'];
const ATTRIBUTES = [
  ...['id', 'desk', 'level', 'secret', 'title', 'authorId'],
  ...['author.name', 'author.ssn', 'author.stories.secret', 'author.stories.title'],
];
const COMPARISONS = ['=', '!=', '=lt=', '=ge=', '=sw=', '=ct='];
const conditions = ATTRIBUTES.flatMap((name) =>
  VALUES.flatMap((value) => COMPARISONS.map((by) => `${name}${by}${value}`)),
);
const PARTS = [
  ...ATTRIBUTES.flatMap((name) => [`sort(${name})`, `sort(-${name})`, `select(${name})`]),
  ...['select(id,author{name,ssn})', 'select(id,author{name})', 'select(author{stories{id}})'],
  ...['select(author{stories{id,title}})', 'limit(1)', 'limit(2,1)', 'limit(2)&after()'],
  ...['count()', 'secret=m1|desk=news', 'desk=news&(secret=m1|level=5)', 'limit(1)&count()'],
  ...['sort(desk)&limit(2)&after()', 'sort(level)&limit(1)', 'level=gt=1', 'level=ge=0&count()'],
  ...['sum(level)', 'max(level)', 'group(desk)', 'explain()', 'sort(author.name)&limit(1)'],
];

it('is answered alike by conditions, orders, windows and parts', async () => {
  const asked = [...PARTS, ...conditions];
  for (let at = 0; at < asked.length; at += 20) {
    const some = asked
      .slice(at, at + 20)
      .map((query) =>
        expectAlike((world) => node.fetch(`/Story${world}/?${query}`, { headers: AS_PART }), query),
      );
    await Promise.all(some);
  }
});

it('is answered alike by keys, parts of records, tags and methods', async () => {
  const keys = ['s0', 's1', 's2', 's3', 's6', 's7', 's1.secret', 's2.title', 's3.author', 's1.id'];
  for (const key of ['', ...keys]) {
    for (const method of ['GET', 'HEAD', 'OPTIONS']) {
      const what = `${method} ${key}`;
      await expectAlike(
        (world) => node.fetch(`/Story${world}/${key}`, { method, headers: AS_PART }),
        what,
      );
    }
  }
  for (const key of ['a1', 'a2', 'a9', 'a1.ssn', 'a1.stories', '', '?ssn=111', '?count()']) {
    await expectAlike((world) => node.fetch(`/Author${world}/${key}`, { headers: AS_PART }), key);
  }
});

it('is answered alike by operations and descriptions', async () => {
  const ids = ['s0', 's1', 's2', 's6', 's7'];
  const conditionOf = (attribute: string, value: unknown) => ({
    ...{ operation: 'search_by_conditions', get_attributes: ['*'] },
    conditions: [{ search_attribute: attribute, search_type: 'equals', search_value: value }],
  });
  const documents: readonly Record<string, unknown>[] = [
    { operation: 'search_by_id', ids, get_attributes: ['*'] },
    { operation: 'search_by_id', ids, get_attributes: ['id', 'secret'] },
    ...['id', 'desk', 'secret'].flatMap((attribute) =>
      ['*', 'm1', 'z', 'news'].map((value) => ({
        operation: 'search_by_value',
        ...{ search_attribute: attribute, search_value: value, get_attributes: ['*'] },
      })),
    ),
    ...[conditionOf('secret', 'm1'), conditionOf('level', 5), conditionOf('desk', 'news')],
  ];
  for (const document of documents) {
    const what = JSON.stringify(document);
    await expectAlike((world) => {
      const body = JSON.stringify({ ...document, table: `Story${world}` });
      const init = { method: 'POST', headers: { ...JSON_BODY, ...AS_PART }, body };
      return fetch(`${node.admin}/`, init);
    }, what);
  }
});

it('is told nothing of changes to what it does not see', async () => {
  const send = (method: string, target: string, body?: object) =>
    node.fetch(target, {
      method,
      headers: { ...JSON_BODY, authorization: ADMINISTRATOR },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  const leave = new AbortController();
  const told = new Map<string, string[]>();
  const follow = async (world: World, query: string): Promise<void> => {
    const lines: string[] = [];
    told.set(`${world} ${query}`, lines);
    const headers = { ...AS_PART, accept: 'text/event-stream' };
    const { signal } = leave;
    const response = await node.fetch(`/Story${world}/${query}`, { headers, signal });
    expect(response.status).toBe(200);
    const reading = async (): Promise<void> => {
      let text = '';
      for await (const chunk of response.body ?? []) {
        text += Buffer.from(chunk).toString();
        const whole = text.split('\n\n');
        text = whole.pop() ?? '';
        lines.push(...whole.filter((event) => /^data:/m.test(event)).map(dataOf));
      }
    };
    void reading().catch(() => undefined);
    await until('the first event', () => lines.length > 0);
  };
  const queries = ['', '?desk=sport', 's1', '?sort(title)&limit(2)'];
  for (const query of queries) for (const world of WORLDS) await follow(world, query);
  await node.operate({ operation: 'add_user', ...PART, roles: ['part'] });
  const peers = await Promise.all(WORLDS.map(() => connectMqtt(node.mqtt, PART)));
  for (const [at, peer] of peers.entries()) {
    await peer.client.subscribeAsync(`Story${WORLDS[at]}/#`, { qos: 1 });
    await peer.count(3);
  }
  for (const [method, id, body] of [
    ['PATCH', 's1', { secret: 'other' }],
    ['PUT', 's8', { desk: 'sport', level: 4, title: 'A' }],
    ['PATCH', 's8', { title: 'AA' }],
    ['PATCH', 's4', { desk: 'news' }],
    ['DELETE', 's4', undefined],
    ['DELETE', 's8', undefined],
  ] as const) {
    expect((await send(method, `/StoryA/${id}`, body)).ok).toBe(true);
  }
  for (const world of WORLDS) await send('PATCH', `/Story${world}/s1`, { title: 'Mark' });
  for (const world of WORLDS) await send('PATCH', `/Story${world}/s3`, { title: 'Mark' });
  await until('the marks', () =>
    [...told].every(([, lines]) => lines.some((line) => line.includes('Mark'))),
  );
  const isMarked = ({ topic, payload }: Received) => topic.endsWith('/s3') && /Mark/.test(payload);
  await until('the marks over MQTT', () => peers.every(({ received }) => received.some(isMarked)));
  const [heard, other] = peers.map(({ received }) =>
    received.map(({ topic, payload, retain }) => [plain(topic), payload, retain]),
  );
  expect(heard).toEqual(other);
  for (const peer of peers) await peer.close();
  leave.abort();
  for (const query of queries) {
    const [one, other] = WORLDS.map((world) => told.get(`${world} ${query}`)?.map(plain));
    expect([query, one]).toEqual([query, other]);
  }
});

/** What an event says, without the position and the time at which it says it. */
const dataOf = (event: string): string =>
  (/^data: (.*)$/m.exec(event)?.[1] ?? '').replace(/"(position|timestamp|at)":("[^"]*"|\d+)/g, '');

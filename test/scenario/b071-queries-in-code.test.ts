/** What code asks of tables, and reads from the query of a URL, on a real node. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NodeProcess, startNode } from '../support/node-process.ts';
import { expectProblem, json } from '../support/scenario-apps.ts';

const OPEN = '@export(public: [read, insert, update])';
const SCHEMA = `
type Owner @table ${OPEN} {
  id: ID @primaryKey, name: String, dogs: [Dog] @relationship(to: ownerId)
}
type Dog @table ${OPEN} {
  id: ID @primaryKey, name: String @indexed, age: Int @indexed, ownerId: ID @indexed
  owner: Owner @relationship(from: ownerId), shout: String @computed(from: "name.toUpperCase()")
  size: Any
}
type Fact @table ${OPEN} { id: ID @primaryKey, n: Int }
`;

/** Each query is a piece of code, so that the test shows what an application would write. */
const RESOURCES = `
import { Resource, tables, RequestTarget } from 'millrace';
const QUERIES = {
  nested: () => tables.Dog.search({
    conditions: [{ attribute: 'id', value: 'rex' }],
    select: ['name', 'shout', { name: 'owner', select: ['name'] }],
  }),
  many: () => tables.Owner.get({ conditions: [{ attribute: 'id', value: 'ada' }],
    select: ['id', { name: 'dogs', select: ['name'] }] }),
  arrays: () => tables.Dog.search({ select: Object.assign(['id', 'age'], { asArray: true }),
    sort: { attribute: 'age', descending: true, next: { attribute: 'id' } }, limit: 2 }),
  bare: () => tables.Dog.search({ select: 'age', sort: { attribute: 'age' } }),
  joined: () => tables.Dog.search({ select: 'id', sort: { attribute: 'id' },
    conditions: [{ attribute: ['owner', 'name'], comparator: 'starts_with', value: 'A' }] }),
  groups: () => tables.Dog.search({ select: 'id', sort: { attribute: 'id' },
   operator: 'or', conditions: [
    { attribute: 'age', comparator: 'between', value: [9, 20] },
    { operator: 'and', conditions: [{ attribute: 'age', comparator: 'lt', value: 3 },
      { attribute: 'name', comparator: 'ew', value: 'x' }] },
  ] }),
  filtered: () => tables.Dog.search({ select: 'id', sort: { attribute: 'id' }, limit: 1, offset: 1,
    rowFilter: (dog) => dog.age > 1 }),
  undeclared: () => tables.Dog.search({ select: ['id', 'extra'],
    conditions: [{ attribute: 'extra', value: 7 }] }),
  lazy: async () => {
    let seen = 0;
    const few = tables.Dog.search({ sort: { attribute: 'id' } })
      .map((dog) => { seen += 1; return dog.id; })
      .filter(async (id) => id !== 'max').flatMap((id) => [id, id + '!'])
      .slice(1, 3).concat(['end']);
    const rows = await few.toArray();
    const sync = [...tables.Dog.search({ select: 'id', sort: { attribute: 'id' } })];
    let counted = 0;
    await tables.Dog.search().forEach(() => { counted += 1; });
    const mended = await tables.Dog.search().map(() => { throw new Error('x'); })
      .mapError((error) => error.message).toArray();
    return { data: { rows, sync, counted, mended, seen }, status: 200 };
  },
  explain: () => tables.Dog.search({ explain: true, conditions: [{ attribute: 'age', value: 2 }] }),
  record: () => tables.Dog.get({ id: 'rex', select: ['name', { name: 'owner', select: ['id'] }] }),
  property: () => tables.Dog.get({ id: 'rex', select: 'shout' }),
  own: async () => {
    await tables.Fact.put('own', { n: 1 });
    return tables.Fact.get({ id: 'own', select: ['n'] });
  },
  wrong: () => tables.Dog.search({
    conditions: [{ attribute: 'age', comparator: 'near', value: 1 }] }),
  empty: () => tables.Dog.search({ conditions: [{ operator: 'or', conditions: [] }] }),
};
export class Ask extends Resource {
  static public = ['read'];
  static get(target) { return QUERIES[target.id](); }
}
/** Shows what it was asked. */
export class Echo extends Resource {
  static public = ['read'];
  static get(target) {
    const { conditions, limit, offset, sort, select, id, isCollection } = target;
    return { id, isCollection, conditions, limit, offset, sort, select, q: target.get('q') };
  }
}
export class Young extends tables.Dog {
  static loadAsInstance = false;
  allowRead() { return true; }
  get(target) {
    target.conditions.push({ attribute: 'age', comparator: 'less_than', value: 5 });
    return super.get(target);
  }
}
export class Asked extends Resource {
  static public = ['read'];
  static get() { return tables.Dog.get(new RequestTarget('/?age=gt=1&select(id)&sort(-id)')); }
}
`;

let node: NodeProcess;
beforeAll(async () => {
  node = await startNode({ files: { 'schema.graphql': SCHEMA, 'resources.js': RESOURCES } });
  await node.put('/Owner/ada', { name: 'Ada' });
  await node.put('/Owner/bob', { name: 'Bob' });
  await node.put('/Dog/rex', { name: 'Rex', age: 2, ownerId: 'ada', size: { cm: 40 } });
  await node.put('/Dog/max', { name: 'Max', age: 1, ownerId: 'ada' });
  await node.put('/Dog/old', { name: 'Old', age: 12, ownerId: 'bob', extra: 7 });
});
afterAll(() => node?.dispose());

describe('a query that code writes as objects', () => {
  it.each([
    ['nested', [{ name: 'Rex', shout: 'REX', owner: { name: 'Ada' } }]],
    ['many', [{ id: 'ada', dogs: [{ name: 'Max' }, { name: 'Rex' }] }]],
    ['arrays', [['old', 12], ['rex', 2]]], // biome-ignore format: one row a line says more.
    ['bare', [1, 2, 12]],
    ['joined', ['max', 'rex']],
    ['groups', ['max', 'old', 'rex']],
    ['filtered', ['rex']],
    ['undeclared', [{ id: 'old', extra: 7 }]],
    ['record', { name: 'Rex', owner: { id: 'ada' } }],
    ['property', 'REX'],
    ['own', { n: 1 }],
  ])('%s', async (name, answer) => {
    expect(await json(await node.fetch(`/Ask/${name}`))).toEqual(answer);
  });

  it('yields rows lazily, with the methods of a list, and at once to a plain loop', async () => {
    expect(await json(await node.fetch('/Ask/lazy'))).toEqual({
      rows: ['old!', 'rex', 'end'],
      sync: ['max', 'old', 'rex'],
      counted: 3,
      mended: ['x'],
      seen: 3,
    });
  });

  it('says how it would be answered', async () => {
    const [plan] = (await json(await node.fetch('/Ask/explain'))) as Record<string, unknown>[];
    expect(plan).toMatchObject({ access: { kind: 'index', attribute: 'age' } });
  });

  it.each(['wrong', 'empty'])('is a 400 when it cannot be one (%s)', async (name) => {
    await expectProblem(await node.fetch(`/Ask/${name}`), 400, 'QUERY_INVALID');
  });
});

describe('the query of a URL as code sees it', () => {
  const asked = async (query: string) => json(await node.fetch(`/Echo/${query}`));

  it('is conditions, order, window and parts', async () => {
    const query = '?a=1&b=gt=2&lt=9&(c==x*|d!=null)&sort(-a,+b)&limit(5,15)&select(a,b{c})';
    expect(await asked(query)).toEqual({
      isCollection: true,
      conditions: [
        { attribute: 'a', comparator: 'equals', value: '1' },
        { attribute: 'b', comparator: 'greater_than', value: 2 },
        { attribute: 'b', comparator: 'less_than', value: 9 },
        {
          operator: 'or',
          conditions: [
            { attribute: 'c', comparator: 'starts_with', value: 'x' },
            { attribute: 'd', comparator: 'not_equal', value: null },
          ],
        },
      ],
      limit: 10,
      offset: 5,
      sort: {
        attribute: 'a',
        descending: true,
        next: { attribute: 'b', descending: false },
      },
      select: ['a', { name: 'b', select: ['c'] }],
      q: null,
    });
    expect(await asked('?q=hello%20there&select(a)')).toMatchObject({
      q: 'hello there',
      select: 'a',
    });
  });

  it('is read only where code looks at it', async () => {
    await expectProblem(await node.fetch('/Echo/?a=1&('), 400, 'QUERY_INVALID');
    expect((await node.fetch('/Ask/bare?(((')).status).toBe(200);
  });

  it('may be changed by code, which keeps the rest of it', async () => {
    const young = await node.fetch('/Young/?select(id)&sort(-id)&name=ne=Max');
    expect(await json(young)).toEqual(['rex']);
    expect(await json(await node.fetch('/Young/rex?select(name,shout)'))).toEqual({
      name: 'Rex',
      shout: 'REX',
    });
  });

  it('may be made by code', async () => {
    expect(await json(await node.fetch('/Asked'))).toEqual(['rex', 'old']);
  });
});

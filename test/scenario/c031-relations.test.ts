/**
 * Relationships and computed attributes over the wire: conditions, order and parts that lead to
 * other tables, in every format, and never to what the reader may not read.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN, type NodeProcess, startNode } from '../support/node-process.ts';

const SCHEMA = `
type Customer @table @export(public: [read]) {
  id: ID @primaryKey
  name: String
  country: String @indexed
  orders: [Order] @relationship(to: customerId)
}
type Order @table @export(public: [read, delete]) {
  id: ID @primaryKey
  customerId: ID @indexed
  productIds: [ID] @indexed
  parentId: ID @indexed
  price: Float
  count: Int
  address: Address
  customer: Customer @relationship(from: customerId)
  products: [Product] @relationship(from: productIds)
  parent: Order @relationship(from: parentId)
  secret: Secret @relationship(from: customerId)
  notes: [Note] @relationship(from: customerId, to: about)
  total: Float @computed(from: "price * count")
  size: String @computed(from: "price * count > 100 ? 'large' : 'small'") @indexed
}
type Address { city: String, zip: Int }
type Product @table @export(public: [read]) { id: ID @primaryKey, title: String }
type Secret @table { id: ID @primaryKey, text: String }
type Note @table @export(public: [read]) { id: ID @primaryKey, about: ID @indexed, text: String }
`;

const auth = {
  authorization: `Basic ${Buffer.from(`${ADMIN.username}:${ADMIN.password}`).toString('base64')}`,
};

const RECORDS: Readonly<Record<string, object>> = {
  'Customer/a': { name: 'Ada', country: 'UK' },
  'Customer/b': { name: 'Bo', country: 'DE' },
  'Product/p1': { title: 'Pen' },
  'Product/p2': { title: 'Ink' },
  'Note/n1': { about: 'a', text: 'kind' },
  'Order/1': {
    ...{ customerId: 'a', productIds: ['p2', 'p1'], price: 60, count: 2 },
    address: { city: 'York', zip: 1 },
  },
  'Order/2': { customerId: 'b', productIds: ['p1', 'gone'], price: 5, count: 3, parentId: '1' },
  'Order/3': { customerId: 'nobody', price: 1, count: 1, parentId: '2' },
  'Order/4': { price: 200, count: 1 },
};

describe('relationships', () => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startNode({ files: { 'schema.graphql': SCHEMA } });
    for (const [place, record] of Object.entries(RECORDS)) {
      expect((await node.put(`/${place}`, record, auth)).status).toBe(201);
    }
  });
  afterAll(() => node.dispose());

  const get = async (target: string, headers: Record<string, string> = {}): Promise<unknown> => {
    const response = await node.fetch(target, { headers });
    const text = await response.text();
    expect([target, response.status, text]).toEqual([target, 200, expect.any(String)]);
    return JSON.parse(text);
  };

  it.each([
    ['/Order/?customer.country=DE&select(id)', ['2']],
    ['/Order/?customer.country!=DE&select(id)', ['1']],
    ['/Order/?customer.country=DE|price=200&sort(id)&select(id)', ['2', '4']],
    ['/Order/?parent.parent.customer.name=Ada&select(id)', ['3']],
    ['/Order/?products.title=Pen&sort(id)&select(id)', ['1', '2']],
    ['/Order/?notes.text=kind&select(id)', ['1']],
    ['/Customer/?orders.price=gt=50&select(id)', ['a']],
    ['/Customer/?orders.products.title=Ink&select(name)', ['Ada']],
    ['/Order/?sort(-customer.name,id)&select(id)', ['2', '1', '3', '4']],
    ['/Order/?customer.country=DE&after()&select(id)', ['2']],
    [
      '/Order/?total=gt=100&sort(-total)&select([id,total])',
      [
        ['4', 200],
        ['1', 120],
      ],
    ],
    ['/Order/?size=large&sort(id)&select(id)', ['1', '4']],
  ])('answer %s', async (target, expected) => expect(await get(target)).toEqual(expected));

  it.each([
    [
      '/Order/?sort(id)&limit(3)&select(id,customer{name},address{city})',
      [
        { id: '1', customer: { name: 'Ada' }, address: { city: 'York' } },
        { id: '2', customer: { name: 'Bo' } },
        { id: '3' },
      ],
    ],
    ['/Order/1?select(products{title})', { products: [{ title: 'Ink' }, { title: 'Pen' }] }],
    ['/Order/2?select(products{$id})', { products: [{ $id: 'p1' }] }],
    ['/Order/1.customer', { name: 'Ada', country: 'UK', id: 'a' }],
    ['/Order/1.total', 120],
    [
      '/Order/3?select(id,parent{id,parent{id,total}})',
      {
        id: '3',
        parent: { id: '2', parent: { id: '1', total: 120 } },
      },
    ],
    [
      '/Customer/b?select(orders{id,customer{orders{id}}})',
      {
        orders: [{ id: '2', customer: { orders: [{ id: '2' }] } }],
      },
    ],
  ])('select %s', async (target, expected) => expect(await get(target)).toEqual(expected));

  it('and what is computed are in no answer that does not select them', async () => {
    const whole = (await get('/Order/4')) as object;
    expect(Object.keys(whole).toSorted()).toEqual(['count', 'id', 'price']);
  });

  it('to a table that the reader may not read are refused, wherever they stand', async () => {
    for (const query of ['secret.text=x', 'select(secret{text})', 'sort(secret.text)']) {
      const response = await node.fetch(`/Order/?${query}`);
      expect([query, response.status]).toEqual([query, 401]);
      expect(await response.text()).toContain('Secret');
    }
    expect((await node.fetch('/Order/1.secret')).status).toBe(401);
    const removal = await node.fetch('/Order/?secret.text=x', { method: 'DELETE' });
    expect(removal.status).toBe(401);
    expect(await get('/Order/?secret.text=x&select(id)', auth)).toEqual([]);
  });

  it('that change give a part another tag', async () => {
    const tagOf = async () =>
      (await node.fetch('/Order/2?select(customer{name})')).headers.get('etag') ?? '';
    const tag = await tagOf();
    const headers = { 'if-none-match': tag };
    const same = await node.fetch('/Order/2?select(customer{name})', { headers });
    expect(same.status).toBe(304);
    await node.put('/Customer/b', { name: 'Bob', country: 'DE' }, auth);
    expect(await tagOf()).not.toBe(tag);
    await node.put('/Customer/b', { name: 'Bo', country: 'DE' }, auth);
  });

  it.each(['application/x-ndjson', 'application/cbor', 'application/msgpack', 'text/csv'])(
    'are given as %s',
    async (accept) => {
      const target = '/Order/?id=1&select(id,customer{name})';
      const response = await node.fetch(target, { headers: { accept } });
      expect([response.status, response.headers.get('content-type')?.startsWith(accept)]).toEqual([
        200,
        true,
      ]);
      expect(await response.text()).toContain('Ada');
    },
  );

  it('are followed to a depth, and no further', async () => {
    const deep = `${'parent{'.repeat(9)}id${'}'.repeat(9)}`;
    expect((await node.fetch(`/Order/?select(${deep})`)).status).toBe(400);
    expect((await node.fetch(`/Order/?${'parent.'.repeat(9)}id=1`)).status).toBe(400);
    expect((await node.fetch('/Order/?customer=a')).status).toBe(400);
    expect((await node.fetch('/Customer/?sort(orders.price)')).status).toBe(400);
  });

  it('are found from the narrow side, as explain() says', async () => {
    expect(await get('/Order/?customer.country=DE&explain()')).toMatchObject({
      access: {
        ...{ kind: 'join', relationship: 'customer', attribute: 'customerId' },
        related: { table: 'Customer', access: { kind: 'index', attribute: 'country', rows: 1 } },
      },
      residual: [],
    });
    expect(await get('/Order/?size=large&explain()')).toMatchObject({
      access: { kind: 'index', attribute: 'size', rows: 2 },
    });
  });
});

describe('an indexed computed attribute', () => {
  const schema = (from: string) => `
type Item @table @export(public: [read, insert, update]) {
  id: ID @primaryKey
  name: String
  key: String @indexed @computed(from: "${from}")
}`;

  it('is built anew when its expression changes, and keeps out what it cannot compute', async () => {
    let node = await startNode({ files: { 'schema.graphql': schema('name.toLowerCase()') } });
    try {
      expect((await node.put('/Item/1', { name: 'Ab' })).status).toBe(201);
      expect(await keysOf(node, 'ab')).toEqual(['1']);
      const refused = await node.put('/Item/2', { note: 'without a name' });
      expect([refused.status, await refused.text()]).toEqual([400, expect.stringContaining('key')]);
      const { folder } = node;
      await node.stop();
      const files = { 'schema.graphql': schema('name.toUpperCase()') };
      node = await startNode({ files, folder });
      await expect.poll(() => keysOf(node, 'AB'), { timeout: 10_000 }).toEqual(['1']);
      expect(await keysOf(node, 'ab')).toEqual([]);
      expect((await node.put('/Item/1', { name: 'Cd' })).status).toBe(204);
      expect([await keysOf(node, 'AB'), await keysOf(node, 'CD')]).toEqual([[], ['1']]);
    } finally {
      await node.dispose();
    }
  });

  const keysOf = async (node: NodeProcess, key: string): Promise<unknown> =>
    (await node.fetch(`/Item/?key=${key}&select(id)`)).json();

  it.each([
    ['an expression that is none', 'key: String @computed(from: "1 +")'],
    ['a relationship without its index', 'others: [Other] @relationship(to: itemId)'],
    ['one record where there are several', 'ids: [ID] other: Other @relationship(from: ids)'],
  ])('and relationships are refused at start for %s, with line and cure', async (_what, field) => {
    const files = {
      'schema.graphql': `type Item @table { id: ID @primaryKey\n ${field}\n}
type Other @table { id: ID @primaryKey, itemId: ID }`,
    };
    await expect(startNode({ files })).rejects.toThrow(/schema\.graphql:2[\s\S]*cure/);
  });
});

/** Collections on a real node: listed, filtered by equality, cut, streamed. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NodeProcess } from '../support/node-process.ts';
import { ENGINES, expectProblem, json, startItems } from '../support/scenario-apps.ts';

const ROWS = 5_000;
const PARALLEL = 50;
type Row = Record<string, unknown>;

describe.each(ENGINES)('collections over %s', (engine) => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startItems(engine);
    await node.put('/Item/a', { tag: 'x', price: 1.5, open: true, n: 1, tags: ['red', 'blue'] });
    await node.put('/Item/b', { tag: 'y', price: 2, open: false, n: 2, tags: ['blue'] });
    await node.put('/Item/c', { tag: 'x', price: -3, at: '2026-01-02T03:04:05.000Z', n: 1 });
    await node.put('/Item/d', { tag: null, note: 'a&b=c' });
    await node.put('/Item/a/1', { tag: 'below' });
    await node.put('/Item/a/2', { tag: 'below' });
    await node.put('/Item/ab', { tag: 'beside' });
  });
  afterAll(() => node.dispose());

  const list = async (target: string): Promise<Row[]> =>
    (await json(await node.fetch(target))) as Row[];
  const ids = async (target: string) => (await list(target)).map((row) => row.id).sort();

  it('lists every record of a table as one JSON array', async () => {
    const response = await node.fetch('/Item/');
    expect(response.headers.get('content-type')).toMatch(/^application\/json/);
    expect(response.headers.get('cache-status')).toMatch(/^millrace/);
    const rows = (await json(response)) as Row[];
    expect(rows.map((row) => row.id)).toEqual(['a', 'a/1', 'a/2', 'ab', 'b', 'c', 'd']);
    expect(rows[4]).toEqual({
      ...{ id: 'b', tag: 'y', price: 2, open: false, n: 2, tags: ['blue'] },
    });
  });

  it.each([
    ['text', 'tag=x', ['a', 'c']],
    ['a number', 'price=1.5', ['a']],
    ['a negative number', 'price=-3', ['c']],
    ['true', 'open=true', ['a']],
    ['false', 'open=false', ['b']],
    ['null, which an absent attribute is too', 'tag=null', ['d']],
    ['a date', 'at=2026-01-02T03:04:05.000Z', ['c']],
    [
      'the same date in another zone',
      `at=${encodeURIComponent('2026-01-02T05:04:05+02:00')}`,
      ['c'],
    ],
    ['the same date as a number', `at=${Date.UTC(2026, 0, 2, 3, 4, 5)}`, ['c']],
    ['an element of a list', 'tags=blue', ['a', 'b']],
    ['an attribute without an index', 'n=1', ['a', 'c']],
    ['encoded text', 'note=a%26b%3Dc', ['d']],
    ['several at once', 'tag=x&n=1&open=true', ['a']],
    ['nothing that is there', 'tag=nowhere', []],
  ])('filters by equality with %s', async (_what, query, expected) => {
    expect(await ids(`/Item/?${query}`)).toEqual(expected);
  });

  it('follows a record that changes its value, and one that goes', async () => {
    await node.put('/Item/moving', { tag: 'before' });
    await node.put('/Item/moving', { tag: 'after' });
    expect([await ids('/Item/?tag=before'), await ids('/Item/?tag=after')]).toEqual([
      [],
      ['moving'],
    ]);
    await node.fetch('/Item/moving', { method: 'DELETE' });
    expect(await ids('/Item/?tag=after')).toEqual([]);
  });

  it('cuts by limit(end) and limit(start,end), with conditions too', async () => {
    const all = await ids('/Item/');
    expect(await ids('/Item/?limit(2)')).toEqual(all.slice(0, 2));
    expect(await ids('/Item/?limit(2,5)')).toEqual(all.slice(2, 5));
    expect(await ids('/Item/?tag=x&limit(1,2)')).toEqual(['c']);
    expect(await ids('/Item/?limit(0)')).toEqual([]);
    expect(await ids('/Item/?limit(100,110)')).toEqual([]);
  });

  it('lists what is below a prefix, and not what is beside it', async () => {
    expect(await ids('/Item/a/')).toEqual(['a/1', 'a/2']);
    expect(await ids('/Item/a/?limit(1)')).toEqual(['a/1']);
    expect(await ids('/Item/nothing/')).toEqual([]);
  });

  it('answers an empty table with an empty array', async () => {
    expect(await list('/Sealed/')).toEqual([]);
  });

  it('says what a table is at its name', async () => {
    const description = await json(await node.fetch('/Item'));
    expect(description).toMatchObject({
      ...{ name: 'Item', type: 'Item', database: 'data', primaryKey: 'id', collection: '/Item/' },
      attributes: expect.arrayContaining([
        { name: 'tags', type: 'String', list: true, required: false, indexed: true },
      ]),
    });
  });

  it.each([
    ['an attribute that the type has not', 'nope=1', 0],
    ['the second condition', 'tag=x&nope=1', 6],
    ['a number that is none', 'tag=x&price=cheap', 12],
    ['a boolean that is none', 'open=maybe', 5],
    ['a limit that ends before it starts', 'limit(5,2)', 6],
    ['a limit beyond what one answer holds', 'limit(1000001)', 6],
    ['something that is no condition', 'tag', 0],
    ['percent-encoding that is none', 'tag=%zz', 4],
  ])('refuses %s and says where', async (_what, query, position) => {
    const problem = await expectProblem(await node.fetch(`/Item/?${query}`), 400, 'QUERY_INVALID');
    expect(problem.detail).toContain(`position ${position}:`);
  });

  it('streams five thousand rows intact, in the order of their keys', async () => {
    const note = 'ü'.repeat(200);
    let next = 1;
    const write = async () => {
      for (let id = next++; id <= ROWS; id = next++) {
        expect((await node.put(`/Number/${id}`, { name: `row ${id}`, tag: note })).status).toBe(
          201,
        );
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, write));
    const rows = await list(`/Number/?limit(${ROWS})`);
    expect(rows).toHaveLength(ROWS);
    rows.forEach((row, at) => {
      expect(row).toEqual({ id: at + 1, name: `row ${at + 1}`, tag: note });
    });
    // Through the index, and through the default limit.
    expect(await ids(`/Number/?tag=${encodeURIComponent(note)}&limit(4990,${ROWS})`)).toEqual([
      4991, 4992, 4993, 4994, 4995, 4996, 4997, 4998, 4999, 5000,
    ]);
    expect(await list('/Number/')).toHaveLength(1_000);
  });
});

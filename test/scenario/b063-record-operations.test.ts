/** Operations on records, over the admin port of a real node (docs/bulk.md). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { behave, HttpOrigin } from '../support/http-origin.ts';
import { ADMIN, type NodeProcess, startNode } from '../support/node-process.ts';
import { expectProblem, JSON_BODY } from '../support/scenario-apps.ts';

const SCHEMA = `
type Seat @table @export(public: [read, insert]) {
  id: ID @primaryKey
  row: Int! @indexed
  note: String @indexed
  sold: Date
  serial: BigInt
}
type Count @table(database: "stats") @export { id: Int @primaryKey, name: String }
type Item @table @sourcedFrom(origin: "shop", path: "/items/{id}") @export(public: [read]) {
  id: ID @primaryKey
  note: String
}
type Page @pages(origin: "shop", path: "/*")
`;
const AS_ADMIN = Buffer.from(`${ADMIN.username}:${ADMIN.password}`).toString('base64');

describe.each([1, 2])('operations on records with %i threads', (threads) => {
  let node: NodeProcess;
  let origin: HttpOrigin;
  beforeAll(async () => {
    origin = await HttpOrigin.start(() => behave.json({ note: 'from the shop' }));
    node = await startNode({
      files: {
        'schema.graphql': SCHEMA,
        'origins/shop.yaml': `kind: http\nurl: ${origin.url}\nallowPrivate: true\n`,
      },
      flags: ['--threads', String(threads)],
    });
  });
  afterAll(async () => {
    await node.dispose();
    await origin.close();
  });

  const send = (document: object) =>
    fetch(`${node.admin}/`, {
      method: 'POST',
      headers: { authorization: `Basic ${AS_ADMIN}`, ...JSON_BODY },
      body: JSON.stringify(document),
    });
  const on = (operation: string, args: object) =>
    node.operate({ operation, table: 'Seat', ...args });
  const insert = (...records: object[]) => on('insert', { records });
  const found = (ids: readonly unknown[]) => on('search_by_id', { ids });

  it('inserts what is not there, makes keys, and skips and names what is there', async () => {
    await insert({ id: 'i1', row: 1 });
    const answer = await insert({ id: 'i1', row: 9 }, { id: 'i2', row: 2 }, { row: 3 });
    expect(answer).toEqual({
      message: 'inserted 2 of 3 records',
      inserted_hashes: ['i2', expect.any(String)],
      skipped_hashes: ['i1'],
    });
    const made = (answer.inserted_hashes as string[])[1];
    expect(await found(['i1', 'i2', made])).toEqual([
      { id: 'i1', row: 1 },
      { id: 'i2', row: 2 },
      { id: made, row: 3 },
    ]);
    expect(await (await node.fetch('/Seat/i2')).json()).toEqual({ id: 'i2', row: 2 });
  });

  it('updates what is there by merging, and skips what is not', async () => {
    await insert({ id: 'u1', row: 1, note: 'kept' });
    const records = [
      { id: 'u1', row: 5 },
      { id: 'u-none', row: 6 },
    ];
    expect(await on('update', { records })).toEqual({
      message: 'updated 1 of 2 records',
      update_hashes: ['u1'],
      skipped_hashes: ['u-none'],
    });
    expect(await found(['u1', 'u-none'])).toEqual([{ id: 'u1', row: 5, note: 'kept' }]);
  });

  it('upserts: merges what is there, makes what is not', async () => {
    await insert({ id: 'm1', row: 1, note: 'kept' });
    const records = [{ id: 'm1', row: 2 }, { id: 'm2', row: 3 }, { row: 4 }];
    const answer = await on('upsert', { records });
    expect(answer).toEqual({
      message: 'upserted 3 of 3 records',
      upserted_hashes: ['m1', 'm2', expect.any(String)],
      skipped_hashes: [],
    });
    expect(await found(['m1', 'm2'])).toEqual([
      { id: 'm1', row: 2, note: 'kept' },
      { id: 'm2', row: 3 },
    ]);
  });

  it('deletes by ids or hash_values, and skips what is not there', async () => {
    await insert({ id: 'd1', row: 1 }, { id: 'd2', row: 1 });
    expect(await on('delete', { ids: ['d1', 'd-none', 'd1'] })).toEqual({
      message: 'deleted 1 of 2 records',
      deleted_hashes: ['d1'],
      skipped_hashes: ['d-none'],
    });
    expect(await on('delete', { hash_values: ['d2'] })).toMatchObject({ deleted_hashes: ['d2'] });
    expect((await node.fetch('/Seat/d1')).status).toBe(404);
  });

  it.each(['insert', 'update', 'upsert'])('%s writes nothing when one is broken', async (name) => {
    await insert({ id: `${name}-old`, row: 1 });
    const bad = { id: `${name}-old`, row: 'one' };
    const records = [{ id: `${name}-new`, row: 7 }, { id: `${name}-old`, row: 7 }, bad];
    const response = await send({ operation: name, table: 'Seat', records });
    const problem = (await response.json()) as { code: string; detail: string };
    expect([response.status, problem.code]).toEqual([400, 'RECORD_INVALID']);
    expect(problem.detail).toMatch(/row 3: .*row: expected Int.*nothing was written/);
    expect(await found([`${name}-new`, `${name}-old`])).toEqual([{ id: `${name}-old`, row: 1 }]);
  });

  it('writes nothing when the merged record would be broken', async () => {
    await insert({ id: 'merged', row: 1 });
    const records = [
      { id: 'merged', row: 2 },
      { id: 'lacks-its-row', note: 'x' },
    ];
    const response = await send({ operation: 'upsert', table: 'Seat', records });
    await expectProblem(response, 400, 'RECORD_INVALID');
    expect(await found(['merged', 'lacks-its-row'])).toEqual([{ id: 'merged', row: 1 }]);
  });

  it('finds by key in the order asked, under both names, with the attributes named', async () => {
    await insert({ id: 'k1', row: 1, note: 'a' }, { id: 'k2', row: 2, note: 'b' });
    const select = { get_attributes: ['id', 'note'] };
    const expected = [
      { id: 'k2', note: 'b' },
      { id: 'k1', note: 'a' },
    ];
    const ids = ['k2', 'k-none', 'k1'];
    expect(await on('search_by_id', { ids, ...select })).toEqual(expected);
    expect(await on('search_by_hash', { hash_values: ids, ...select })).toEqual(expected);
    expect(await on('search_by_id', { ids: ['k1'], get_attributes: ['*'] })).toEqual([
      { id: 'k1', row: 1, note: 'a' },
    ]);
  });

  it.each([
    ['sv-front left', ['sv1']],
    ['sv-front*', ['sv1', 'sv2']],
    ['*sv-back', ['sv4']],
    ['*v-f*', ['sv1', 'sv2', 'sv3']],
  ])('finds by the value %s', async (value, expected) => {
    const notes = ['sv-front left', 'sv-front right', 'old sv-front', 'sv-back'];
    await on('upsert', {
      records: notes.map((note, index) => ({ id: `sv${index + 1}`, row: 70, note })),
    });
    const sort = { attribute: 'id' };
    const named = { search_attribute: 'note', search_value: value };
    const answer = await on('search_by_value', { ...named, get_attributes: ['id'], sort });
    expect(answer).toEqual(expected.map((id) => ({ id })));
    expect(await on('search_by_value', { attribute: 'note', value, sort })).toHaveLength(
      expected.length,
    );
  });

  it('finds by conditions, in groups, in order, and within a window', async () => {
    await on('upsert', {
      records: [1, 2, 3, 4].map((n) => ({ id: `c${n}`, row: 80 + (n % 2), note: `c ${n}` })),
    });
    const rows = { search_attribute: 'row', search_type: 'between', search_value: [80, 81] };
    const either = {
      operator: 'or',
      conditions: [
        { attribute: 'note', comparator: 'equals', value: 'c 1' },
        { attribute: 'note', comparator: 'greater_than_equal', value: 'c 3' },
      ],
    };
    const query = {
      operator: 'and',
      conditions: [rows, either],
      get_attributes: ['id'],
      sort: { attribute: 'row', descending: true, next: { attribute: 'id' } },
    };
    const all = [{ id: 'c1' }, { id: 'c3' }, { id: 'c4' }];
    expect(await on('search_by_conditions', query)).toEqual(all);
    expect(await on('search_by_conditions', { ...query, offset: 1, limit: 1 })).toEqual([all[1]]);
  });

  it('finds a table by its database, under both names', async () => {
    const records = [{ id: 1, name: 'one' }];
    const count = { database: 'stats', table: 'Count' };
    expect(await on('insert', { ...count, records })).toMatchObject({ inserted_hashes: [1] });
    const bySchema = { schema: 'stats', table: 'Count', ids: [1] };
    expect(await on('search_by_id', bySchema)).toEqual(records);
    const response = await send({ operation: 'search_by_id', ...bySchema, schema: 'data' });
    await expectProblem(response, 404, 'TABLE_UNKNOWN');
  });

  it('asks the origin of a cache for a record that is searched by its key', async () => {
    const answer = await on('search_by_id', { table: 'Item', ids: ['asked'] });
    expect(answer).toEqual([{ id: 'asked', note: 'from the shop' }]);
  });

  it('writes of a cache only what it holds', async () => {
    await node.fetch('/Item/held');
    const records = ['held', 'not-held'].map((id) => ({ id, note: 'written' }));
    expect(await on('update', { table: 'Item', records })).toMatchObject({
      ...{ update_hashes: ['held'], skipped_hashes: ['not-held'] },
    });
    expect(await on('upsert', { table: 'Item', records })).toMatchObject({
      ...{ upserted_hashes: ['held'], skipped_hashes: ['not-held'] },
    });
    expect(await on('search_by_id', { table: 'Item', ids: ['held'] })).toEqual([records[0]]);
  });

  it('inserts each key once when several insert the same ones at the same time', async () => {
    const keys = Array.from({ length: 20 }, (_, index) => `r${index}`);
    const answers = await Promise.all(
      [1, 2, 3, 4].map((row) => insert(...keys.map((id) => ({ id, row })))),
    );
    const inserted = answers.flatMap((answer) => answer.inserted_hashes as string[]);
    expect(inserted.sort()).toEqual(keys.sort());
    const skipped = answers.flatMap((answer) => answer.skipped_hashes as string[]);
    expect(skipped).toHaveLength(3 * keys.length);
  });

  it('refuses a search that finds more than an answer holds, and answers a part', async () => {
    const lines = Array.from({ length: 10_001 }, (_, index) => `{"id":"x${index}","row":999}`);
    const headers = { 'content-type': 'application/x-ndjson' };
    await node.fetch('/Seat/', { method: 'POST', headers, body: lines.join('\n') });
    const search = { attribute: 'row', value: 999, get_attributes: ['row'] };
    const refused = await send({ operation: 'search_by_value', table: 'Seat', ...search });
    await expectProblem(refused, 422, 'QUERY_TOO_EXPENSIVE');
    expect(await on('search_by_value', { ...search, limit: 10_000 })).toHaveLength(10_000);
    expect(await on('search_by_value', { ...search, offset: 10_000 })).toHaveLength(1);
  });

  const condition = (one: object) => ({
    operation: 'search_by_conditions',
    table: 'Seat',
    conditions: [one],
  });
  const many = Array.from({ length: 10_001 }, (_, index) => `n${index}`);
  const seat = (operation: string, args: object) => ({ operation, table: 'Seat', ...args });
  it.each([
    ['records that are no list', seat('insert', { records: {} }), /^records: a list/],
    ['a record that is no object', seat('insert', { records: [1] }), /entry 1 is no object/],
    ['an update without a key', seat('update', { records: [{ row: 1 }] }), /row 1 has no id/],
    ['too many keys', seat('delete', { ids: many }), /^ids: at most 10000.*in parts/],
    ['both names', seat('delete', { ids: ['a'], hash_values: ['a'] }), /mean the same/],
    ['attributes in no list', seat('search_by_id', { ids: ['a'], get_attributes: 1 }), /^get_attr/],
    ['a * inside', seat('search_by_value', { attribute: 'note', value: 'a*b' }), /at the ends/],
    ['no value', seat('search_by_value', { attribute: 'note' }), /^value: /],
    ['a limit of 0', { ...condition({ attribute: 'row', value: 1 }), limit: 0 }, /^limit: /],
    ['a foreign sort', { ...condition({ attribute: 'row', value: 1 }), sort: 'row' }, /^sort: /],
    ['no conditions', seat('search_by_conditions', { conditions: [] }), /^conditions: a list/],
    ['an unknown comparator', condition({ attribute: 'row', comparator: 'like' }), /there are equ/],
    ['no such operator', { ...condition({ attribute: 'row', value: 1 }), operator: 'xor' }, /"or"/],
    ['text for Int', condition({ attribute: 'row', value: 'x' }), /conditions\[0\].*"Int"/],
    ['text for BigInt', condition({ attribute: 'serial', value: 'x' }), /never "x"/],
    ['no Date', condition({ attribute: 'sold', value: 'soon' }), /never "soon"/],
    ['a pair of one', condition({ attribute: 'row', comparator: 'between', value: [1] }), /two/],
    ['pages', { operation: 'search_by_id', table: 'Page', ids: ['a'] }, /pages of an origin/],
    ['nodes to ask', seat('search_by_id', { ids: ['a'], replicateFrom: 1 }), /^replicateFrom: /],
  ])('refuses %s, naming the argument', async (_what, document, detail) => {
    const response = await send(document);
    const problem = (await response.json()) as { code: string; detail: string };
    expect([response.status, problem.code]).toEqual([400, 'USAGE']);
    expect(problem.detail).toMatch(detail);
  });
});

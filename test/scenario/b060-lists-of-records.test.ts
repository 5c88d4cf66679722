/** Lists of records to a collection: one transaction, all or nothing, in every format. */
import { pack } from 'msgpackr';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeCbor } from '../../src/protocols/http/cbor.ts';
import { type NodeProcess, startNode } from '../support/node-process.ts';

const SCHEMA = `
type Seat @table @export(public: [read, insert, update]) {
  id: ID @primaryKey
  row: Int! @indexed
  note: String
}
type Added @table @export(public: [read, insert]) { id: Int @primaryKey, note: String }
`;

describe.each([1, 2])('lists of records with %i threads', (threads) => {
  let node: NodeProcess;
  beforeAll(async () => {
    const flags = ['--threads', String(threads)];
    node = await startNode({ files: { 'schema.graphql': SCHEMA }, flags });
  });
  afterAll(() => node.dispose());

  const send = (
    method: string,
    body: string | Uint8Array<ArrayBuffer>,
    type = 'application/json',
    path = '/Seat/',
    headers: Record<string, string> = {},
  ) => node.fetch(path, { method, body, headers: { 'content-type': type, ...headers } });
  const read = async (path: string) => (await node.fetch(path)).json();

  const seats = (name: string) => [
    { id: `${name}1`, row: 1 },
    { id: `${name}2`, row: 2, note: 'aisle' },
  ];
  const bytesOf = (view: Uint8Array) => new Uint8Array(view);
  it.each([
    ['application/json', (rows: object[]) => JSON.stringify(rows)],
    ['application/x-ndjson', (rows: object[]) => rows.map((row) => JSON.stringify(row)).join('\n')],
    ['application/cbor', (rows: object[]) => bytesOf(encodeCbor(rows))],
    ['application/x-msgpack', (rows: object[]) => bytesOf(pack(rows))],
  ])('stores a list sent as %s', async (type, encode) => {
    const name = type.slice(12);
    const response = await send('PUT', encode(seats(name)), type);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ rows: 2, created: 2, updated: 0, unchanged: 0 });
    expect(await read(`/Seat/${name}2`)).toEqual(seats(name)[1]);
  });

  it('stores a list sent as text/csv, each field by the type of its attribute', async () => {
    const response = await send('PUT', 'id,row,note\ncsv1,1,\ncsv2,2,aisle\n', 'text/csv');
    expect(await response.json()).toMatchObject({ rows: 2, created: 2 });
    expect(await read('/Seat/csv2')).toEqual({ id: 'csv2', row: 2, note: 'aisle' });
  });

  it('writes nothing when the schema refuses one row, and names row and attribute', async () => {
    const rows = [...seats('bad'), { id: 'bad3', row: 'three' }];
    const response = await send('PUT', JSON.stringify(rows));
    expect(response.status).toBe(400);
    const problem = (await response.json()) as { code: string; detail: string };
    expect(problem.code).toBe('RECORD_INVALID');
    expect(problem.detail).toMatch(/row 3: .*row: expected Int/);
    expect((await node.fetch('/Seat/bad1')).status).toBe(404);
  });

  it('takes back what stood before the row which a precondition refuses', async () => {
    await send('PUT', JSON.stringify([{ id: 'taken', row: 1 }]));
    const rows = [
      { id: 'free', row: 5 },
      { id: 'taken', row: 9 },
    ];
    const headers = { 'if-none-match': '*' };
    const response = await send('PUT', JSON.stringify(rows), 'application/json', '/Seat/', headers);
    expect(response.status).toBe(412);
    expect((await node.fetch('/Seat/free')).status).toBe(404);
    expect(await read('/Seat/taken')).toEqual({ id: 'taken', row: 1 });
    expect(await read('/Seat/?row=5')).toEqual([]);
  });

  it('merges a list by key, and takes all back when a merged record is invalid', async () => {
    await send('PUT', JSON.stringify(seats('merge')));
    const good = await send('PATCH', JSON.stringify([{ id: 'merge1', note: 'window' }]));
    expect(await good.json()).toMatchObject({ updated: 1 });
    expect(await read('/Seat/merge1')).toEqual({ id: 'merge1', row: 1, note: 'window' });
    const bad = await send(
      'PATCH',
      JSON.stringify([
        { id: 'merge2', note: 'gone' },
        { id: 'new', note: 'no row' },
      ]),
    );
    expect(bad.status).toBe(400);
    expect(await read('/Seat/merge2')).toEqual(seats('merge')[1]);
  });

  it('generates the keys of a list that is posted, and refuses a key that is taken', async () => {
    const list = JSON.stringify([{ note: 'a' }, { note: 'b' }]);
    const response = await send('POST', list, 'application/json', '/Added/');
    expect(response.status).toBe(201);
    const { ids } = (await response.json()) as { ids: number[] };
    expect(new Set(ids).size).toBe(2);
    expect(await read(`/Added/${ids[1]}`)).toEqual({ id: ids[1], note: 'b' });
    const again = JSON.stringify([{ note: 'c' }, { id: ids[0], note: 'd' }]);
    expect((await send('POST', again, 'application/json', '/Added/')).status).toBe(409);
    expect(await read('/Added/?note=c')).toEqual([]);
  });

  it('still posts a single record', async () => {
    const response = await send('POST', '{"note":"one"}', 'application/json', '/Added/');
    expect(response.status).toBe(201);
    expect(response.headers.get('location')).toMatch(/^\/Added\/\d+$/);
  });

  it('refuses a single record without a key in the URL, and a list without keys', async () => {
    expect((await send('PUT', '{"id":"x","row":1}')).status).toBe(400);
    expect((await send('PUT', '[{"row":1}]')).status).toBe(400);
  });

  it('loses none of 64 clients counting up, and lets one win each version', async () => {
    await send('PUT', '[{"id":"count","row":0}]');
    const add = JSON.stringify([{ id: 'count', row: { __op__: 'add', value: 1 } }]);
    const client = async () => {
      for (let n = 0; n < 20; n += 1) expect((await send('PATCH', add)).status).toBe(200);
    };
    await Promise.all(Array.from({ length: 64 }, client));
    expect(await read('/Seat/count')).toEqual({ id: 'count', row: 64 * 20 });
    const tag = (await node.fetch('/Seat/count')).headers.get('etag') ?? '';
    const swap = (row: number) =>
      send('PUT', `{"row":${row}}`, 'application/json', '/Seat/count', { 'if-match': tag });
    const statuses = (await Promise.all(Array.from({ length: 64 }, (_, row) => swap(row)))).map(
      (response) => response.status,
    );
    expect(statuses.filter((status) => status === 204)).toHaveLength(1);
    expect(statuses.filter((status) => status === 412)).toHaveLength(63);
  });
});

/** Records and collections in every format on a real node: read, written, validated, refused. */
import { Decoder, encode as encodeCbor } from 'cbor-x';
import { pack, unpack, unpackMultiple } from 'msgpackr';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NodeProcess } from '../support/node-process.ts';
import { ENGINES, expectProblem, JSON_BODY, startItems } from '../support/scenario-apps.ts';

const cbor = new Decoder({ useRecords: false, mapsAsObjects: true });
const bytesOf = async (response: Response) => Buffer.from(await response.arrayBuffer());
const linesOf = (bytes: Buffer) => bytes.toString().split('\n').filter(Boolean);

/** How a client of each format reads one record, reads a collection, and writes a record. */
const FORMATS = {
  'application/json': {
    record: (bytes: Buffer): unknown => JSON.parse(bytes.toString()),
    rows: (bytes: Buffer): unknown => JSON.parse(bytes.toString()),
    write: (record: object) => Buffer.from(JSON.stringify(record)),
  },
  'application/x-ndjson': {
    record: (bytes: Buffer): unknown => JSON.parse(bytes.toString()),
    rows: (bytes: Buffer): unknown => linesOf(bytes).map((line) => JSON.parse(line)),
    write: (record: object) => Buffer.from(`${JSON.stringify(record)}\n`),
  },
  'application/cbor': {
    record: (bytes: Buffer): unknown => cbor.decode(bytes),
    rows: (bytes: Buffer): unknown => cbor.decode(bytes),
    write: (record: object) => encodeCbor(record),
  },
  'application/x-msgpack': {
    record: (bytes: Buffer): unknown => unpack(bytes),
    rows: (bytes: Buffer): unknown => (bytes.length === 0 ? [] : unpackMultiple(bytes)),
    write: (record: object) => pack(record),
  },
} as const;
const TYPES = Object.keys(FORMATS) as (keyof typeof FORMATS)[];
const ROWS = 700;

describe.each(ENGINES)('formats over %s', (engine) => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startItems(engine);
    const ids = Array.from({ length: ROWS }, (_, index) => index + 1);
    await Promise.all(ids.map((id) => node.put(`/Number/${id}`, { name: `n${id}`, tag: 'all' })));
  });
  afterAll(() => node.dispose());

  const get = (target: string, accept: string, more: Record<string, string> = {}) =>
    node.fetch(target, { headers: { accept, ...more } });
  const send = (method: string, target: string, type: string, body: Uint8Array | string) =>
    node.fetch(target, { method, body, headers: { 'content-type': type } });

  it.each(TYPES)('takes a record as %s and gives it back in every format', async (type) => {
    const record = {
      tag: 'x',
      n: 7,
      price: 1.5,
      open: true,
      tags: ['a', 'grüße 👋'],
      extra: { a: null },
    };
    const key = encodeURIComponent(type);
    expect((await send('PUT', `/Item/${key}`, type, FORMATS[type].write(record))).status).toBe(201);
    for (const accept of TYPES) {
      const response = await get(`/Item/${key}`, accept);
      expect(response.headers.get('content-type')).toBe(accept);
      expect(FORMATS[accept].record(await bytesOf(response))).toEqual({ id: type, ...record });
    }
  });

  it.each(TYPES)('patches and creates with %s', async (type) => {
    const created = await send('POST', '/Item/', type, FORMATS[type].write({ tag: 'new', n: 1 }));
    expect(created.status).toBe(201);
    const target = created.headers.get('location') ?? '';
    const patched = await send('PATCH', target, type, FORMATS[type].write({ n: 2 }));
    expect(patched.status).toBe(204);
    expect(await (await node.fetch(target)).json()).toMatchObject({ tag: 'new', n: 2 });
  });

  it.each(TYPES)('serves a collection of one page, of many, and of none as %s', async (type) => {
    const { rows } = FORMATS[type];
    const few = await get('/Number/?limit(3)', type);
    expect(few.headers.get('content-type')).toBe(type);
    expect(rows(await bytesOf(few))).toEqual(
      [1, 2, 3].map((id) => ({ id, name: `n${id}`, tag: 'all' })),
    );
    expect(rows(await bytesOf(await get('/Number/', type)))).toHaveLength(ROWS);
    expect(rows(await bytesOf(await get('/Number/?tag=none', type)))).toEqual([]);
  });

  it('serves CSV with the declared columns, quoted where needed [RFC4180 §2]', async () => {
    const record = { tag: 'a,b', note: 'says "hi"\nthere', tags: ['x'], n: 3 };
    await send('PUT', '/Item/csv', 'application/json', JSON.stringify(record));
    const response = await get('/Item/csv', 'text/csv');
    expect(response.headers.get('content-type')).toBe('text/csv; charset=utf-8');
    expect(await response.text()).toBe(
      'id,tag,price,open,at,tags,n,note\r\n' + 'csv,"a,b",,,,"[""x""]",3,"says ""hi""\nthere"\r\n',
    );
    const rows = (await (await get('/Number/', 'text/csv')).text()).trimEnd().split('\r\n');
    expect([rows[0], rows[1], rows.length]).toEqual(['id,name,tag', '1,n1,all', ROWS + 1]);
    expect(await (await get('/Number/?tag=none', 'text/csv')).text()).toBe('id,name,tag\r\n');
  });

  it('takes a record as CSV, by the types of its attributes', async () => {
    const body = 'tag,n,open,tags,extra\r\n"a, b",5,true,"[""x"",""y""]",007\r\n';
    expect((await send('PUT', '/Item/from-csv', 'text/csv', body)).status).toBe(201);
    expect(await (await node.fetch('/Item/from-csv')).json()).toEqual({
      id: 'from-csv',
      tag: 'a, b',
      n: 5,
      open: true,
      tags: ['x', 'y'],
      extra: '007',
    });
    const words = await send('PUT', '/Item/from-csv', 'text/csv', 'n\r\nmany\r\n');
    await expectProblem(words, 400, 'BODY_MALFORMED');
    await expectProblem(await send('PUT', '/Item/z', 'text/csv', 'n\r\n'), 400, 'BODY_MALFORMED');
  });

  it('serves the best of what the client accepts [RFC9110 §12.5.1]', async () => {
    await node.put('/Item/pick', { tag: 'x' });
    const typeFor = async (accept: string) =>
      (await get('/Item/pick', accept)).headers.get('content-type');
    expect(await typeFor('*/*')).toBe('application/json');
    expect(await typeFor('text/html,application/xhtml+xml,*/*;q=0.8')).toBe('application/json');
    expect(await typeFor('application/json;q=0.5, application/cbor')).toBe('application/cbor');
    expect(await typeFor('application/cbor;q=0, application/*;q=0.1')).toBe('application/json');
    expect(await typeFor('text/*')).toBe('text/csv; charset=utf-8');
    expect(await typeFor('application/vnd.msgpack')).toBe('application/vnd.msgpack');
  });

  it('refuses what it cannot serve with 406 and what it cannot read with 415, naming what it can', async () => {
    for (const target of ['/Item/pick', '/Item/']) {
      const problem = await expectProblem(await get(target, 'image/png'), 406, 'NOT_ACCEPTABLE');
      expect(problem.detail).toContain('application/cbor');
    }
    const xml = await send('PUT', '/Sealed/x', 'application/xml', '<a/>');
    const problem = await expectProblem(xml, 415, 'CONTENT_TYPE_UNSUPPORTED');
    expect(problem.detail).toContain('application/x-msgpack');
    const cut = await send(
      'PUT',
      '/Item/x',
      'application/cbor',
      encodeCbor({ a: 1 }).subarray(0, 2),
    );
    await expectProblem(cut, 400, 'BODY_MALFORMED');
    const list = await send('PUT', '/Item/x', 'application/x-msgpack', pack([{ a: 1 }]));
    await expectProblem(list, 400, 'BODY_MALFORMED');
  });

  it('gives each representation a tag of its own, and honours it [RFC9110 §8.8.3, §13.1.2]', async () => {
    await node.put('/Item/tags', { tag: 'x' });
    const seen = new Map<string, string>();
    for (const accept of [...TYPES, 'text/csv']) {
      const response = await get('/Item/tags', accept);
      expect(response.headers.get('vary')).toContain('accept');
      seen.set(accept, response.headers.get('etag') ?? '');
    }
    expect(new Set(seen.values()).size).toBe(seen.size);
    for (const [accept, etag] of seen) {
      const statusOf = async (tag: string) =>
        (await get('/Item/tags', accept, { 'if-none-match': tag })).status;
      expect(await statusOf(etag)).toBe(304);
      const others = [...seen.values()].filter((tag) => tag !== etag);
      expect(await statusOf(others.join(', '))).toBe(200);
    }
  });

  it('lets who read one format write back under that tag [RFC9110 §13.1.1]', async () => {
    await node.put('/Item/cas', { n: 1 });
    const etag = (await get('/Item/cas', 'application/cbor')).headers.get('etag') ?? '';
    const write = () =>
      node.fetch('/Item/cas', {
        method: 'PUT',
        body: encodeCbor({ n: 2 }),
        headers: { 'content-type': 'application/cbor', 'if-match': etag },
      });
    expect((await write()).status).toBe(204);
    await expectProblem(await write(), 412, 'PRECONDITION_FAILED');
  });

  it('says the length of the representation in the answer to a HEAD [RFC9110 §9.3.2]', async () => {
    await node.put('/Item/head', { tag: 'x', tags: ['a', 'b'] });
    const full = await bytesOf(await get('/Item/head', 'application/cbor'));
    const head = await node.fetch('/Item/head', {
      method: 'HEAD',
      headers: { accept: 'application/cbor' },
    });
    expect(head.headers.get('content-length')).toBe(String(full.length));
    expect(head.headers.get('content-type')).toBe('application/cbor');
  });

  it('tells its problems as JSON whatever format was asked for [RFC9457 §3]', async () => {
    await expectProblem(await get('/Item/none', 'application/cbor'), 404, 'NOT_FOUND');
    const bad = await node.fetch('/Item/x', { method: 'PUT', body: '{', headers: JSON_BODY });
    await expectProblem(bad, 400, 'BODY_MALFORMED');
  });
});

/** Lists larger than one transaction: read while they come, written in batches, rows named. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { json } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NodeProcess, startNode } from '../support/node-process.ts';

const SCHEMA = `
type Seat @table @export(public: [read, insert, update, delete]) {
  id: ID @primaryKey
  row: Int! @indexed
  note: String
}
type Fresh @table @export(public: [read, insert]) { id: ID @primaryKey, row: Int! }
`;

interface Answer {
  readonly written: number;
  readonly failed: number;
  readonly errors: readonly { row: number; line: number; attribute?: string; problem: string }[];
  readonly code?: string;
}

describe.each([1, 2])('lists that are streamed with %i threads', (threads) => {
  let node: NodeProcess;
  beforeAll(async () => {
    const flags = ['--threads', String(threads)];
    node = await startNode({ files: { 'schema.graphql': SCHEMA }, flags });
  });
  afterAll(() => node.dispose());

  async function send(method: string, path: string, body: string, type = 'application/x-ndjson') {
    const response = await node.fetch(path, { method, body, headers: { 'content-type': type } });
    return { status: response.status, answer: (await response.json()) as Answer };
  }
  const exists = async (path: string) => (await node.fetch(path)).status === 200;
  const count = async (path: string) => ((await (await node.fetch(path)).json()) as []).length;
  const lines = (rows: readonly object[]) => rows.map((row) => JSON.stringify(row)).join('\n');

  it('writes a list beyond the atomic size in batches and counts its rows', async () => {
    const note = 'n'.repeat(1_000);
    const rows = Array.from({ length: 1_500 }, (_, row) => ({ id: `big${row}`, row, note }));
    const { status, answer } = await send('PUT', '/Seat/', lines(rows));
    expect(status).toBe(200);
    expect(answer).toEqual({ written: 1_500, failed: 0, errors: [] });
    expect(await (await node.fetch('/Seat/big1499')).json()).toEqual(rows[1499]);
    expect(await count('/Seat/?row=1499')).toBe(1);
  });

  it('goes on behind a failing row, and names row, line, attribute and value', async () => {
    const body =
      '{"id":"g1","row":1}\n\n{"id":"g2","row":"two"}\n{"id":\n{"row":4}\n{"id":"g5","row":5}';
    const { status, answer } = await send('PUT', '/Seat/?onError=continue', body);
    expect(status).toBe(200);
    expect(answer).toMatchObject({ written: 2, failed: 3 });
    expect(answer.errors).toMatchObject([
      { row: 2, line: 3, attribute: 'row', problem: expect.stringContaining('string "two"') },
      { row: 3, line: 4 },
      { row: 4, line: 5, attribute: 'id' },
    ]);
    expect(await exists('/Seat/g5')).toBe(true);
  });

  it('stops at the first failing row: what stands before it is written, nothing else', async () => {
    const body = lines([
      { id: 's1', row: 1 },
      { id: 's2', row: 'two' },
      { id: 's3', row: 3 },
    ]);
    const { status, answer } = await send('PUT', '/Seat/?onError=stop', body);
    expect(status).toBe(400);
    expect(answer).toMatchObject({ code: 'RECORD_INVALID', written: 1, failed: 1 });
    expect(await exists('/Seat/s1')).toBe(true);
    expect(await exists('/Seat/s3')).toBe(false);
  });

  it('stops at the first row which its commit refuses', async () => {
    await send('POST', '/Fresh/?onError=stop', '{"id":"taken","row":1}');
    const body = lines([
      { id: 'f1', row: 1 },
      { id: 'taken', row: 2 },
      { id: 'f3', row: 3 },
    ]);
    const { status, answer } = await send('POST', '/Fresh/?onError=stop', body);
    expect(status).toBe(400);
    expect(answer).toMatchObject({ written: 1, failed: 1, errors: [{ row: 2 }] });
    expect(await exists('/Fresh/f1')).toBe(true);
    expect(await exists('/Fresh/f3')).toBe(false);
    const more = await send('POST', '/Fresh/?onError=continue', body);
    expect(more.answer).toMatchObject({ written: 1, failed: 2, errors: [{ row: 1 }, { row: 2 }] });
    expect(await (await node.fetch('/Fresh/taken')).json()).toEqual({ id: 'taken', row: 1 });
  });

  it('lets a client who may only insert replace nothing', async () => {
    await send('POST', '/Fresh/?onError=stop', '{"id":"mine","row":1}');
    const { answer } = await send('PUT', '/Fresh/?onError=continue', '{"id":"mine","row":2}');
    expect(answer).toMatchObject({ written: 0, failed: 1 });
    expect(await (await node.fetch('/Fresh/mine')).json()).toEqual({ id: 'mine', row: 1 });
  });

  it('reads CSV with line breaks in quotes, and names the line of a broken row', async () => {
    const body = 'id,row,note\r\nc1,1,"two\nlines, ""quoted"""\r\nc2,x,\r\nc3,3\r\nc4,4,plain\r\n';
    const { answer } = await send('PUT', '/Seat/?onError=continue', body, 'text/csv');
    expect(answer).toMatchObject({ written: 2, failed: 2 });
    expect(answer.errors).toMatchObject([
      { row: 2, line: 4, attribute: 'row', problem: expect.stringContaining('"x"') },
      { row: 3, line: 5, problem: expect.stringContaining('2 fields under 3 names') },
    ]);
    const record = await (await node.fetch('/Seat/c1')).json();
    expect(record).toEqual({ id: 'c1', row: 1, note: 'two\nlines, "quoted"' });
  });

  it('names the first twenty failures and counts the others', async () => {
    const rows = Array.from({ length: 1_200 }, (_, index) => ({ id: `m${index}`, row: 'x' }));
    const { answer } = await send('PUT', '/Seat/?onError=continue', lines(rows));
    expect(answer.failed).toBe(1_200);
    expect(answer.errors.map(({ row }) => row)).toEqual(
      Array.from({ length: 20 }, (_, n) => n + 1),
    );
  });

  it('merges rows, and makes keys for rows which are posted without', async () => {
    await send('PUT', '/Seat/?onError=stop', '{"id":"p1","row":1}');
    await send('PATCH', '/Seat/?onError=stop', '{"id":"p1","row":{"__op__":"add","value":4}}');
    expect(await (await node.fetch('/Seat/p1')).json()).toEqual({ id: 'p1', row: 5 });
    const body = lines([{ row: 77 }, { row: 77 }]);
    const { answer } = await send('POST', '/Fresh/?onError=stop', body);
    expect(answer).toMatchObject({ written: 2, failed: 0 });
  });

  it('refuses what it cannot stream, and words it does not know', async () => {
    const json = await send('PUT', '/Seat/?onError=stop', '[]', 'application/json');
    expect(json).toMatchObject({ status: 400, answer: { code: 'QUERY_INVALID' } });
    const word = await send('PUT', '/Seat/?onError=perhaps', '{"id":"a","row":1}');
    expect(word).toMatchObject({ status: 400, answer: { code: 'QUERY_INVALID' } });
  });

  it('holds no memory for 100 MB', async () => {
    const memory = () => {
      const status = readFileSync(`/proc/${node.process.pid}/status`, 'utf8');
      return Number(/^RssAnon:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
    };
    const note = 'n'.repeat(2_000);
    const block = (first: number) => {
      const keys = Array.from({ length: 50 }, (_, n) => first + n);
      return `${lines(keys.map((key) => ({ id: `h${key % 5_000}`, row: 1e6 + key, note })))}\n`;
    };
    const upload = async (megabytes: number) => {
      const blocks = Array.from({ length: megabytes * 10 }, (_, n) => 50_000 + n * 50);
      // Keys differ in length: the lengths are added up ahead of the sending.
      const length = blocks.reduce((sum, first) => sum + block(first).length, 0);
      const sending = request(`${node.http}/Seat/?onError=continue`, {
        method: 'PUT',
        headers: { 'content-type': 'application/x-ndjson', 'content-length': length },
      });
      const answered = once(sending, 'response');
      for (const first of blocks) if (!sending.write(block(first))) await once(sending, 'drain');
      sending.end();
      const [response] = (await answered) as [IncomingMessage];
      return (await json(response)) as Answer;
    };
    // Fills what is held of any writes: the ring of changes, above all.
    await upload(40);
    const before = memory();
    let peak = before;
    const watch = setInterval(() => {
      peak = Math.max(peak, memory());
    }, 50);
    const answer = await upload(100);
    clearInterval(watch);
    expect(answer).toMatchObject({ written: 50_000, failed: 0 });
    // Less than was sent; the collector of a busy machine comes late, so not by much.
    expect(peak - before).toBeLessThan(80);
  }, 120_000);
});

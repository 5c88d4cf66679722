/** Bytes of any media type in a table: stored as they come, served as they came. [CT-3] */
import { request } from 'node:http';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { must } from '../../src/base/assert.ts';
import type { NodeProcess } from '../support/node-process.ts';
import { patternAt, patternChunks } from '../support/pattern.ts';
import { ENGINES, expectProblem, json, startItems } from '../support/scenario-apps.ts';

const KB = 1024;
const SMALL = 3 * KB + 1;
/** Between the size of a row and that of a file. */
const MIDDLE = 300 * KB;
const LARGE = 5 * KB * KB + 13;
const bytesOf = async (response: Response) => Buffer.from(await response.arrayBuffer());

describe.each(ENGINES)('bytes over %s', (engine) => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startItems(engine);
  });
  afterAll(() => node.dispose());

  const put = (target: string, type: string, body: Buffer, more: Record<string, string> = {}) =>
    node.fetch(target, { method: 'PUT', body, headers: { 'content-type': type, ...more } });
  const get = (target: string, headers: Record<string, string> = {}) =>
    node.fetch(target, { headers });

  it.each([
    ['small', SMALL, 'image/png'],
    ['middle', MIDDLE, 'application/octet-stream'],
    ['large', LARGE, 'video/mp4; codecs="av01"'],
    ['empty', 0, 'text/plain; charset=utf-8'],
  ])('serves %s bytes as they came, with their type and a tag', async (id, size, type) => {
    const bytes = patternAt(0, size);
    expect((await put(`/Item/${id}`, type, bytes)).status).toBe(201);
    for (const accept of ['*/*', 'image/*', 'application/json', 'text/csv']) {
      const response = await get(`/Item/${id}`, { accept, 'accept-encoding': 'identity' });
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toBe(type);
      expect(response.headers.get('content-length')).toBe(String(size));
      expect(response.headers.get('accept-ranges')).toBe('bytes');
      expect(response.headers.get('x-content-type-options')).toBe('nosniff');
      expect((await bytesOf(response)).equals(bytes)).toBe(true);
      const etag = response.headers.get('etag') ?? '';
      const again = await get(`/Item/${id}`, { 'if-none-match': etag });
      expect([again.status, (await bytesOf(again)).length]).toEqual([304, 0]);
    }
    const head = await node.fetch(`/Item/${id}`, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, String(size)]);
  });

  it.each([
    ['small', SMALL],
    ['large', LARGE],
  ])('answers ranges of %s bytes [RFC9110 §14]', async (id, size) => {
    await put(`/Item/r-${id}`, 'image/png', patternAt(0, size));
    const target = `/Item/r-${id}`;
    const middle = await get(target, { range: 'bytes=1000-2999' });
    expect([middle.status, middle.headers.get('content-range')]).toEqual([
      206,
      `bytes 1000-2999/${size}`,
    ]);
    expect((await bytesOf(middle)).equals(patternAt(1000, 2000))).toBe(true);
    const last = await get(target, { range: 'bytes=-7' });
    expect((await bytesOf(last)).equals(patternAt(size - 7, 7))).toBe(true);
    const parts = await get(target, { range: 'bytes=0-1,10-11' });
    expect(parts.status).toBe(206);
    expect(parts.headers.get('content-type')).toMatch(/^multipart\/byteranges; boundary=/);
    const text = (await bytesOf(parts)).toString('latin1');
    expect(text).toContain(`content-range: bytes 10-11/${size}\r\n\r\n`);
    expect(text).toContain(patternAt(10, 2).toString('latin1'));
    const beyond = await get(target, { range: `bytes=${size}-` });
    expect([beyond.status, beyond.headers.get('content-range')]).toEqual([416, `bytes */${size}`]);
    const other = await get(target, { range: 'bytes=0-1', 'if-range': '"other"' });
    expect([other.status, (await bytesOf(other)).length]).toEqual([200, size]);
  });

  it('tells of them in collections, queries and formats by an object', async () => {
    const image = await put('/Item/told', 'image/webp', patternAt(0, LARGE));
    const etag = image.headers.get('etag');
    await put('/Item/told-small', 'text/plain', Buffer.from('{"tag":"x'));
    const told = { id: 'told', contentType: 'image/webp', size: LARGE, etag };
    const rows = (await json(await get('/Item/?id=sw=told'))) as Record<string, unknown>[];
    expect(rows).toEqual([
      told,
      { ...told, id: 'told-small', contentType: 'text/plain', size: 9, etag: expect.any(String) },
    ]);
    const sorted = await json(await get('/Item/?id=sw=told&sort(-id)&limit(1)'));
    expect(sorted).toMatchObject([{ id: 'told-small' }]);
    expect(await json(await get('/Item/told?select(id,tag)'))).toEqual({ id: 'told' });
  });

  it('tells subscribers of them by the same object', async () => {
    const headers = { accept: 'text/event-stream' };
    const stream = await node.fetch('/Item/live', { headers });
    const reader = must(stream.body?.pipeThrough(new TextDecoderStream()).getReader(), 'a stream');
    let heard = '';
    const hear = async (text: string) => {
      while (!heard.includes(text)) heard += (await reader.read()).value;
    };
    try {
      await hear('\n\n');
      const small = await put('/Item/live', 'image/png', patternAt(0, SMALL));
      await hear(JSON.stringify({ contentType: 'image/png', size: SMALL }).slice(1, -1));
      const etag = JSON.stringify(small.headers.get('etag'));
      await hear(`"etag":${etag}`);
      await put('/Item/live', 'video/mp4', patternAt(0, LARGE));
      await hear(`"contentType":"video/mp4","size":${LARGE}`);
    } finally {
      await reader.cancel();
    }
  });

  it('replaces a record by bytes and bytes by a record, and merges into records only', async () => {
    await node.put('/Item/turn', { tag: 'turning' });
    const { headers } = await get('/Item/turn');
    const stale = await put('/Item/turn', 'image/png', patternAt(0, LARGE), { 'if-match': '"no"' });
    await expectProblem(stale, 412, 'PRECONDITION_FAILED');
    const etag = headers.get('etag') ?? '';
    const turned = await put('/Item/turn', 'image/png', patternAt(0, LARGE), { 'if-match': etag });
    expect(turned.status).toBe(204);
    expect(await json(await get('/Item/?tag=turning'))).toEqual([]);
    const body = '{"n":1}';
    const type = { 'content-type': 'application/json' };
    const patch = await node.fetch('/Item/turn', { method: 'PATCH', body, headers: type });
    const problem = await expectProblem(patch, 400, 'RECORD_INVALID');
    expect(problem.detail).toContain('image/png');
    expect((await node.put('/Item/turn', { tag: 'turning' })).status).toBe(204);
    expect(await json(await get('/Item/?tag=turning'))).toMatchObject([{ id: 'turn' }]);
  });

  it('refuses them where a record is asked for, and what nobody means to store', async () => {
    const refused = async (target: string, type: string, why: string) => {
      const response = await put(target, type, Buffer.from('a=b'));
      const problem = await expectProblem(response, 415, 'CONTENT_TYPE_UNSUPPORTED');
      expect(problem.detail).toContain(why);
      expect(problem.detail).toContain('application/cbor');
    };
    await refused('/Sealed/a', 'image/png', '@sealed');
    await refused('/Item/a', 'application/x-www-form-urlencoded', 'forms are not kept');
    await refused('/Item/a', 'application/ld+json', 'application/json');
    await refused('/Item/a', 'nonsense', 'no media type');
    expect((await get('/Sealed/a', { accept: 'image/png' })).status).toBe(406);
  });

  it('gives up an upload whose client leaves, and keeps what was there', async () => {
    await put('/Item/half', 'image/png', patternAt(0, SMALL));
    const sending = request(`${node.http}/Item/half`, {
      method: 'PUT',
      headers: { 'content-type': 'image/png', 'content-length': String(LARGE) },
    });
    sending.on('error', () => undefined);
    await new Promise((resolve) => sending.write(patternAt(0, 2 * KB * KB), resolve));
    sending.destroy();
    const kept = await bytesOf(await get('/Item/half'));
    expect(kept.equals(patternAt(0, SMALL))).toBe(true);
  });

  // uWebSockets.js cannot take it safely: 411.
  it.runIf(engine === 'node')('takes a body whose length nobody said', async () => {
    const body = Readable.toWeb(Readable.from(patternChunks(LARGE))) as ReadableStream;
    const init = { method: 'PUT', body, headers: { 'content-type': 'a/b' }, duplex: 'half' };
    expect((await node.fetch('/Item/chunked', init as RequestInit)).status).toBe(201);
    expect((await bytesOf(await get('/Item/chunked'))).equals(patternAt(0, LARGE))).toBe(true);
  });
});

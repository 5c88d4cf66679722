/** `Blob` attributes: bytes beside their record, at an address of their own. [BLOB-1, BLOB-2] */
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { decode as decodeCbor, encode as encodeCbor } from 'cbor-x';
import { pack, unpack } from 'msgpackr';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NodeProcess, startNode } from '../support/node-process.ts';
import { patternAt } from '../support/pattern.ts';
import { ENGINES, expectProblem, json } from '../support/scenario-apps.ts';

const SCHEMA = `
type Person @table @sealed @export(public: [read, insert, update, delete, subscribe]) {
  id: ID @primaryKey
  name: String!
  photo: Blob
  key: Bytes
}
type Note @table @export(public: [read]) { id: ID @primaryKey, file: Blob }
`;
const SIZE = 3 * 1024 * 1024 + 5;
const bytesOf = async (response: Response) => Buffer.from(await response.arrayBuffer());

describe.each(ENGINES)('blobs over %s', (engine) => {
  let node: NodeProcess;
  const start = (folder?: string) =>
    startNode({
      files: { 'schema.graphql': SCHEMA },
      env: { MILLRACE_HTTP_ENGINE: engine },
      ...(folder === undefined ? {} : { folder }),
    });
  beforeAll(async () => {
    node = await start();
  });
  afterAll(() => node.dispose());

  const upload = (target: string, type: string, body: Buffer, more = {}) =>
    node.fetch(target, { method: 'PUT', body, headers: { 'content-type': type, ...more } });
  const record = async (target: string) =>
    (await json(await node.fetch(target))) as Record<string, unknown>;
  const patch = (target: string, value: object) =>
    node.fetch(target, {
      method: 'PATCH',
      body: JSON.stringify(value),
      headers: { 'content-type': 'application/json' },
    });

  it.each([
    ['small', 20],
    ['large', SIZE],
    ['empty', 0],
  ])('keeps %s bytes and refers to them in the record', async (id, size) => {
    await node.put(`/Person/${id}`, { name: 'Ada' });
    const put = await upload(`/Person/${id}.photo`, 'image/png', patternAt(0, size));
    expect(put.status).toBe(204);
    const etag = put.headers.get('etag');
    const href = `/Person/${id}.photo`;
    const photo = { contentType: 'image/png', size, etag, href };
    expect(await record(`/Person/${id}`)).toEqual({ id, name: 'Ada', photo });
    expect(await json(await node.fetch(`/Person/?id=${id}&select(photo)`))).toEqual([photo]);
    const got = await node.fetch(href, { headers: { accept: 'image/png' } });
    expect(got.status).toBe(200);
    expect(got.headers.get('content-type')).toBe('image/png');
    expect(got.headers.get('etag')).toBe(etag);
    expect(got.headers.get('accept-ranges')).toBe('bytes');
    expect((await bytesOf(got)).equals(patternAt(0, size))).toBe(true);
    const same = await node.fetch(href, { headers: { 'if-none-match': etag ?? '' } });
    expect(same.status).toBe(304);
    if (size === 0) return;
    const part = await node.fetch(href, { headers: { range: 'bytes=3-6' } });
    expect([part.status, (await bytesOf(part)).equals(patternAt(3, 4))]).toEqual([206, true]);
  });

  it('keeps them while the record refers to them, whatever else is written', async () => {
    await node.put('/Person/stay', { name: 'Bo' });
    await upload('/Person/stay.photo', 'image/png', patternAt(0, SIZE));
    const read = await record('/Person/stay');
    expect((await patch('/Person/stay', { name: 'Bob' })).status).toBe(204);
    expect((await node.put('/Person/stay', { ...read, name: 'Robert' })).status).toBe(204);
    const kept = await bytesOf(await node.fetch('/Person/stay.photo'));
    expect(kept.equals(patternAt(0, SIZE))).toBe(true);
    const { folder } = node;
    await node.stop('SIGKILL');
    node = await start(folder);
    const after = await bytesOf(await node.fetch('/Person/stay.photo'));
    expect(after.equals(patternAt(0, SIZE))).toBe(true);
    expect((await patch('/Person/stay', { photo: null })).status).toBe(204);
    expect(await json(await node.fetch('/Person/stay.photo'))).toBe(null);
  });

  it('lets go of the files of what was replaced, removed or deleted', async () => {
    await node.put('/Person/go', { name: 'Cy' });
    await upload('/Person/go.photo', 'image/png', patternAt(0, 100));
    await upload('/Person/go.photo', 'image/png', patternAt(1, 100));
    await node.fetch('/Person/go', { method: 'DELETE' });
    const { folder } = node;
    const sizes = () =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .filter((name) => /[/\\][0-9a-f]{32}$/.test(name))
        .map((name) => statSync(path.join(folder, name)).size);
    // They stay a while for those who are reading them.
    expect(sizes().filter((size) => size === 100)).toEqual([100, 100]);
    await node.stop();
    node = await start(folder);
    await expect.poll(() => sizes().filter((size) => size === 100)).toEqual([]);
  });

  it('has Bytes as base64 in JSON and raw in CBOR and MessagePack, both ways', async () => {
    const key = patternAt(0, 40);
    const types = [
      { type: 'application/cbor', encode: encodeCbor, decode: decodeCbor },
      { type: 'application/x-msgpack', encode: pack, decode: unpack },
    ];
    for (const { type, encode, decode } of types) {
      const put = await upload('/Person/bytes', type, encode({ name: 'Eve', key }));
      expect(put.ok).toBe(true);
      const told = { id: 'bytes', name: 'Eve', key: key.toString('base64') };
      expect(await record('/Person/bytes')).toEqual(told);
      const headers = { accept: type };
      const raw = decode(await bytesOf(await node.fetch('/Person/bytes', { headers })));
      expect(Buffer.from(raw.key).equals(key)).toBe(true);
      const bare = await bytesOf(await node.fetch('/Person/bytes.key', { headers }));
      expect(Buffer.from(decode(bare)).equals(key)).toBe(true);
    }
    await node.put('/Person/text', { name: 'Fay', key: 'not base64!' });
    const text = await node.fetch('/Person/text', { headers: { accept: 'application/cbor' } });
    expect(decodeCbor(await bytesOf(text)).key).toBe('not base64!');
  });

  it('refuses references to bytes that are not there, and uploads that would break a record', async () => {
    await node.put('/Person/other', { name: 'Di' });
    const forged = { contentType: 'image/png', size: 1, etag: '"x"', href: '/x' };
    const put = await node.put('/Person/other', { name: 'Di', photo: forged });
    expect((await expectProblem(put, 400, 'RECORD_INVALID')).detail).toContain('photo');
    await expectProblem(await patch('/Person/other', { photo: forged }), 400, 'RECORD_INVALID');
    const nobody = await upload('/Person/nobody.photo', 'image/png', patternAt(0, 9));
    expect((await expectProblem(nobody, 400, 'RECORD_INVALID')).detail).toContain('name');
    const stale = { 'if-match': '"no"' };
    const lost = await upload('/Person/other.photo', 'image/png', patternAt(0, 9), stale);
    await expectProblem(lost, 412, 'PRECONDITION_FAILED');
    const denied = await upload('/Note/a.file', 'image/png', patternAt(0, 9));
    expect(denied.status).toBe(401);
    expect((await node.fetch('/Person/nobody.photo')).status).toBe(404);
  });
});

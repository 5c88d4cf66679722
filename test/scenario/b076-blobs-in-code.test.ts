/** Bytes that code makes the value of a `Blob` attribute, and reads again; on both engines. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NodeProcess, startNode } from '../support/node-process.ts';
import { ENGINES, expectProblem, JSON_BODY, json } from '../support/scenario-apps.ts';

const OPEN = '@export(public: [read, insert, update, delete])';
const SCHEMA = `
type File @table ${OPEN} { id: ID @primaryKey, name: String, body: Blob, small: Blob }
type Far @table ${OPEN} { id: ID @primaryKey, body: Blob }
`;
const RESOURCES = `
import { Resource, createBlob, tables } from 'millrace';
tables.Far.sourcedFrom({ get: () => undefined });
async function* slowly(pieces, fail) {
  for (const piece of pieces) {
    yield piece;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  if (fail) throw new Error('the source broke');
}
export class Make extends Resource {
  static public = ['read', 'insert'];
  static async post(target, { kind }) {
    switch (kind) {
      case 'text':
        await tables.File.put('t', {
          name: 'n', body: createBlob('héllo', { type: 'text/plain' }),
        });
        return;
      case 'stream': {
        const blob = createBlob(slowly(['one ', Buffer.from('two '), 'three']), { type: 'text/x' });
        const sizes = [];
        blob.on('size', (size) => sizes.push(size));
        const written = tables.File.put('s', { body: blob });
        // Read while it is being written.
        const text = await blob.text();
        await written;
        return { data: { text, sizes, size: blob.size }, status: 200 };
      }
      case 'bytes': {
        await tables.File.put('b', { name: 'kept', body: Buffer.from([1, 2, 3]), small: 'AQID' });
        await tables.File.patch('b', { small: createBlob(new Blob(['x'], { type: 'a/b' })) });
        return;
      }
      case 'broken': {
        const errors = [];
        const blob = createBlob(slowly(['a'], true));
        blob.on('error', ({ message }) => errors.push(message));
        await tables.File.put('x', { body: blob }).catch(() => undefined);
        return { data: { errors }, status: 200 };
      }
      case 'undone':
        await tables.File.put('u', { body: createBlob('undone') });
        throw Object.assign(new Error('no'), { statusCode: 409 });
      case 'far':
        await tables.Far.put('f', { body: createBlob('x') });
        return;
      case 'copy': {
        const { body, ...rest } = await tables.File.get('t');
        await tables.File.put('t', { ...rest, body, name: 'again' });
        const record = await tables.File.update('t', { name: 'third' });
        return { data: { text: await record.body.text() }, status: 200 };
      }
      case 'json':
        return { blob: createBlob('x') };
    }
  }
  static async get(target) {
    const found = await tables.File.get(target.id);
    const { type, size } = found.body;
    const headers = { 'content-type': type };
    if (target.has('stream')) return { status: 200, headers, data: found.body.stream() };
    return { text: await found.body.text(), type, size, keys: Object.keys(found.body) };
  }
}
`;

describe.each(ENGINES)('bytes in code (%s)', (engine) => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startNode({
      files: { 'schema.graphql': SCHEMA, 'resources.js': RESOURCES },
      env: { MILLRACE_HTTP_ENGINE: engine },
    });
  });
  afterAll(() => node?.dispose());
  const make = (kind: string) =>
    node.fetch('/Make', { method: 'POST', headers: JSON_BODY, body: JSON.stringify({ kind }) });

  it('are served with their type, and read by code', async () => {
    expect((await make('text')).status).toBe(204);
    const served = await node.fetch('/File/t.body');
    expect([await served.text(), served.headers.get('content-type')]).toEqual([
      'héllo',
      'text/plain',
    ]);
    expect(await json(await node.fetch('/File/t'))).toMatchObject({
      body: { contentType: 'text/plain', size: 6, href: '/File/t.body' },
    });
    expect(await json(await node.fetch('/Make/t'))).toEqual({
      text: 'héllo',
      type: 'text/plain',
      size: 6,
      keys: ['contentType', 'size', 'etag', 'href'],
    });
    expect(await (await node.fetch('/Make/t?stream')).text()).toBe('héllo');
  });

  it('are read while they are being written', async () => {
    expect(await json(await make('stream'))).toEqual({
      text: 'one two three',
      sizes: [13],
      size: 13,
    });
    expect(await (await node.fetch('/File/s.body')).text()).toBe('one two three');
  });

  it('come as buffers, and beside others that stay', async () => {
    expect((await make('bytes')).status).toBe(204);
    expect(await json(await node.fetch('/File/b'))).toMatchObject({
      name: 'kept',
      body: { size: 3 },
      small: { contentType: 'a/b', size: 1 },
    });
    const bytes = await (await node.fetch('/File/b.body')).arrayBuffer();
    expect([...new Uint8Array(bytes)]).toEqual([1, 2, 3]);
  });

  it('are stored with their record, or not at all', async () => {
    expect(await json(await make('broken'))).toEqual({ errors: ['the source broke'] });
    expect((await node.fetch('/File/x')).status).toBe(404);
    expect((await make('undone')).status).toBe(409);
    expect((await node.fetch('/File/u')).status).toBe(404);
    await expectProblem(await make('far'), 400, 'RECORD_INVALID');
    expect((await make('json')).status).toBe(500);
  });

  it('stay where a record that was read is written again', async () => {
    expect(await json(await make('copy'))).toEqual({ text: 'héllo' });
    expect(await (await node.fetch('/File/t.body')).text()).toBe('héllo');
    expect(await json(await node.fetch('/File/t'))).toMatchObject({ name: 'third' });
  });
});

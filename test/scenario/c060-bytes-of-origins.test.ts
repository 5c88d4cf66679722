/** Replies that are no JSON: files of an origin are cached as they come, records stay records. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { problemCode, read, startCache } from '../support/cache-apps.ts';
import { behave, HttpOrigin } from '../support/http-origin.ts';
import type { NodeProcess } from '../support/node-process.ts';
import { patternAt } from '../support/pattern.ts';

const image = patternAt(0, 200_000);

describe('bytes of an origin', () => {
  let origin: HttpOrigin;
  let node: NodeProcess;
  beforeAll(async () => {
    origin = await HttpOrigin.start();
    const cache = 'freshness: "1h"';
    node = await startCache({
      tables: [
        { name: 'File', cache, attributes: '' },
        { name: 'Item', cache },
      ],
      url: origin.url,
    });
  });
  beforeEach(() => {
    origin.requests.length = 0;
  });
  afterAll(async () => {
    await node.dispose();
    await origin.close();
  });

  it('are cached with their type and tag, and served in ranges', async () => {
    origin.script = () =>
      behave.answer(200, { 'content-type': 'image/avif', etag: '"made-there"' }, image);
    for (const expected of ['fwd=uri-miss', 'hit']) {
      const response = await node.fetch('/File/a.avif', { headers: { accept: 'image/avif' } });
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toBe('image/avif');
      expect(response.headers.get('etag')).toBe('"made-there"');
      expect(response.headers.get('cache-status')).toContain(expected);
      expect(Buffer.from(await response.arrayBuffer()).equals(image)).toBe(true);
    }
    expect(origin.requests.map(({ headers }) => headers.get('accept'))).toEqual(['*/*']);
    const part = await node.fetch('/File/a.avif', { headers: { range: 'bytes=5-9' } });
    expect(part.status).toBe(206);
    expect(Buffer.from(await part.arrayBuffer()).equals(image.subarray(5, 10))).toBe(true);
    const rows = await (await node.fetch('/File/')).json();
    const size = image.length;
    expect(rows).toEqual([{ id: 'a.avif', contentType: 'image/avif', size, etag: '"made-there"' }]);
  });

  it('are refused where the table declares attributes; JSON by another name is a record', async () => {
    origin.script = () =>
      behave.answer(200, { 'content-type': 'text/html' }, Buffer.from('<p>sign in</p>'));
    const page = await read(node, '/Item/page');
    expect([page.status, problemCode(page)]).toEqual([502, 'ORIGIN_BODY_INVALID']);
    const json = Buffer.from('{"id":"plain","n":3}');
    origin.script = () => behave.answer(200, { 'content-type': 'text/plain' }, json);
    const plain = await read(node, '/Item/plain');
    expect(plain.headers.get('content-type')).toBe('application/json');
    expect(JSON.parse(plain.text)).toEqual({ id: 'plain', n: 3 });
    expect(await (await node.fetch('/Item/?n=3')).json()).toEqual([{ id: 'plain', n: 3 }]);
    expect(origin.requests.at(-1)?.headers.get('accept')).toBe('application/json');
  });
});

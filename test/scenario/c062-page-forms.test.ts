/** Compressed forms and ranges of stored pages, over the wire, on both engines. */
import { createServer, get, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';

const TEXT = 'A line of a page that is worth compressing.\n'.repeat(200);
const LARGE = TEXT.repeat(20);

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

let text = TEXT;

function render(url: string, fields: IncomingMessage['headers']): [object, Buffer] {
  const language = fields['accept-language'] ?? 'en';
  const html = { 'content-type': 'text/html', 'cache-control': 'max-age=60' };
  if (url.startsWith('/tagged')) return [{ ...html, etag: '"one"' }, Buffer.from(TEXT)];
  // A tag which is for ever the same, whatever the page says.
  if (url.startsWith('/renamed')) return [{ ...html, etag: '"same"' }, Buffer.from(text)];
  if (url.startsWith('/weak')) return [{ ...html, etag: 'W/"one"' }, Buffer.from(TEXT)];
  if (url.startsWith('/spoken')) {
    return [{ ...html, vary: 'Accept-Language' }, Buffer.from(`${language}\n${TEXT}`)];
  }
  if (url.startsWith('/fixed')) {
    return [{ ...html, 'cache-control': 'max-age=60, no-transform' }, Buffer.from(TEXT)];
  }
  if (url.startsWith('/coded')) {
    const coded = { ...html, 'content-encoding': 'gzip', vary: 'accept-encoding' };
    return [coded, gzipSync(TEXT)];
  }
  if (url.startsWith('/small')) return [html, Buffer.from('small')];
  if (url.startsWith('/large')) return [html, Buffer.from(LARGE)];
  return [{ ...html, 'content-type': 'image/png' }, Buffer.from(TEXT)];
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyz';

/** A part of the letters, as `Range` asks; `version` is the tag. */
function partOf(range: string, version: string): [object, Buffer] {
  const [, from = '', to = ''] = /^bytes=(\d+)-(\d*)$/.exec(range) ?? [];
  const first = Number(from);
  const last = to === '' ? LETTERS.length - 1 : Number(to);
  const fields = {
    'content-type': 'text/plain',
    'cache-control': 'max-age=60',
    'content-range': `bytes ${first}-${last}/${LETTERS.length}`,
    etag: version,
  };
  return [fields, Buffer.from(LETTERS.slice(first, last + 1))];
}

describe.each(['uws', 'node'])('forms of pages, %s engine', (engine) => {
  let origin: Server;
  let node: NodeProcess;
  let version = '"one"';
  let asked: string[] = [];

  beforeAll(async () => {
    origin = createServer((request, response) => {
      const { range } = request.headers;
      if (request.url?.startsWith('/parts') && range !== undefined) {
        asked.push(range);
        const [fields, body] = partOf(range, version);
        response.writeHead(206, { ...fields, 'content-length': body.length });
        response.end(body);
        return;
      }
      const [fields, body] = render(request.url ?? '', request.headers);
      response.writeHead(200, { ...fields, 'content-length': body.length });
      response.end(body);
    });
    await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', () => resolve()));
    const { port } = origin.address() as AddressInfo;
    node = await startNode({
      files: {
        'schema.graphql': 'type Page @pages(origin: "web", path: "/*", policy: "site")\n',
        'origins/web.yaml': `kind: http\nurl: http://127.0.0.1:${port}\nallowPrivate: true\n`,
        'cache-policies/site.yaml': 'client: { cacheControl: "" }\n',
      },
      env: { MILLRACE_HTTP_ENGINE: engine },
    });
  });
  afterAll(async () => {
    await node.dispose();
    origin.closeAllConnections();
    origin.close();
  });

  /** As `fetch`, without decoding. */
  const ask = (target: string, headers: Record<string, string> = {}): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const request = get(`${node.http}${target}`, { headers, agent: false }, async (answer) => {
        const chunks: Buffer[] = [];
        for await (const chunk of answer) chunks.push(chunk as Buffer);
        const { statusCode = 0, headers: told } = answer;
        resolve({ status: statusCode, headers: told, body: Buffer.concat(chunks) });
      });
      request.on('error', reject);
    });
  const BR = { 'accept-encoding': 'gzip, br' };
  const form = (target: string, headers: Record<string, string> = BR, coding = 'br') =>
    until(`${target} in ${coding}`, async () => {
      const answer = await ask(target, headers);
      return answer.headers['content-encoding'] === coding ? answer : undefined;
    });

  it('are made beside the page, and have tags of their own [RFC9110 §8.8.3.3]', async () => {
    const first = await ask('/tagged', BR);
    expect(first.headers['content-encoding']).toBeUndefined();
    expect(first.headers.vary).toBe('accept-encoding');
    const brotli = await form('/tagged');
    expect(brotliDecompressSync(brotli.body).toString()).toBe(TEXT);
    expect(brotli.headers).toMatchObject({ etag: '"one+br"', vary: 'accept-encoding' });
    expect(brotli.headers['cache-status']).toContain('hit');
    const gzip = await form('/tagged', { 'accept-encoding': 'gzip;q=0.5' }, 'gzip');
    expect(gunzipSync(gzip.body).toString()).toBe(TEXT);
    expect(gzip.headers.etag).toBe('"one+gzip"');
    const plain = await ask('/tagged');
    expect(plain.body.toString()).toBe(TEXT);
    expect(plain.headers).toMatchObject({ etag: '"one"', vary: 'accept-encoding' });
  });

  it('are told apart from what the client does not take', async () => {
    await form('/tagged');
    for (const accepted of ['identity', 'br;q=0', 'gzip;q=0, deflate', 'identity, br;q=0.1']) {
      const answer = await ask('/tagged', { 'accept-encoding': accepted });
      expect(answer.headers['content-encoding']).toBeUndefined();
    }
  });

  it('answer 304 to a client that has either form', async () => {
    await form('/tagged');
    for (const tag of ['"one"', '"one+br"', 'W/"one+br"']) {
      const answer = await ask('/tagged', { ...BR, 'if-none-match': tag });
      expect(answer.status).toBe(304);
      expect(answer.headers['content-encoding']).toBeUndefined();
    }
    expect((await ask('/tagged', { ...BR, 'if-none-match': '"two+br"' })).status).toBe(200);
    expect((await ask('/tagged', { 'if-none-match': '"one+br"' })).status).toBe(200);
  });

  it('are not taken for those of another page under the same tag, after a purge', async () => {
    await form('/renamed');
    text = TEXT.toUpperCase();
    await node.operate({ operation: 'purge', table: 'Page' });
    const answer = await form('/renamed');
    expect(brotliDecompressSync(answer.body).toString()).toBe(text);
    text = TEXT;
  });

  it('keep a weak tag, which names them all', async () => {
    expect((await form('/weak')).headers.etag).toBe('W/"one"');
  });

  it('are made for each variant', async () => {
    for (const language of ['de', 'fr']) {
      const fields = { ...BR, 'accept-language': language };
      const answer = await form('/spoken', fields);
      expect(brotliDecompressSync(answer.body).toString()).toBe(`${language}\n${TEXT}`);
      expect(answer.headers.vary).toBe('Accept-Language, accept-encoding');
    }
    const again = await ask('/spoken', { ...BR, 'accept-language': 'de' });
    expect(brotliDecompressSync(again.body).toString()).toBe(`de\n${TEXT}`);
  });

  it.each(['/fixed', '/small', '/image'])('are not made of %s', async (target) => {
    for (let i = 0; i < 6; i += 1) {
      const answer = await ask(target, BR);
      expect(answer.headers['content-encoding']).toBeUndefined();
      expect(answer.headers.vary).toBeUndefined();
    }
  });

  it('leave alone what the renderer has coded', async () => {
    for (let i = 0; i < 6; i += 1) {
      const answer = await ask('/coded', BR);
      expect(answer.headers['content-encoding']).toBe('gzip');
      expect(gunzipSync(answer.body).toString()).toBe(TEXT);
    }
  });

  it('of a page that is kept apart come whole as well', async () => {
    const answer = await form('/large');
    expect(brotliDecompressSync(answer.body).toString()).toBe(LARGE);
    expect((await ask('/large')).body.toString()).toBe(LARGE);
  });

  it('have no ranges: those are of the page itself [RFC9110 §14.2]', async () => {
    await form('/tagged');
    const part = await ask('/tagged', { ...BR, range: 'bytes=2-5' });
    expect(part.status).toBe(206);
    expect(part.headers).toMatchObject({ etag: '"one"', 'content-length': '4' });
    expect(part.headers['content-encoding']).toBeUndefined();
    expect(part.body.toString()).toBe(TEXT.slice(2, 6));
    const held = await ask('/tagged', { range: 'bytes=0-0', 'if-range': '"one"' });
    expect(held.status).toBe(206);
    const other = await ask('/tagged', { range: 'bytes=0-0', 'if-range': '"one+br"' });
    expect(other.status).toBe(200);
  });

  it.each(['/tagged', '/large'])('several ranges of %s come in one body', async (target) => {
    await form(target);
    const answer = await ask(target, { range: 'bytes=0-3, 10-11, -2' });
    expect(answer.status).toBe(206);
    const [, boundary = ''] =
      /^multipart\/byteranges; boundary=(\S+)$/.exec(answer.headers['content-type'] ?? '') ?? [];
    const whole = target === '/large' ? LARGE : TEXT;
    const parts = answer.body.toString().split(`\r\n--${boundary}`).slice(1);
    expect(parts.pop()).toBe('--\r\n');
    const length = whole.length;
    const part = (first: number, last: number): string =>
      `\r\ncontent-type: text/html\r\ncontent-range: bytes ${first}-${last}/${length}\r\n\r\n` +
      whole.slice(first, last + 1);
    expect(parts).toEqual([part(0, 3), part(10, 11), part(length - 2, length - 1)]);
    expect(Number(answer.headers['content-length'])).toBe(answer.body.length);
    const beyond = await ask(target, { range: `bytes=${length}-` });
    expect(beyond.status).toBe(416);
    expect(beyond.headers['content-range']).toBe(`bytes */${length}`);
  });

  const part = (target: string, range: string) => ask(target, { range: `bytes=${range}` });
  /** Reads until the part comes from the store. */
  const held = async (target: string, range: string): Promise<void> => {
    await until(`${target} ${range}`, async () => {
      const answer = await part(target, range);
      const [first = 0, last = 0] = range.split('-').map(Number);
      expect(answer.status).toBe(206);
      expect(answer.body.toString()).toBe(LETTERS.slice(first, last + 1));
      return answer.headers['cache-status']?.includes('hit');
    });
    asked = [];
  };

  it('of parts that touch are one part, and at last the page [RFC9111 §3.4]', async () => {
    version = '"one"';
    await held('/parts/touching', '0-9');
    await held('/parts/touching', '10-15');
    expect((await part('/parts/touching', '5-12')).body.toString()).toBe('fghijklm');
    expect(asked).toEqual([]);
    // Overlapping, and up to the end.
    await held('/parts/touching', '12-25');
    const whole = await ask('/parts/touching');
    expect(whole.status).toBe(200);
    expect(whole.body.toString()).toBe(LETTERS);
    expect(whole.headers['content-range']).toBeUndefined();
    expect(asked).toEqual([]);
  });

  it('are not joined over a gap, nor with those of another version', async () => {
    version = '"one"';
    await held('/parts/apart', '0-3');
    await held('/parts/apart', '10-15');
    expect((await part('/parts/apart', '2-12')).headers['cache-status']).not.toContain('hit');
    await held('/parts/changed', '0-9');
    version = '"two"';
    await held('/parts/changed', '10-15');
    expect((await part('/parts/changed', '5-12')).headers['cache-status']).not.toContain('hit');
    version = 'W/"two"';
    await held('/parts/weak', '0-9');
    await held('/parts/weak', '10-15');
    expect((await part('/parts/weak', '5-12')).headers['cache-status']).not.toContain('hit');
  });
});

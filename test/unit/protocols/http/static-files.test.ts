/** Static files over the wire on both engines, paths that must not be served included. */
import { mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { selectEngine } from '../../../../src/protocols/http/engine.ts';
import type { Listener } from '../../../../src/protocols/http/port.ts';
import { createStaticFiles } from '../../../../src/protocols/http/static-files.ts';
import { RawClient } from '../../../conformance/http/raw-client.ts';
import { limits } from '../../../conformance/http/target.ts';

const big = Buffer.alloc(5 * 1024 * 1024, '0123456789abcdef!');

describe.each(['uws', 'node'] as const)('static files on %s', (engine) => {
  let base = '';
  let listener: Listener;
  const url = (path: string) => `http://127.0.0.1:${listener.port}${path}`;
  const get = (path: string, headers: Record<string, string> = {}) =>
    fetch(url(path), {
      headers: { 'accept-encoding': 'identity', ...headers },
      redirect: 'manual',
    });

  beforeAll(async () => {
    base = await mkdtemp(join(tmpdir(), 'millrace-static-'));
    const root = join(base, 'public');
    await mkdir(join(root, 'sub'), { recursive: true });
    await mkdir(join(root, '.git'));
    await writeFile(join(base, 'secret.txt'), 'secret');
    await writeFile(join(root, '.git', 'config'), 'secret');
    await writeFile(join(root, 'index.html'), '<h1>home</h1>');
    await writeFile(join(root, 'sub', 'index.html'), '<h1>sub</h1>');
    await writeFile(join(root, 'app.js'), 'let a = 1;');
    await writeFile(join(root, 'app.js.gz'), 'gzipped');
    await writeFile(join(root, 'old.css'), 'a{}');
    await writeFile(join(root, 'old.css.br'), 'stale');
    await utimes(join(root, 'old.css.br'), 1, 1);
    await writeFile(join(root, 'big.bin'), big);
    await writeFile(join(root, 'empty.txt'), '');
    await symlink(join(base, 'secret.txt'), join(root, 'link.txt'));
    const files = createStaticFiles(root);
    listener = await (await selectEngine(engine)).listen({
      host: '127.0.0.1',
      port: 0,
      shared: false,
      limits,
      allowedOrigins: [],
      handler: async (exchange) => {
        if (!(await files.serve(exchange))) exchange.reply(404, [], 'not a file');
      },
    });
  });
  afterAll(async () => {
    await listener.close();
    await rm(base, { recursive: true });
  });

  it('serves index pages, with type and protection', async () => {
    const response = await get('/');
    expect(await response.text()).toBe('<h1>home</h1>');
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(await (await get('/sub/')).text()).toBe('<h1>sub</h1>');
  });

  it('sends the reader of a folder to its slash', async () => {
    const response = await get('/sub?a=1');
    expect(response.status).toBe(308);
    expect(response.headers.get('location')).toBe('/sub/?a=1');
  });

  it.each([
    '/missing.txt',
    '/.git/config',
    '/%2e%2e/secret.txt',
    '/..%2fsecret.txt',
    '/..%5csecret.txt',
    '/sub/%00',
    '/%ff',
    '/link.txt',
    '/app.js/',
    '//app.js',
  ])('finds nothing at %s', async (path) => {
    const client = new RawClient(listener.port);
    client.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    expect(await client.until((text) => text.includes('\r\n\r\n'))).toMatch(/^HTTP\/1\.1 404/);
    client.destroy();
  });

  it('leaves other methods to the caller', async () => {
    expect((await fetch(url('/'), { method: 'POST', body: 'x' })).status).toBe(404);
  });

  it('answers HEAD with the length and an empty file with nothing', async () => {
    const head = await fetch(url('/big.bin'), { method: 'HEAD' });
    expect(head.headers.get('content-length')).toBe(String(big.length));
    const empty = await get('/empty.txt');
    expect([empty.status, await empty.text()]).toEqual([200, '']);
  });

  it('answers 304 to its own validators [RFC9110 §13.1]', async () => {
    const { headers } = await get('/app.js');
    const tag = headers.get('etag') ?? '';
    const date = headers.get('last-modified') ?? '';
    expect((await get('/app.js', { 'if-none-match': tag })).status).toBe(304);
    expect((await get('/app.js', { 'if-modified-since': date })).status).toBe(304);
    expect((await get('/app.js', { 'if-none-match': '"x"' })).status).toBe(200);
  });

  it('serves a coded sibling to those who accept it, with its own tag', async () => {
    const client = new RawClient(listener.port);
    client.send('GET /app.js HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br, gzip\r\n\r\n');
    const text = await client.until((all) => all.endsWith('gzipped'));
    expect(text).toMatch(/content-encoding: gzip/i);
    expect(text).toMatch(/etag: "[^"]+-gzip"/i);
    client.destroy();
    const plain = await get('/app.js');
    expect(plain.headers.get('vary')).toBe('accept-encoding');
    expect(await plain.text()).toBe('let a = 1;');
  });

  it('does not serve a coded sibling older than its original', async () => {
    expect(await (await get('/old.css', { 'accept-encoding': 'br' })).text()).toBe('a{}');
  });

  it('streams large files whole', async () => {
    const response = await get('/big.bin');
    expect(Buffer.from(await response.arrayBuffer()).equals(big)).toBe(true);
  });

  it('answers ranges: one, several, none possible [RFC9110 §14]', async () => {
    const one = await get('/big.bin', { range: 'bytes=1000000-1000009' });
    expect(one.status).toBe(206);
    expect(one.headers.get('content-range')).toBe(`bytes 1000000-1000009/${big.length}`);
    expect(await one.text()).toBe(big.subarray(1_000_000, 1_000_010).toString());
    const several = await get('/big.bin', { range: 'bytes=0-1,4-5' });
    expect(several.headers.get('content-type')).toMatch(/^multipart\/byteranges; boundary=/);
    const text = await several.text();
    expect(text).toContain('content-range: bytes 4-5/');
    expect(several.headers.get('content-length')).toBe(String(text.length));
    const none = await get('/app.js', { range: 'bytes=100-' });
    expect([none.status, none.headers.get('content-range')]).toEqual([416, 'bytes */10']);
    const changed = await get('/app.js', { range: 'bytes=0-1', 'if-range': '"other"' });
    expect(changed.status).toBe(200);
  });
});

/** Origin kind `http` through the runtime, against a real server. */
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { durationMs, entityTag, epochMs } from '../../../src/base/brands.ts';
import type { Entry } from '../../../src/cache/entry.ts';
import { NEVER } from '../../../src/cache/entry.ts';
import type { OriginSettings } from '../../../src/config/origin-file.ts';
import { holds } from '../../support/holds.ts';
import { behave, HttpOrigin, type Script } from '../../support/http-origin.ts';
import { ask, binding, failureOf, openTestOrigin, recordOf } from '../../support/origins.ts';

const opened: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

async function open(script: Script, over: Partial<OriginSettings> = {}) {
  const http = await HttpOrigin.start(script);
  opened.push(() => http.close());
  const runtime = await openTestOrigin({ url: http.url, ...over });
  opened.push(() => runtime.stop());
  return { http, runtime, table: runtime.table(binding) };
}

const held = (meta: Entry['meta'], body = '{"id":"a","n":1}'): Entry => {
  const entry = { kind: 'record', id: 'a', meta, body: new TextEncoder().encode(body) };
  return { ...entry, retain: () => entry } as unknown as Entry;
};

describe('origin kind http', () => {
  it('fetches a record and keeps its bytes as they came', async () => {
    const { http, table } = await open(() => behave.answer(200, {}, '{ "id" : "AA100" }'));
    const reply = await table.fetch(ask('AA100'));
    expect(reply.kind === 'found' && new TextDecoder().decode(reply.body)).toBe(
      '{ "id" : "AA100" }',
    );
    expect(http.requests[0]?.path).toBe('/flights/AA100');
    // Not a small view of the socket's large buffer.
    expect(reply.kind === 'found' && reply.body.buffer.byteLength).toBe(18);
  });

  it('adds the primary key to a record that lacks it', async () => {
    const { table } = await open(() => behave.json({ n: 1 }));
    expect(recordOf(await table.fetch(ask('a')))).toEqual({ n: 1, id: 'a' });
  });

  it('appends the path to that of the url, and sends the configured header fields', async () => {
    const { http, table } = await open(() => behave.json({ id: 'a' }));
    const runtime = await openTestOrigin({ url: `${http.url}/v1/`, headers: { 'x-key': 's' } });
    opened.push(() => runtime.stop());
    await runtime.table(binding).fetch(ask('a'));
    expect(http.requests[0]?.path).toBe('/v1/flights/a');
    expect(http.requests[0]?.headers.get('x-key')).toBe('s');
    expect(table.writes).toEqual({ put: true, patch: true, delete: true });
  });

  for (const [id, path] of [
    ['a/b', '/flights/a%2Fb'],
    ['../x', '/flights/..%2Fx'],
    ['a?b#c', '/flights/a%3Fb%23c'],
    ['é\\ñ', '/flights/%C3%A9%5C%C3%B1'],
    ['%2e%2e', '/flights/%252e%252e'],
    ['a\r\nx: y', '/flights/a%0D%0Ax%3A%20y'],
  ] as const) {
    it(`keeps the id ${JSON.stringify(id)} in its place in the path`, async () => {
      const { http, table } = await open(() => behave.json({ ok: true }));
      await table.fetch(ask(id));
      expect(http.requests[0]?.path).toBe(path);
    });
  }

  for (const id of ['..', '.', '', '\ud800']) {
    it(`refuses the id ${JSON.stringify(id)} without asking the origin`, async () => {
      const { http, table } = await open(() => behave.json({ ok: true }));
      const error = await failureOf(table.fetch(ask(id)));
      expect([error.code, error.blame]).toEqual(['KEY_INVALID', 'client']);
      expect(http.requests).toHaveLength(0);
    });
  }

  for (const status of [404, 410]) {
    it(`takes ${status} as "there is none"`, async () => {
      const { table } = await open(() => behave.status(status, { 'cache-control': 'max-age=5' }));
      const reply = await table.fetch(ask('a'));
      expect([reply.kind, reply.facts.status]).toEqual(['absent', status]);
      expect(reply.facts.directives.maxAge).toBe(5);
    });
  }

  it('reads the facts of the reply once', async () => {
    const { table } = await open(() =>
      behave.json(
        { id: 'a' },
        {
          'cache-control': 'max-age=60, stale-if-error=10',
          age: 3,
          date: 'Sun, 06 Nov 1994 08:49:37 GMT',
          expires: '0',
          etag: 'W/"t"',
          'last-modified': 'Sunday, 06-Nov-94 08:49:37 GMT',
          vary: 'Accept-Language',
          'cache-groups': '"one", "two"',
          'surrogate-key': 'three four',
        },
      ),
    );
    const { facts } = await table.fetch(ask('a'));
    expect(facts).toMatchObject({
      status: 200,
      directives: { maxAge: 60, staleIfError: 10 },
      age: 3_000,
      date: 784111777000,
      expires: NEVER, // [RFC9111 §5.3]
      lastModified: 784111777000, // [RFC9110 §5.6.7] the obsolete form too
      entityTag: 'W/"t"',
      vary: ['accept-language'],
      groups: ['one', 'two', 'three', 'four'],
      contentType: 'application/json',
    });
  });

  it('asks with the origin’s own tag, and 304 confirms [RFC9110 §13.1.2]', async () => {
    const { http, table } = await open(() => behave.notModified({ 'cache-control': 'max-age=9' }));
    const replacing = held({ originTag: entityTag('W/"v1"') });
    const reply = await table.fetch(ask('a', { replacing }));
    expect(reply.kind).toBe('notModified');
    expect(reply.facts.directives.maxAge).toBe(9);
    expect(http.requests[0]?.headers.get('if-none-match')).toBe('W/"v1"');
  });

  it('takes a 304 that tells the length of what it confirms [RFC9110 §8.6]', async () => {
    const { table } = await open(() =>
      behave.answer(304, { etag: '"t1"', 'content-length': '17' }, ''),
    );
    const replacing = held({ originTag: entityTag('"t1"') });
    const reply = await table.fetch(ask('a', { replacing, conditional: true }));
    expect(reply.kind).toBe('notModified');
  });

  it('asks with the date when there is no tag [RFC9110 §13.1.3]', async () => {
    const { http, table } = await open(() => behave.notModified());
    const replacing = held({ lastModified: epochMs(784111777000) });
    await table.fetch(ask('a', { replacing }));
    expect(http.requests[0]?.headers.get('if-modified-since')).toBe(
      'Sun, 06 Nov 1994 08:49:37 GMT',
    );
  });

  it('asks unconditionally when told so, and then refuses a 304', async () => {
    const { http, table } = await open(() => behave.notModified());
    const replacing = held({ originTag: entityTag('"v1"') });
    const error = await failureOf(table.fetch(ask('a', { replacing, conditional: false })));
    expect(error.code).toBe('ORIGIN_BODY_INVALID');
    expect(http.requests[0]?.headers.has('if-none-match')).toBe(false);
  });

  for (const [coding, encode] of [
    ['gzip', gzipSync],
    ['br', brotliCompressSync],
  ] as const) {
    it(`decodes ${coding}`, async () => {
      const body = encode(Buffer.from('{"id":"a"}'));
      const { http, table } = await open(() => behave.encoded(coding, body));
      expect(recordOf(await table.fetch(ask('a')))).toEqual({ id: 'a' });
      expect(http.requests[0]?.headers.get('accept-encoding')).toContain(coding);
    });
  }

  it('follows three redirects and no fourth', async () => {
    const hop: Script = ({ path }) => {
      const left = Number(path.slice('/flights/'.length));
      return left > 0 ? behave.redirect(`/flights/${left - 1}`) : behave.json({ id: '0' });
    };
    const { table } = await open(hop);
    expect((await table.fetch(ask('3'))).kind).toBe('found');
    expect((await failureOf(table.fetch(ask('4')))).code).toBe('ORIGIN_STATUS');
  });

  it('keeps its configured header fields from another host', async () => {
    const other = await HttpOrigin.start(() => behave.json({ id: 'a' }));
    opened.push(() => other.close());
    const { table } = await open(() => behave.redirect(`${other.url}/elsewhere`), {
      headers: { authorization: 'Bearer secret' },
    });
    await table.fetch(ask('a'));
    expect(other.requests[0]?.path).toBe('/elsewhere');
    expect(other.requests[0]?.headers.has('authorization')).toBe(false);
  });

  it('retries what the network broke, and not what the origin decided', async () => {
    const { http, table } = await open(
      (_, count) => (count < 3 ? behave.reset() : behave.json({ id: 'a' })),
      { retries: 2, timeoutMs: durationMs(3_000) },
    );
    expect((await table.fetch(ask('a'))).kind).toBe('found');
    expect(http.requests).toHaveLength(3);
    http.script = () => behave.status(500);
    await failureOf(table.fetch(ask('a')));
    expect(http.requests).toHaveLength(4);
  });

  it('leaves an origin alone whose health check fails, until it succeeds', async () => {
    let well = false;
    const script: Script = ({ path }) =>
      path === '/healthz' && !well ? behave.status(500) : behave.json({ id: 'a' });
    const health = { path: '/healthz', everyMs: durationMs(20) };
    const { runtime, table } = await open(script, { health });
    runtime.start();
    await holds(() => runtime.counters.breakerOpen);
    expect((await failureOf(table.fetch(ask('a')))).code).toBe('BREAKER_OPEN');
    well = true;
    await holds(async () => (await table.fetch(ask('a')).catch(() => undefined)) !== undefined);
    expect(runtime.counters.breakerOpen).toBe(false);
  });

  it('writes through: PUT, PATCH and DELETE reach the origin', async () => {
    const { http, table } = await open(({ method }) =>
      method === 'DELETE' ? behave.status(404) : behave.json({ id: 'a', seen: method }),
    );
    const signal = new AbortController().signal;
    const record = new TextEncoder().encode('{"id":"a"}');
    const put = await table.put('a', record, signal);
    expect(JSON.parse(new TextDecoder().decode(put.body))).toEqual({ id: 'a', seen: 'PUT' });
    await table.patch('a', new TextEncoder().encode('{"n":2}'), signal);
    await table.delete('a', signal);
    expect(http.requests.map(({ method, body }) => `${method} ${body}`)).toEqual([
      'PUT {"id":"a"}',
      'PATCH {"n":2}',
      'DELETE ',
    ]);
  });

  it('does not repeat a write whose reply was lost', async () => {
    const { http, table } = await open(() => behave.reset(), { retries: 3 });
    const put = table.put('a', new TextEncoder().encode('{}'), new AbortController().signal);
    expect((await failureOf(put)).code).toBe('ORIGIN_UNREACHABLE');
    expect(http.requests).toHaveLength(1);
  });

  it('refuses a private address unless it is listed, and says what to write', async () => {
    const http = await HttpOrigin.start(() => behave.json({ id: 'a' }));
    opened.push(() => http.close());
    for (const host of [
      '127.0.0.1',
      'localhost',
      '0x7f000001',
      '2130706433',
      '[::ffff:127.0.0.1]',
    ]) {
      const runtime = await openTestOrigin({
        url: `http://${host}:${http.port}`,
        allowPrivate: false,
      });
      opened.push(() => runtime.stop());
      const error = await failureOf(runtime.table(binding).fetch(ask('a')));
      expect([host, error.code]).toEqual([host, 'ADDRESS_REFUSED']);
      expect(error.message).toContain('allowPrivate: [');
    }
    expect(http.connections).toBe(0);
    const allowPrivate = [`localhost:${http.port}`];
    const runtime = await openTestOrigin({ url: `http://localhost:${http.port}`, allowPrivate });
    opened.push(() => runtime.stop());
    expect((await runtime.table(binding).fetch(ask('a'))).kind).toBe('found');
  });

  it('judges every hop of a redirect by address', async () => {
    const inner = await HttpOrigin.start(() => behave.json({ id: 'secret' }));
    opened.push(() => inner.close());
    const http = await HttpOrigin.start(() => behave.redirect(inner.url));
    opened.push(() => http.close());
    const allowPrivate = [`127.0.0.1:${http.port}`];
    const runtime = await openTestOrigin({ url: http.url, allowPrivate });
    opened.push(() => runtime.stop());
    const error = await failureOf(runtime.table(binding).fetch(ask('a')));
    expect(error.code).toBe('ADDRESS_REFUSED');
    expect(inner.connections).toBe(0);
  });
});

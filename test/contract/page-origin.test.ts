/**
 * What the page cache may rely on of a rendering origin (`cache/pages/ports.ts`), over raw sockets:
 * lines as they came, bodies with back-pressure, and no broken reply that looks whole.
 */
import type { Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../src/base/errors.ts';
import type { PageOrigin, PageOriginRequest } from '../../src/cache/pages/ports.ts';
import type { OriginSettings } from '../../src/config/origin-file.ts';
import type { OriginRuntime } from '../../src/origin/runtime.ts';
import { type Behaviour, behave, HttpOrigin, type Script } from '../support/http-origin.ts';
import { failureOf, IMPATIENT, openTestOrigin } from '../support/origins.ts';

const opened: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0)) await close();
});

interface Opened {
  readonly http: HttpOrigin;
  readonly runtime: OriginRuntime;
  readonly pages: PageOrigin;
}

async function open(script: Script, over: Partial<OriginSettings> = {}): Promise<Opened> {
  const http = await HttpOrigin.start(script);
  const runtime = await openTestOrigin({ url: http.url, ...over });
  opened.push(
    () => runtime.stop(),
    () => http.close(),
  );
  const pages = runtime.pages();
  if (pages === undefined) throw new Error('an http origin has pages');
  return { http, runtime, pages };
}

const request = (over: Partial<PageOriginRequest> = {}): PageOriginRequest => ({
  method: 'GET',
  target: '/page?q=1',
  host: 'www.example.com',
  fields: [],
  background: false,
  signal: new AbortController().signal,
  ...over,
});

async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString('latin1');
}

const raw =
  (text: string, then: (socket: Socket) => void = () => undefined): Behaviour =>
  (socket) => {
    socket.write(text, 'latin1', () => then(socket));
  };

/** Sends `text`, and resets the connection once the peer has surely read it. */
const thenReset = (text: string): Behaviour =>
  raw(text, (socket) => void setTimeout(() => socket.resetAndDestroy(), 50));

describe('a page origin', () => {
  it('gives field lines in order, repeated ones apart, and the body as it was coded', async () => {
    const head = 'HTTP/1.1 200 OK\r\nX-B: 1\r\nSet-Cookie: a=1\r\nX-A: \xe9\r\nSet-Cookie: b=2\r\n';
    const coded = 'Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nxyz';
    const { pages } = await open(() => raw(head + coded));
    const reply = await pages.fetch(request());
    expect(reply.fields.slice(0, 8)).toEqual([
      ...['x-b', '1', 'set-cookie', 'a=1', 'x-a', '\xe9', 'set-cookie', 'b=2'],
    ]);
    expect([reply.body.length, await textOf(reply.body)]).toEqual([3, 'xyz']);
  });

  it('sends the target and host of the client, and its own fields for the client’s', async () => {
    const { http, pages } = await open(() => behave.status(200), {
      headers: { authorization: 'Bearer own' },
    });
    const fields = ['authorization', 'Basic x', 'x-a', 'y', 'connection', 'close', 'te', 'gzip'];
    await pages.fetch(request({ fields }));
    const [seen] = http.requests;
    expect(seen?.path).toBe('/page?q=1');
    expect(Object.fromEntries(seen?.headers ?? [])).toEqual({
      host: 'www.example.com',
      connection: 'keep-alive',
      'x-a': 'y',
      authorization: 'Bearer own',
    });
  });

  it('sends the host of its url when it is told so', async () => {
    const { http, pages } = await open(() => behave.status(200), { host: 'origin' });
    await pages.fetch(request());
    expect(http.requests[0]?.headers.get('host')).toBe(`127.0.0.1:${http.port}`);
  });

  it('follows no redirect and resolves with every status', async () => {
    const { http, pages } = await open(() => behave.redirect('/elsewhere', 308));
    expect((await pages.fetch(request())).status).toBe(308);
    http.script = () => behave.status(500);
    expect((await pages.fetch(request())).status).toBe(500);
    expect(http.requests.length).toBe(2);
  });

  it('takes a 304 which tells the length of the page for the whole reply', async () => {
    const { pages } = await open(() => behave.notModified({ 'content-length': 1234, etag: '"a"' }));
    const reply = await pages.fetch(request());
    expect([reply.status, await textOf(reply.body)]).toEqual([304, '']);
  });

  it('tells of interim responses before the final one, and of trailers after it', async () => {
    const hint = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nLink: </b.css>\r\n\r\n';
    const final = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
    const { pages } = await open(() => raw(`${hint}${final}1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n`));
    const told: unknown[] = [];
    const reply = await pages.fetch(request({ onInterim: (...hints) => told.push(hints) }));
    expect(told).toEqual([[103, ['link', '</a.css>', 'link', '</b.css>']]]);
    expect(await textOf(reply.body)).toBe('a');
    expect(reply.body.trailers).toEqual(['x-sum', '1']);
  });

  it('gives up an origin that sends interim responses without end', async () => {
    const { pages } = await open(() => raw('HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(100)));
    expect((await failureOf(pages.fetch(request()))).code).toBe('ORIGIN_BODY_INVALID');
  });
});

const EOF_BODY = 'HTTP/1.1 200 OK\r\n\r\nhalf of';
const broken: readonly (readonly [string, Behaviour])[] = [
  ['sends less than its Content-Length', behave.truncated()],
  ['leaves out the last chunk', behave.truncatedChunks()],
  ['sends a chunk without a length', behave.badChunk()],
  ['sends both Content-Length and chunks', behave.lengthAndChunked()],
  ['sends two lengths', raw('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab')],
  [
    'resets within a body of known length',
    thenReset('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na'),
  ],
  ['resets within a body that ends with the connection', thenReset(EOF_BODY)],
  ['closes within its head', (socket) => socket.end('HTTP/1.1 200 OK\r\nX-Half: ')],
  ['does not speak HTTP', behave.garbage()],
  ['switches protocols unasked', raw('HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n')],
];

const wholeText = async (pages: PageOrigin): Promise<string> =>
  textOf((await pages.fetch(request())).body);

describe('a page origin that misbehaves', () => {
  for (const [title, behaviour] of broken) {
    it(`never looks whole when it ${title}, and is not asked again`, async () => {
      const { http, pages } = await open(() => behaviour, { retries: 2 });
      expect((await failureOf(wholeText(pages))).code).toBe('ORIGIN_BODY_INVALID');
      expect(http.requests.length).toBe(1);
      http.script = () => behave.answer(200, {}, 'well');
      expect(await wholeText(pages)).toBe('well');
      expect(http.requests.map(({ connection }) => connection)).toEqual([1, 2]);
    });
  }

  const late: readonly (readonly [string, Behaviour, ErrorCode])[] = [
    ['never answers', behave.hang(), 'ORIGIN_TIMED_OUT'],
    ['sends its head byte by byte', behave.dripHead(), 'ORIGIN_TIMED_OUT'],
    ['stops in the middle of its body', behave.hangInBody(), 'ORIGIN_TIMED_OUT'],
    ['resets the connection', behave.reset(), 'ORIGIN_UNREACHABLE'],
    ['closes without an answer', behave.closeAtOnce(), 'ORIGIN_UNREACHABLE'],
    ['sends a head of 2 MB', behave.hugeHead(), 'ORIGIN_BODY_TOO_LARGE'],
  ];
  for (const [title, behaviour, code] of late) {
    it(`ends with ${code} when it ${title}`, async () => {
      const patience = code === 'ORIGIN_TIMED_OUT' ? IMPATIENT : {};
      const { pages } = await open(() => behaviour, patience);
      const error = await failureOf(wholeText(pages));
      expect([error.code, error.blame]).toEqual([code, 'origin']);
    });
  }

  it('does not take the bytes beyond one message for the next reply', async () => {
    const { http, pages } = await open(() => behave.overlong('a'));
    expect(await wholeText(pages)).toBe('"a"');
    http.script = () => behave.answer(200, {}, 'clean');
    expect(await wholeText(pages)).toBe('clean');
  });

  it('may not be reached at a private address that is not allowed', async () => {
    const { http, pages } = await open(() => behave.status(200), { allowPrivate: false });
    expect((await failureOf(pages.fetch(request()))).code).toBe('ADDRESS_REFUSED');
    expect(http.requests).toEqual([]);
  });
});

describe('retries, limits and counters of a page origin', () => {
  async function* upload(text = 'hello') {
    yield Buffer.from(text);
  }

  it('repeats an idempotent request that got no byte of a reply', async () => {
    const { http, runtime, pages } = await open(
      (_, count) => (count === 1 ? behave.reset() : behave.answer(200, {}, 'second')),
      { retries: 1 },
    );
    expect(await wholeText(pages)).toBe('second');
    expect([http.requests.length, runtime.counters.retries]).toEqual([2, 1]);
  });

  it('repeats neither a POST nor a body that was read', async () => {
    const { http, pages } = await open(() => behave.reset(), { retries: 2 });
    await failureOf(pages.fetch(request({ method: 'POST', body: Buffer.from('x') })));
    await failureOf(pages.fetch(request({ method: 'PUT', body: upload(), bodyLength: 5 })));
    expect(http.requests.map(({ method }) => method)).toEqual(['POST', 'PUT']);
  });

  it('streams the body of a request once, with the length that the client told', async () => {
    const { http, pages } = await open(() => behave.status(204));
    await pages.fetch(request({ method: 'POST', body: upload(), bodyLength: 5 }));
    expect(http.requests[0]).toMatchObject({ method: 'POST', body: 'hello' });
  });

  it('blames the client, not the origin, when an upload breaks off', async () => {
    async function* breaking() {
      yield Buffer.from('he');
      throw new Error('gone');
    }
    const { runtime, pages } = await open(() => behave.hang());
    const sent = pages.fetch(request({ method: 'POST', body: breaking(), bodyLength: 5 }));
    expect(await failureOf(sent)).toMatchObject({ code: 'BODY_MALFORMED', blame: 'client' });
    expect(runtime.counters.breakerOpen).toBe(false);
  });

  it('reads no further ahead than its bound while nobody takes the body', async () => {
    let written = 0;
    const { pages } = await open(() => (socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      const chunk = Buffer.alloc(64 * 1024);
      const pump = () => {
        while (!socket.destroyed && socket.write(chunk)) written += chunk.length;
      };
      socket.on('drain', pump);
      pump();
    });
    const reply = await pages.fetch(request());
    let before = -1;
    await expect
      .poll(
        () => {
          const stands = before === written;
          before = written;
          return stands;
        },
        { interval: 200, timeout: 20_000 },
      )
      .toBe(true);
    expect(written).toBeLessThan(32 * 1024 * 1024);
    reply.body.cancel();
  });

  it('holds its slot until the body ends, and gives it back when the body is left', async () => {
    const { runtime, pages } = await open(() => behave.hangInBody(), {
      concurrency: 1,
    });
    const reply = await pages.fetch(request());
    expect(runtime.counters.inFlight).toBe(1);
    reply.body.cancel();
    await expect.poll(() => runtime.counters.inFlight).toBe(0);
    expect(runtime.counters.outcomes.get('aborted')).toBe(1);
  });

  it('breaks off the body when the request is aborted', async () => {
    const { pages } = await open(() => behave.hangInBody());
    const controller = new AbortController();
    const reply = await pages.fetch(request({ signal: controller.signal }));
    controller.abort(new Error('client left'));
    await expect(textOf(reply.body)).rejects.toThrow('client left');
  });

  it('opens its breaker after repeated 503, and not after 500', async () => {
    const { http, runtime, pages } = await open(() => behave.status(500));
    for (let call = 0; call < 6; call += 1) await pages.fetch(request());
    expect(runtime.counters.breakerOpen).toBe(false);
    http.script = () => behave.status(503);
    for (let call = 0; call < 5; call += 1) await pages.fetch(request());
    expect((await failureOf(pages.fetch(request()))).code).toBe('BREAKER_OPEN');
  });

  it('counts what it did and received', async () => {
    const { runtime, pages } = await open(() => behave.answer(200, {}, 'four'));
    await wholeText(pages);
    await expect.poll(() => runtime.counters.outcomes.get('ok')).toBe(1);
    expect(runtime.counters.bytes).toBe(4);
  });
});

describe('an upgrade at a page origin', () => {
  it('hands over the socket, with the bytes that came behind the head', async () => {
    const head = 'HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n';
    const { http, runtime, pages } = await open(() => raw(`${head}first`));
    const answered = await pages.upgrade(request({ fields: ['upgrade', 'echo'] }));
    if (!('socket' in answered)) throw new Error('expected a switched connection');
    expect(answered.fields).toContain('echo');
    const [chunk] = await answered.socket.take(1).toArray();
    expect(String(chunk)).toBe('first');
    expect(http.requests[0]?.headers.get('upgrade')).toBe('echo');
    await expect.poll(() => runtime.counters.inFlight).toBe(0);
    answered.socket.destroy();
  });

  it('resolves with the refusal when the origin does not switch', async () => {
    const { pages } = await open(() => behave.answer(403, {}, 'no'));
    const answered = await pages.upgrade(request({ fields: ['upgrade', 'websocket'] }));
    if ('socket' in answered) throw new Error('expected a refusal');
    expect([answered.status, await textOf(answered.body)]).toEqual([403, 'no']);
  });
});

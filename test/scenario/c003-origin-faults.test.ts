/** What a node answers while its origin is slow, broken, lying, gone, and well again. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { originFile, pass, problemCode, read, startCache } from '../support/cache-apps.ts';
import { type Behaviour, behave, HttpOrigin } from '../support/http-origin.ts';
import { type NodeProcess, until } from '../support/node-process.ts';

const SETTINGS = 'retries: 0\nbodyMax: 64KiB\nbreaker: { failures: 1000 }';

describe('an origin that misbehaves', () => {
  let origin: HttpOrigin;
  let node: NodeProcess;
  beforeAll(async () => {
    origin = await HttpOrigin.start();
    node = await startCache({
      tables: [
        { name: 'Held', cache: 'freshness: "1ms"' },
        { name: 'Hung', cache: 'negative: { _5xx: "1ms" }' },
        // Where the time is not what is asked about, a busy machine must not run out of it.
        {
          name: 'Item',
          origin: 'patient',
          cache: 'negative: { _404: "1h", _410: "1h", _503: "1h", _5xx: "1ms" }',
        },
      ],
      url: origin.url,
      origin: `timeout: 400ms\n${SETTINGS}`,
      files: { 'origins/patient.yaml': originFile(origin.url, `timeout: 20s\n${SETTINGS}`) },
    });
  });
  afterAll(async () => {
    await node.dispose();
    await origin.close();
  });

  const cases: readonly (readonly [string, Behaviour, number, string])[] = [
    ['that hangs', behave.hang(), 504, 'ORIGIN_TIMED_OUT'],
    ['whose head drips', behave.dripHead(), 504, 'ORIGIN_TIMED_OUT'],
    ['whose body drips', behave.dripBody(), 504, 'ORIGIN_TIMED_OUT'],
    ['that hangs in its body', behave.hangInBody(), 504, 'ORIGIN_TIMED_OUT'],
    ['that resets', behave.reset(), 502, 'ORIGIN_UNREACHABLE'],
    ['that closes at once', behave.closeAtOnce(), 502, 'ORIGIN_UNREACHABLE'],
    ['that truncates its body', behave.truncated(), 502, 'ORIGIN_UNREACHABLE'],
    ['that leaves out the last chunk', behave.truncatedChunks(), 502, 'ORIGIN_UNREACHABLE'],
    ['that talks garbage', behave.garbage(), 502, 'ORIGIN_BODY_INVALID'],
    ['with a chunk that is none', behave.badChunk(), 502, 'ORIGIN_BODY_INVALID'],
    ['with a huge head', behave.hugeHead(), 502, 'ORIGIN_BODY_TOO_LARGE'],
    ['with a body without end', behave.endless(), 502, 'ORIGIN_BODY_TOO_LARGE'],
    [
      'with an oversized body',
      behave.json({ x: 'x'.repeat(70_000) }),
      502,
      'ORIGIN_BODY_TOO_LARGE',
    ],
    ['with a gzip bomb', behave.bomb(10_000_000), 502, 'ORIGIN_BODY_TOO_LARGE'],
    ['whose body is no JSON', behave.answer(200, {}, '<html>'), 502, 'ORIGIN_BODY_INVALID'],
    ['whose body is no record', behave.json([1, 2]), 502, 'ORIGIN_BODY_INVALID'],
    ['whose body is cut JSON', behave.answer(200, {}, '{"id":"a"'), 502, 'ORIGIN_BODY_INVALID'],
    [
      'that redirects to nowhere',
      behave.redirect('http://127.0.0.1:1/'),
      502,
      'ORIGIN_UNREACHABLE',
    ],
    ['that answers 500', behave.status(500), 502, 'ORIGIN_STATUS'],
    ['that answers 503', behave.status(503), 502, 'ORIGIN_STATUS'],
    ['that answers 401', behave.status(401), 502, 'ORIGIN_STATUS'],
  ];

  it.each(cases)(
    '%s: a problem document when nothing is held',
    async (name, told, status, code) => {
      origin.script = () => told;
      const table = code === 'ORIGIN_TIMED_OUT' ? 'Hung' : 'Item';
      const answer = await read(node, `/${table}/${encodeURIComponent(name)}`);
      expect([answer.status, problemCode(answer)]).toEqual([status, code]);
      expect(answer.headers.get('content-type')).toBe('application/problem+json');
      expect(answer.cache).toMatch(/^millrace; fwd=uri-miss/);
      // Whoever asks is not told where the origin is.
      expect(answer.text).not.toContain('127.0.0.1');
      expect((await fetch(`${node.admin}/health/live`)).status).toBe(200);
    },
  );

  const covered = cases.filter(([name]) => name !== 'that answers 401');
  it.each(covered)('%s: what is held goes on being served [RFC5861 §4]', async (name, told) => {
    const target = `/Held/${encodeURIComponent(name)}`;
    origin.script = () => behave.json({ id: name, n: 1 });
    await until('it to be held', async () => (await read(node, target)).status === 200);
    await pass(5);
    origin.script = () => told;
    const answer = await read(node, target);
    expect([answer.status, answer.text.includes('"n":1')]).toEqual([200, true]);
    expect(answer.cache).toMatch(/fwd=stale.*detail=stale-if-error/);
  });

  it.each([404, 410])('remembers a %i for its own lifetime', async (status) => {
    origin.script = () => behave.status(status);
    const before = origin.requests.length;
    const first = await read(node, `/Item/gone-${status}`);
    expect([first.status, problemCode(first)]).toEqual([status, 'NOT_FOUND']);
    expect(first.cache).toContain('fwd=uri-miss; fwd-status=');
    const second = await read(node, `/Item/gone-${status}`);
    expect([second.status, second.cache.startsWith('millrace; hit')]).toEqual([status, true]);
    expect(second.age).toBeGreaterThanOrEqual(0);
    expect(origin.requests.length).toBe(before + 1);
    expect(
      await node.metric('millrace_cache_requests_total', { table: 'Item', result: 'negative' }),
    ).toBeGreaterThan(0);
  });

  it('shares a remembered failure for its lifetime and asks again afterwards', async () => {
    origin.script = () => behave.status(503);
    const before = origin.requests.length;
    await read(node, '/Item/again');
    expect((await read(node, '/Item/again')).status).toBe(502);
    expect(origin.requests.length).toBe(before + 1);
    origin.script = () => behave.status(500);
    await read(node, '/Item/soon');
    origin.script = () => behave.json({ id: 'soon' });
    await until('the record', async () => (await read(node, '/Item/soon')).status === 200);
  });

  it('keeps what it held when the origin says it is gone', async () => {
    origin.script = () => behave.json({ id: 'was' });
    await until('it to be held', async () => (await read(node, '/Held/was')).status === 200);
    await pass(5);
    origin.script = () => behave.status(404);
    // Not a failure: the record was deleted at its origin, and the stale copy must not live on.
    await until('its end', async () => (await read(node, '/Held/was')).status === 404);
    expect((await read(node, '/Held/was')).status).toBe(404);
  });

  it('reads a body that came with content codings', async () => {
    const { gzipSync } = await import('node:zlib');
    origin.script = () => behave.encoded('gzip', gzipSync('{"id":"zip","n":7}'));
    expect((await read(node, '/Item/zip')).text).toBe('{"id":"zip","n":7}');
  });

  it('says in its metrics how the attempts ended', async () => {
    const outcome = (name: string, of = 'patient') =>
      node.metric('millrace_origin_requests_total', { origin: of, outcome: name });
    expect(await outcome('origin_timed_out', 'api')).toBeGreaterThan(0);
    expect(await outcome('ok')).toBeGreaterThan(0);
    expect(await outcome('absent')).toBeGreaterThan(0);
    expect(await node.metric('millrace_origin_in_flight', { origin: 'api' })).toBe(0);
  });
});

describe.each([1, 2])('an origin that dies and comes back, %i thread(s)', (threads) => {
  let origin: HttpOrigin;
  let node: NodeProcess;
  beforeAll(async () => {
    origin = await HttpOrigin.start(() => behave.json({ id: 'x', n: 1 }));
    node = await startCache({
      tables: [
        { name: 'Item', cache: 'freshness: "1h"' },
        { name: 'Plain' },
        { name: 'Short', cache: 'freshness: "1ms"' },
        { name: 'Strict', cache: 'freshness: "1ms", staleIfError: "0"' },
      ],
      url: origin.url,
      threads,
      origin: 'timeout: 5s\nretries: 1\nbreaker: { failures: 3, cooldown: 300ms }',
    });
  });
  afterAll(async () => {
    await node.dispose();
    await origin.close();
  });

  it('serves everything held while it is gone, and says so for the rest', async () => {
    const { port } = origin;
    for (const table of ['Item', 'Plain', 'Short', 'Strict']) {
      // On a busy machine the first answer may come too late, which is then remembered.
      await until(
        `${table} to be held`,
        async () => (await read(node, `/${table}/x`)).status === 200,
      );
    }
    await pass(5);
    await origin.close();
    for (let round = 0; round < 10; round += 1) {
      expect((await read(node, '/Item/x')).cache).toMatch(/; hit/);
      expect((await read(node, '/Plain/x')).cache).toMatch(/; hit/);
      const stale = await read(node, '/Short/x');
      expect([stale.status, stale.cache.includes('stale-if-error')]).toEqual([200, true]);
      const strict = await read(node, '/Strict/x');
      expect([502, 503]).toContain(strict.status);
      const unheld = await read(node, `/Item/unheld-${round}`);
      expect([502, 503]).toContain(unheld.status);
      expect(['ORIGIN_UNREACHABLE', 'BREAKER_OPEN']).toContain(problemCode(unheld));
      expect(unheld.headers.get('retry-after')).toMatch(/^\d+$/);
    }
    expect(await node.metric('millrace_origin_breaker_open', { origin: 'api' })).toBe(1);
    origin = await HttpOrigin.start(() => behave.json({ id: 'x', n: 2 }), port);
    await until('recovery', async () => (await read(node, '/Short/x')).text.includes('"n":2'));
    await until('recovery of the rest', async () => (await read(node, '/Item/y')).status === 200);
    await until(
      'the breaker to close',
      async () => (await node.metric('millrace_origin_breaker_open', { origin: 'api' })) === 0,
    );
  });
});

describe.each([1, 2])('the concurrency of an origin, %i thread(s)', (threads) => {
  it('bounds what is in flight on the whole node, and queues the rest', async () => {
    const held: (() => void)[] = [];
    const origin = await HttpOrigin.start((request) => {
      const reply = behave.json({ id: request.path.split('/').pop() });
      return (socket) => held.push(() => reply(socket, request));
    });
    const node = await startCache({
      tables: [{ name: 'Item' }],
      url: origin.url,
      threads,
      origin: 'concurrency: 4\nqueue: 10\ntimeout: 10s\nretries: 0',
    });
    try {
      const reads = Array.from({ length: 40 }, (_, i) => read(node, `/Item/k${i}`));
      const busy = () => node.metric('millrace_origin_requests_total', { outcome: 'origin_busy' });
      await until('the refusals', async () => (await busy()) >= 40 - 4 - 10 * threads);
      expect(held.length).toBeLessThanOrEqual(4);
      let answered = false;
      const all = Promise.all(reads).finally(() => {
        answered = true;
      });
      let most = 0;
      await until('all answers', () => {
        const now = held.splice(0);
        most = Math.max(most, now.length);
        for (const release of now) release();
        return answered;
      });
      const statuses = (await all).map(({ status }) => status);
      expect(most).toBeLessThanOrEqual(4);
      expect(new Set(statuses)).toEqual(new Set([200, 503]));
      const refused = (await all).find(({ status }) => status === 503);
      expect(refused?.headers.get('retry-after')).toMatch(/^\d+$/);
    } finally {
      await node.dispose();
      await origin.close();
    }
  });
});

describe('an origin that fails on a node with several threads', () => {
  it('is left alone by all of them as soon as it has failed often enough', async () => {
    const origin = await HttpOrigin.start(() => behave.status(500));
    const node = await startCache({
      tables: [{ name: 'Item', cache: 'negative: { _5xx: "1ms" }' }],
      url: origin.url,
      origin: 'retries: 0\nbreaker: { failures: 4, cooldown: 1h }',
      threads: 2,
    });
    try {
      const codes: (string | undefined)[] = [];
      for (let at = 0; at < 24; at += 1) {
        // A connection of its own each time: the kernel deals them out to the threads.
        const response = await node.fetch(`/Item/${at}`, { headers: { connection: 'close' } });
        codes.push(((await response.json()) as { code?: string }).code);
      }
      expect(codes).toEqual(codes.map((_, at) => (at < 4 ? 'ORIGIN_STATUS' : 'BREAKER_OPEN')));
      expect(origin.requests).toHaveLength(4);
      expect(await node.metric('millrace_origin_breaker_open', { origin: 'api' })).toBe(1);
    } finally {
      await node.dispose();
      await origin.close();
    }
  });
});

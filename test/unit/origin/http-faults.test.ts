/** What a misbehaving HTTP origin leads to: the right code, within the deadline, no more. */
import { afterEach, describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../../src/base/errors.ts';
import type { OriginSettings } from '../../../src/config/origin-file.ts';
import type { OriginRuntime } from '../../../src/origin/runtime.ts';
import { type Behaviour, behave, HttpOrigin } from '../../support/http-origin.ts';
import {
  ask,
  binding,
  failureOf,
  IMPATIENT,
  openTestOrigin,
  recordOf,
} from '../../support/origins.ts';

const opened: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0)) await close();
});

async function origins(
  behaviour: Behaviour,
  over: Partial<OriginSettings> = {},
): Promise<{ http: HttpOrigin; runtime: OriginRuntime }> {
  const http = await HttpOrigin.start(() => behaviour);
  const runtime = await openTestOrigin({ url: http.url, bodyMax: 1_000_000, ...over });
  opened.push(
    () => runtime.stop(),
    () => http.close(),
  );
  return { http, runtime };
}

const faults: readonly (readonly [string, Behaviour, ErrorCode])[] = [
  ['never answers', behave.hang(), 'ORIGIN_TIMED_OUT'],
  ['sends its head byte by byte', behave.dripHead(), 'ORIGIN_TIMED_OUT'],
  ['sends its body byte by byte', behave.dripBody(), 'ORIGIN_TIMED_OUT'],
  ['stops in the middle of its body', behave.hangInBody(), 'ORIGIN_TIMED_OUT'],
  ['resets the connection', behave.reset(), 'ORIGIN_UNREACHABLE'],
  ['closes without an answer', behave.closeAtOnce(), 'ORIGIN_UNREACHABLE'],
  ['sends less than its Content-Length', behave.truncated(), 'ORIGIN_UNREACHABLE'],
  ['leaves out the last chunk', behave.truncatedChunks(), 'ORIGIN_UNREACHABLE'],
  ['sends a chunk without a length', behave.badChunk(), 'ORIGIN_BODY_INVALID'],
  ['sends both Content-Length and chunks', behave.lengthAndChunked(), 'ORIGIN_BODY_INVALID'],
  ['codes its body in a way nobody knows', behave.strangelyCoded(), 'ORIGIN_BODY_INVALID'],
  ['resets a body without a length', behave.resetInBody(), 'ORIGIN_BODY_INVALID'],
  ['does not speak HTTP', behave.garbage(), 'ORIGIN_BODY_INVALID'],
  ['sends a head of 2 MB', behave.hugeHead(), 'ORIGIN_BODY_TOO_LARGE'],
  ['sends a body without end', behave.endless(), 'ORIGIN_BODY_TOO_LARGE'],
  ['sends a gzip bomb', behave.bomb(50_000_000), 'ORIGIN_BODY_TOO_LARGE'],
  ['nests its encodings', behave.encoded('gzip, gzip', Buffer.from('x')), 'ORIGIN_BODY_INVALID'],
  ['lies about its encoding', behave.encoded('gzip', Buffer.from('{}')), 'ORIGIN_BODY_INVALID'],
  ['answers HTML', behave.answer(200, {}, '<html></html>'), 'ORIGIN_BODY_INVALID'],
  [
    'answers invalid UTF-8',
    behave.answer(200, {}, Buffer.from([0x22, 0xff])),
    'ORIGIN_BODY_INVALID',
  ],
  ['answers an array', behave.json([1]), 'ORIGIN_BODY_INVALID'],
  ['answers a string', behave.json('text'), 'ORIGIN_BODY_INVALID'],
  ['answers nothing with 200', behave.status(200), 'ORIGIN_BODY_INVALID'],
  ['answers 500', behave.status(500), 'ORIGIN_STATUS'],
  ['answers 403', behave.status(403), 'ORIGIN_STATUS'],
  ['answers 206', behave.answer(206, {}, '{"id":"a"}'), 'ORIGIN_STATUS'],
  ['redirects in a circle', behave.redirect('/flights/a'), 'ORIGIN_STATUS'],
  ['redirects to another scheme', behave.redirect('https://127.0.0.1/'), 'ORIGIN_STATUS'],
];

describe('an http origin that misbehaves', () => {
  for (const [title, behaviour, code] of faults) {
    it(`ends with ${code} when it ${title}`, async () => {
      const patience = code === 'ORIGIN_TIMED_OUT' ? IMPATIENT : {};
      const { runtime } = await origins(behaviour, patience);
      const error = await failureOf(runtime.table(binding).fetch(ask('a')));
      expect([error.code, error.blame]).toEqual([code, 'origin']);
    });
  }

  it('ends with ORIGIN_UNREACHABLE when nothing listens', async () => {
    const { http, runtime } = await origins(behave.hang());
    await http.close();
    const error = await failureOf(runtime.table(binding).fetch(ask('a')));
    expect(error.code).toBe('ORIGIN_UNREACHABLE');
  });

  it('does not reuse a connection on which bytes came beyond the message', async () => {
    const { http, runtime } = await origins(behave.overlong({ id: 'a' }));
    const table = runtime.table(binding);
    expect(recordOf(await table.fetch(ask('a')))).toEqual({ id: 'a' });
    http.script = () => behave.json({ id: 'b', clean: true });
    expect(recordOf(await table.fetch(ask('b')))).toEqual({ id: 'b', clean: true });
    expect(http.requests.map((request) => request.connection)).toEqual([1, 2]);
  });

  it('keeps its connection after a clean reply', async () => {
    const { http, runtime } = await origins(behave.json({ id: 'a' }));
    const table = runtime.table(binding);
    for (let call = 0; call < 20; call += 1) await table.fetch(ask('a'));
    // Two, since the pool may open a second one while the first is putting its reply away.
    expect(http.connections).toBeLessThanOrEqual(2);
  });

  it('says the status of the origin in the details', async () => {
    const { runtime } = await origins(behave.status(503, { 'retry-after': 7 }));
    const error = await failureOf(runtime.table(binding).fetch(ask('a')));
    expect(error.details).toMatchObject({ status: 503, retryAfterMs: 7_000 });
  });
});

/** The read path as a whole: what a reader gets, and what it is told about it. */
import { describe, expect, it } from 'vitest';
import { epochMs } from '../../../src/base/brands.ts';
import { FOREVER } from '../../../src/cache/entry.ts';
import { makeEntry } from '../../support/entries.ts';
import { Scenario } from './scenario.ts';

const MINUTE = 60_000;
const ms = (value: number) => value as never;

describe('a hit', () => {
  it('is answered before read returns, without asking anybody [RFC9111 §4]', async () => {
    const scenario = new Scenario();
    await scenario.hold({ body: '{"v":1}' });
    await scenario.advance(10_000);
    const read = scenario.start();
    expect(read.synchronous).toBe(true);
    expect(read.results[0]).toMatchObject({
      kind: 'found',
      text: '{"v":1}',
      age: 10,
      served: 'fresh',
      cacheStatus: { hit: true, ttl: 50 },
    });
    expect(scenario.origin.calls).toHaveLength(1);
  });

  it('R1 reads the clock once', async () => {
    const scenario = new Scenario();
    await scenario.hold();
    const before = scenario.clock.reads;
    scenario.start();
    expect(scenario.clock.reads - before).toBe(1);
  });

  it('ends at the instant at which the lifetime is over, not a millisecond later [RFC9111 §4.2]', async () => {
    const scenario = new Scenario();
    await scenario.hold({ cacheControl: 'max-age=60' });
    await scenario.advance(MINUTE - 1);
    expect((await scenario.answer()).kind).toBe('found');
    await scenario.advance(1);
    const late = await scenario.read();
    expect(late.results).toHaveLength(0);
    expect(scenario.origin.open).toHaveLength(1);
  });

  it('is not fresh when the clock stepped back behind its storing', async () => {
    const scenario = new Scenario();
    await scenario.hold({ cacheControl: 'max-age=60' });
    scenario.clock.step(-3_600_000);
    await scenario.read();
    expect(scenario.origin.open).toHaveLength(1);
  });
});

describe('a miss', () => {
  it('is fetched, stored and said to be so [RFC9211 §2]', async () => {
    const scenario = new Scenario();
    const { results } = await scenario.hold({ body: '{"v":1}' });
    expect(results[0]).toMatchObject({
      kind: 'found',
      text: '{"v":1}',
      served: 'fetched',
      cacheStatus: { hit: false, fwd: 'uri-miss', fwdStatus: 200, stored: true, ttl: 60 },
    });
  });

  it('names vary-miss when the key is held under another variant [RFC9211 §2.2]', async () => {
    const scenario = new Scenario();
    await scenario.hold();
    const read = await scenario.read('a', { variant: 'sv' });
    scenario.origin.next().reply();
    await scenario.step();
    expect(read.results[0]?.cacheStatus.fwd).toBe('vary-miss');
  });

  it('tells numbers and strings apart', async () => {
    const scenario = new Scenario();
    await scenario.read('1');
    await scenario.read(1);
    expect(scenario.origin.open).toHaveLength(2);
  });

  it('that the origin knows nothing of is absent, and the absence is reused', async () => {
    const scenario = new Scenario();
    const { results } = await scenario.hold({ status: 404 });
    expect(results[0]).toMatchObject({ kind: 'absent', status: 404, served: 'fetched' });
    await scenario.advance(9_000);
    expect(await scenario.answer()).toMatchObject({
      kind: 'absent',
      status: 404,
      served: 'fresh',
      cacheStatus: { hit: true, ttl: 1 },
    });
    await scenario.advance(1_000);
    await scenario.read();
    expect(scenario.origin.open).toHaveLength(1);
  });

  it('replaces a held record when the origin has lost it', async () => {
    const scenario = new Scenario({ policy: { negative: {} } });
    await scenario.hold({ cacheControl: 'max-age=1' });
    await scenario.advance(2_000);
    await scenario.hold({ status: 410 });
    expect(scenario.entries.fills.at(-1)).toMatchObject({ kind: 'negative', status: 410 });
  });
});

describe('the caches of other nodes', () => {
  const mayAnswer = async (scenario: Scenario, options?: Parameters<Scenario['read']>[1]) => {
    await scenario.read('a', options);
    return scenario.origin.next().request.peersMayAnswer;
  };

  it('may answer a miss, and a refresh of what is stale', async () => {
    const scenario = new Scenario();
    expect(await mayAnswer(scenario)).toBe(true);
  });

  it('may not answer a reader who demands the origin', async () => {
    const scenario = new Scenario();
    await scenario.hold({ cacheControl: 'max-age=60' });
    expect(await mayAnswer(scenario, { mayForce: true, cacheControl: 'no-cache' })).toBe(false);
  });

  it('may not answer while a purge is in force that is not committed', async () => {
    const scenario = new Scenario();
    await scenario.hold({ cacheControl: 'max-age=60' });
    scenario.entries.foresee('a');
    expect(await mayAnswer(scenario)).toBe(false);
  });
});

describe('validation', () => {
  it('freshens the entry from a 304 and keeps its bytes [RFC9111 §4.3.4]', async () => {
    const scenario = new Scenario();
    await scenario.hold({ body: '{"v":1}', etag: '"x"', cacheControl: 'max-age=60' });
    await scenario.advance(MINUTE);
    const read = await scenario.read();
    const call = scenario.origin.next();
    expect(call.request).toMatchObject({ conditional: true, background: false });
    expect(call.request.replacing?.meta.originTag).toBe('"x"');
    call.notModified({ cacheControl: 'max-age=30', etag: '"x"' });
    await scenario.step();
    expect(read.results[0]).toMatchObject({
      text: '{"v":1}',
      served: 'validated',
      cacheStatus: { hit: false, fwd: 'stale', fwdStatus: 304, stored: true, ttl: 30 },
    });
    await scenario.advance(29_000);
    expect((await scenario.answer()).cacheStatus).toEqual({ hit: true, ttl: 1 });
  });

  it('leaves the lifetime as it was when the 304 names none [RFC9111 §4.3.4]', async () => {
    const scenario = new Scenario();
    await scenario.hold({ etag: '"x"', cacheControl: 'max-age=10, must-revalidate' });
    await scenario.advance(10_000);
    await scenario.read();
    scenario.origin.next().notModified();
    await scenario.step();
    expect(scenario.entries.fills.at(-1)).toMatchObject({
      freshUntil: scenario.clock.instant + 10_000,
      staleForbidden: true,
    });
  });

  it('takes a 304 to an unconditional request for a failure', async () => {
    const scenario = new Scenario();
    const read = await scenario.read();
    scenario.origin.next().notModified();
    await scenario.step();
    expect(read.results[0]).toMatchObject({ kind: 'failed', error: { code: 'ORIGIN_FAILED' } });
  });

  it('is forced by a request that may force it [RFC9111 §5.2.1.4]', async () => {
    const scenario = new Scenario();
    await scenario.hold();
    const ignored = await scenario.answer('a', { cacheControl: 'no-cache', mayForce: false });
    expect(ignored.cacheStatus.hit).toBe(true);
    const read = await scenario.read('a', { cacheControl: 'no-cache' });
    expect(read.results).toHaveLength(0);
    scenario.origin.next().notModified();
    await scenario.step();
    expect(read.results[0]?.cacheStatus).toMatchObject({ fwd: 'request', fwdStatus: 304 });
  });
});

describe('R8 stale', () => {
  it('is served while it is refreshed behind, once [RFC5861 §3]', async () => {
    const scenario = new Scenario({ policy: { stale: { whileRevalidate: ms(MINUTE) } } });
    await scenario.hold({ body: '{"v":1}' });
    await scenario.advance(61_000);
    const read = scenario.start();
    expect(read.synchronous).toBe(true);
    expect(read.results[0]).toMatchObject({
      text: '{"v":1}',
      served: 'stale',
      cacheStatus: { hit: true, ttl: -1, detail: 'stale-while-revalidate' },
    });
    scenario.start();
    scenario.start();
    expect(scenario.origin.open).toHaveLength(1);
    expect(scenario.origin.open[0]?.request.background).toBe(true);
    scenario.origin.next().reply({ body: '{"v":2}' });
    await scenario.step();
    expect((await scenario.answer()).text).toBe('{"v":2}');
  });

  it('is served when the origin fails, as the default policy permits [RFC5861 §4]', async () => {
    const scenario = new Scenario();
    await scenario.hold({ body: '{"v":1}' });
    await scenario.advance(3_600_000);
    for (const [code, status] of [
      ['ORIGIN_TIMED_OUT', undefined],
      ['ORIGIN_UNREACHABLE', undefined],
      ['ORIGIN_STATUS', 503],
    ] as const) {
      const read = await scenario.read();
      scenario.origin.next().fail(code, status);
      await scenario.step();
      expect(read.results[0]).toMatchObject({
        served: 'stale',
        cacheStatus: { hit: false, fwd: 'stale', fwdStatus: status, detail: 'stale-if-error' },
      });
      await scenario.advance(1_000);
    }
  });

  it('is not served for an error which is not about the origin being down [RFC5861 §4]', async () => {
    const scenario = new Scenario();
    await scenario.hold();
    await scenario.advance(61_000);
    const read = await scenario.read();
    scenario.origin.next().fail('ORIGIN_STATUS', 403);
    await scenario.step();
    expect(read.results[0]).toMatchObject({
      kind: 'failed',
      cacheStatus: { detail: 'ORIGIN_STATUS' },
    });
  });

  it('begins no refresh for each stale answer while the node itself refuses them', async () => {
    const scenario = new Scenario({ policy: { stale: { whileRevalidate: ms(MINUTE) } } });
    await scenario.hold();
    await scenario.advance(61_000);
    await scenario.answer();
    scenario.origin.next().fail('BREAKER_OPEN');
    await scenario.step();
    for (let reads = 0; reads < 20; reads += 1) await scenario.answer();
    expect(scenario.origin.open).toHaveLength(0);
    await scenario.advance(1_000);
    await scenario.answer();
    expect(scenario.origin.open).toHaveLength(1);
  });

  it('is never served when the origin forbade it [RFC9111 §5.2.2.2]', async () => {
    const scenario = new Scenario({ policy: { stale: { whileRevalidate: ms(MINUTE) } } });
    await scenario.hold({ cacheControl: 'max-age=10, must-revalidate, stale-if-error=900' });
    await scenario.advance(10_000);
    const read = await scenario.read('a', { cacheControl: 'max-stale' });
    scenario.origin.next().fail();
    await scenario.step();
    expect(read.results[0]?.kind).toBe('failed');
  });

  it('is never served when the request forbids it', async () => {
    const scenario = new Scenario({ policy: { stale: { whileRevalidate: ms(MINUTE) } } });
    await scenario.hold();
    await scenario.advance(61_000);
    const read = await scenario.read('a', { cacheControl: 'must-revalidate' });
    scenario.origin.next().fail();
    await scenario.step();
    expect(read.results[0]?.kind).toBe('failed');
  });

  it('is served to a client which accepts it, for as long as it accepts [RFC9111 §5.2.1.2]', async () => {
    const scenario = new Scenario();
    await scenario.hold();
    await scenario.advance(70_000);
    const answer = await scenario.answer('a', { cacheControl: 'max-stale=10' });
    expect(answer.cacheStatus).toEqual({ hit: true, ttl: -10, detail: 'max-stale' });
    await scenario.advance(1);
    await scenario.read('a', { cacheControl: 'max-stale=10' });
    expect(scenario.origin.open).toHaveLength(1);
  });
});

describe('refused', () => {
  it('only-if-cached never goes to the origin, and leaves the store as it was [RFC9111 §5.2.1.7]', async () => {
    const scenario = new Scenario();
    const answer = await scenario.answer('a', { cacheControl: 'only-if-cached' });
    expect(answer).toMatchObject({ kind: 'refused', cacheStatus: { detail: 'only-if-cached' } });
    expect(scenario.origin.calls).toHaveLength(0);
    await scenario.hold();
    expect((await scenario.answer('a', { cacheControl: 'only-if-cached' })).kind).toBe('found');
  });
});

describe('R10 the store stays as it was', () => {
  it('after a request with no-store [RFC9111 §5.2.1.5]', async () => {
    const scenario = new Scenario();
    const read = await scenario.read('a', { cacheControl: 'no-store' });
    scenario.origin.next().reply({ body: '{"v":1}' });
    await scenario.step();
    expect(read.results[0]).toMatchObject({ text: '{"v":1}', cacheStatus: { stored: false } });
    expect(scenario.entries.fills).toHaveLength(0);
  });

  it('after a failed read', async () => {
    const scenario = new Scenario();
    const read = await scenario.read();
    scenario.origin.next().fail();
    await scenario.step();
    expect(read.results[0]).toMatchObject({
      kind: 'failed',
      error: { code: 'ORIGIN_UNREACHABLE' },
      cacheStatus: { hit: false, fwd: 'uri-miss', stored: false, detail: 'ORIGIN_UNREACHABLE' },
    });
    expect(scenario.entries.fills).toHaveLength(0);
  });

  it('under a policy which never stores', async () => {
    const scenario = new Scenario({ policy: { store: { enabled: false } } });
    const { results } = await scenario.hold();
    expect(results[0]?.cacheStatus).toMatchObject({ fwd: 'bypass', stored: false });
    expect(scenario.entries.fills).toHaveLength(0);
  });
});

describe('R7 a store that fails', () => {
  it.each(['shed', 'fault'] as const)('does not fail the read: %s', async (fate) => {
    const lost: string[] = [];
    const events = { fillLost: (_: string, cause: string) => void lost.push(cause) };
    const scenario = new Scenario({ events });
    scenario.entries.fate = fate;
    const { results } = await scenario.hold({ body: '{"v":1}' });
    expect(results[0]).toMatchObject({ text: '{"v":1}', cacheStatus: { stored: false } });
    expect(lost).toEqual([fate === 'shed' ? 'shed' : 'failed']);
    expect(scenario.path.flights).toBe(0);
  });
});

describe('R7 a store that hangs', () => {
  it('keeps no client for long; the reply is in memory meanwhile', async () => {
    const scenario = new Scenario();
    let open = () => {};
    scenario.entries.gate = new Promise((resolve) => {
      open = resolve;
    });
    const { results } = await scenario.hold({ body: '{"v":1}' });
    const early = [...results];
    await scenario.advance(1_000);
    const other = await scenario.answer();
    expect(early).toEqual([]);
    expect(results).toMatchObject([{ text: '{"v":1}', cacheStatus: { stored: false } }]);
    expect(other.text).toBe('{"v":1}');
    expect([scenario.origin.calls.length, scenario.path.flights]).toEqual([1, 1]);
    open();
    await scenario.step();
    expect(scenario.path.flights).toBe(0);
    expect((await scenario.answer()).cacheStatus.hit).toBe(true);
  });
});

describe('a table without an origin', () => {
  const scenario = () => new Scenario({ withoutOrigin: true });

  it('answers what it holds, whatever the client demands', async () => {
    const own = scenario();
    own.entries.put(makeEntry({ freshUntil: FOREVER, evictAt: FOREVER }));
    for (const cacheControl of ['no-cache', 'no-store', 'max-age=0', 'only-if-cached']) {
      expect(await own.answer('a', { cacheControl })).toMatchObject({
        kind: 'found',
        age: 0,
        cacheStatus: { hit: true },
      });
    }
  });

  it('knows nothing of what is missing, expired, deleted or purged', async () => {
    const own = scenario();
    expect(await own.answer()).toMatchObject({ kind: 'absent', status: 404 });
    own.entries.put(makeEntry({ freshUntil: epochMs(own.clock.instant - 1) }));
    expect((await own.answer()).kind).toBe('absent');
    own.entries.put(makeEntry({ kind: 'tombstone', freshUntil: FOREVER }));
    expect((await own.answer()).kind).toBe('absent');
    own.entries.put(makeEntry({ freshUntil: FOREVER }));
    own.entries.invalidate({ id: 'a' });
    expect((await own.answer()).kind).toBe('absent');
  });
});

describe('a live feed', () => {
  it('keeps fresh what it would have told of, and nothing older', async () => {
    const fed: { since: number | undefined } = { since: undefined };
    const fedSince = () => (fed.since === undefined ? undefined : epochMs(fed.since));
    const scenario = new Scenario({ fedSince });
    await scenario.hold();
    fed.since = scenario.clock.instant;
    await scenario.advance(3_600_000);
    expect((await scenario.answer()).cacheStatus).toEqual({ hit: true });
    fed.since = scenario.clock.instant;
    await scenario.read();
    expect(scenario.origin.open).toHaveLength(1);
  });
});

describe('refresh', () => {
  it('asks the origin whatever is held, unless somebody does already', async () => {
    const scenario = new Scenario();
    await scenario.hold({ body: '{"v":1}' });
    scenario.path.refresh('a');
    scenario.path.refresh('a');
    expect(scenario.origin.open).toHaveLength(1);
    scenario.origin.next().reply({ body: '{"v":2}' });
    await scenario.step();
    expect((await scenario.answer()).text).toBe('{"v":2}');
  });
});

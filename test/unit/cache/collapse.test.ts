/** Flights: one fetch for all who ask, its success and its failure shared. */
import { describe, expect, it } from 'vitest';
import { epochMs } from '../../../src/base/brands.ts';
import type { FlightOutcome, Leases } from '../../../src/cache/ports.ts';
import { makeEntry } from '../../support/entries.ts';
import { deferred } from '../../support/manual-clock.ts';
import { type PendingRead, Scenario } from './scenario.ts';

const many = (scenario: Scenario, count: number): PendingRead[] =>
  Array.from({ length: count }, () => scenario.start());
const codes = (reads: readonly PendingRead[]) =>
  reads.map(({ results: [result] }) =>
    result?.kind === 'failed' ? result.error.code : (result?.kind ?? 'none'),
  );

describe('R3 one shared fetch', () => {
  it('answers 300 concurrent misses [RFC9111 §4]', async () => {
    const scenario = new Scenario();
    const reads = many(scenario, 300);
    await scenario.step();
    scenario.origin.next().reply({ body: '{"v":1}' });
    await scenario.step();
    expect(scenario.origin.calls).toHaveLength(1);
    expect(reads.map((read) => read.results.length)).toEqual(reads.map(() => 1));
    expect(new Set(reads.map((read) => read.results[0]?.text))).toEqual(new Set(['{"v":1}']));
    const collapsed = reads.filter((read) => read.results[0]?.cacheStatus.collapsed === true);
    expect(collapsed).toHaveLength(299);
  });

  it('serves for foreground and background alike', async () => {
    const scenario = new Scenario({ policy: { stale: { whileRevalidate: 1_000 as never } } });
    await scenario.hold();
    await scenario.advance(60_500);
    scenario.start();
    await scenario.advance(1_000);
    const read = await scenario.read();
    expect(scenario.origin.calls).toHaveLength(2);
    scenario.origin.next().reply({ body: '{"v":2}' });
    await scenario.step();
    expect(read.results[0]).toMatchObject({ text: '{"v":2}', cacheStatus: { collapsed: true } });
  });

  it('goes on until its entry is readable: later reads take the reply from memory', async () => {
    const scenario = new Scenario();
    const commit = deferred<void>();
    scenario.entries.gate = commit.promise;
    await scenario.read();
    scenario.origin.next().reply({ body: '{"v":1}' });
    await scenario.step();
    const late = scenario.start();
    expect(late.synchronous).toBe(true);
    expect(late.results[0]).toMatchObject({ text: '{"v":1}', cacheStatus: { hit: true } });
    commit.resolve();
    await scenario.step();
    expect(scenario.path.flights).toBe(0);
    expect(scenario.origin.calls).toHaveLength(1);
  });

  it('is begun anew when the reply in memory is stale for a later read', async () => {
    const scenario = new Scenario();
    scenario.entries.gate = new Promise(() => {});
    await scenario.read();
    scenario.origin.next().reply({ cacheControl: 'max-age=1' });
    await scenario.advance(1_000);
    const late = await scenario.read();
    expect(late.results).toHaveLength(0);
    expect(scenario.origin.calls).toHaveLength(2);
  });
});

describe('a failing origin', () => {
  it('is asked at most twice by 50 readers within a back-off window', async () => {
    const scenario = new Scenario();
    scenario.origin.script = (call) => call.fail('ORIGIN_STATUS', 500);
    const reads = many(scenario, 25);
    await scenario.step();
    await scenario.advance(500);
    reads.push(...many(scenario, 25));
    await scenario.advance(499);
    expect(new Set(codes(reads))).toEqual(new Set(['ORIGIN_STATUS']));
    expect(scenario.origin.calls).toHaveLength(1);
    await scenario.advance(1);
    many(scenario, 50);
    await scenario.step();
    expect(scenario.origin.calls).toHaveLength(2);
  });

  it('leaves no mark once it has answered', async () => {
    const scenario = new Scenario();
    scenario.origin.script = (call) => call.fail();
    await scenario.read();
    scenario.origin.script = undefined;
    await scenario.advance(1_000);
    await scenario.hold();
    expect((await scenario.answer()).kind).toBe('found');
  });

  it('is asked anew at once when the refusal was this node’s own', async () => {
    const scenario = new Scenario();
    scenario.origin.script = (call) => call.fail('ORIGIN_BUSY');
    await scenario.read();
    await scenario.read();
    expect(scenario.origin.calls).toHaveLength(2);
  });

  it('lets stale be served at once within the window, and no refresh begin', async () => {
    const scenario = new Scenario({ policy: { stale: { whileRevalidate: 900_000 as never } } });
    await scenario.hold();
    await scenario.advance(61_000);
    scenario.origin.script = (call) => call.fail();
    for (let i = 0; i < 10; i += 1) {
      expect((await scenario.answer()).cacheStatus.detail).toBe('stale-while-revalidate');
    }
    expect(scenario.origin.calls).toHaveLength(2);
  });

  it('that throws instead of rejecting fails the read and frees the key', async () => {
    const scenario = new Scenario({ policy: { negative: {} } });
    scenario.origin.script = () => {
      throw new TypeError('not a promise');
    };
    expect(codes([await scenario.read()])).toEqual(['INTERNAL']);
    expect(scenario.path.flights).toBe(0);
  });

  it('that never settles is given up [SPEC A4]', async () => {
    const scenario = new Scenario();
    const read = await scenario.read();
    await scenario.advance(60_000);
    expect(codes([read])).toEqual(['ORIGIN_TIMED_OUT']);
    expect(scenario.origin.calls[0]?.signal.aborted).toBe(true);
  });
});

describe('R4 waiters', () => {
  it('are bounded: one more is turned away', async () => {
    const limits: string[] = [];
    const events = { limitHit: (name: string) => void limits.push(name) };
    const scenario = new Scenario({ policy: { collapse: { waitersMax: 3 } }, events });
    const reads = many(scenario, 5);
    await scenario.step();
    expect(codes(reads)).toEqual(['none', 'none', 'none', 'none', 'TOO_MANY_WAITERS']);
    expect(limits).toEqual(['waitersMax']);
  });

  it('wait for collapse.wait and not longer, while the fetch goes on', async () => {
    const scenario = new Scenario();
    const reads = many(scenario, 2);
    await scenario.advance(5_000);
    expect(codes(reads)).toEqual(['none', 'DEADLINE_EXCEEDED']);
    scenario.origin.next().reply();
    await scenario.step();
    expect(codes(reads)).toEqual(['found', 'DEADLINE_EXCEEDED']);
  });

  it('end at the client’s own deadline, leader and waiter alike', async () => {
    const scenario = new Scenario();
    const deadline = epochMs(scenario.clock.instant + 100);
    const reads = [scenario.start('a', { deadline }), scenario.start('a', { deadline })];
    await scenario.advance(100);
    expect(codes(reads)).toEqual(['DEADLINE_EXCEEDED', 'DEADLINE_EXCEEDED']);
    scenario.origin.next().reply({ body: '{"v":1}' });
    await scenario.step();
    expect((await scenario.answer()).text).toBe('{"v":1}');
    expect(scenario.origin.calls).toHaveLength(1);
  });

  it('are all woken by the leader’s failure, and share it without asking again', async () => {
    const scenario = new Scenario();
    const reads = many(scenario, 50);
    await scenario.step();
    scenario.origin.next().fail('ORIGIN_TIMED_OUT');
    await scenario.step();
    expect(new Set(codes(reads))).toEqual(new Set(['ORIGIN_TIMED_OUT']));
    expect(scenario.origin.calls).toHaveLength(1);
  });

  it('do not begin anew when the fetch they wait for is over: none waits twice', async () => {
    const scenario = new Scenario();
    const reads = many(scenario, 20);
    await scenario.step();
    scenario.origin.next().reply({ cacheControl: 'max-age=0' });
    await scenario.step();
    expect(new Set(codes(reads))).toEqual(new Set(['found']));
    expect(scenario.steps.filter((step) => step === 'joining → waiting')).toHaveLength(19);
    expect(scenario.origin.calls).toHaveLength(1);
  });

  it('leave no timer behind', async () => {
    const scenario = new Scenario();
    many(scenario, 20);
    await scenario.step();
    scenario.origin.next().reply();
    await scenario.step();
    expect(scenario.clock.timers).toBe(0);
  });
});

describe('R5 a reply which is not for all', () => {
  it.each(['private', 'no-store', 'no-cache'])(
    'sends each on its own way: %s',
    async (directive) => {
      const scenario = new Scenario({ parallel: true });
      const reads = many(scenario, 4);
      await scenario.step();
      scenario.origin.next().reply({ cacheControl: directive });
      await scenario.step();
      expect(scenario.origin.open).toHaveLength(3);
      while (scenario.origin.open.length > 0)
        scenario.origin.next().reply({ cacheControl: directive });
      await scenario.step();
      expect(new Set(codes(reads))).toEqual(new Set(['found']));
    },
  );

  it('leaves a pass marker, so that the next ones do not queue', async () => {
    const scenario = new Scenario({ parallel: true });
    await scenario.hold({ cacheControl: 'private' });
    expect(scenario.entries.fills.at(-1)).toMatchObject({ kind: 'pass' });
    const reads = many(scenario, 3);
    await scenario.step();
    expect(scenario.origin.open).toHaveLength(3);
    while (scenario.origin.open.length > 0)
      scenario.origin.next().reply({ cacheControl: 'private' });
    await scenario.step();
    expect(reads[0]?.results[0]?.cacheStatus).toMatchObject({ fwd: 'miss', stored: false });
  });

  it('collapses again once the marker is over, or a reply was for all', async () => {
    const scenario = new Scenario({ parallel: true });
    await scenario.hold({ cacheControl: 'private' });
    await scenario.advance(120_000);
    many(scenario, 3);
    await scenario.step();
    expect(scenario.origin.open).toHaveLength(1);
    scenario.origin.next().reply({ body: '{"v":2}' });
    await scenario.step();
    expect((await scenario.answer()).text).toBe('{"v":2}');
  });
});

describe('R9 a client that leaves', () => {
  it('ends its own wait, not the fetch', async () => {
    const scenario = new Scenario();
    const leaving = new AbortController();
    const leader = scenario.start('a', { signal: leaving.signal });
    const waiter = scenario.start();
    await scenario.step();
    leaving.abort();
    await leader.done;
    expect(scenario.origin.calls[0]?.signal.aborted).toBe(false);
    scenario.origin.next().reply();
    await scenario.step();
    expect(codes([leader, waiter])).toEqual(['none', 'found']);
    expect(scenario.entries.fills).toHaveLength(1);
  });

  it('makes room for another waiter', async () => {
    const scenario = new Scenario({ policy: { collapse: { waitersMax: 1 } } });
    const leaving = new AbortController();
    scenario.start();
    scenario.start('a', { signal: leaving.signal });
    leaving.abort();
    const next = await scenario.read();
    scenario.origin.next().reply();
    await scenario.step();
    expect(codes([next])).toEqual(['found']);
  });

  it('cancels a fetch which nobody shares', async () => {
    const scenario = new Scenario();
    const leaving = new AbortController();
    const signal = leaving.signal;
    await scenario.read('a', { signal, cacheControl: 'no-store' });
    leaving.abort();
    await scenario.step();
    expect(scenario.origin.calls[0]?.signal.aborted).toBe(true);
  });
});

describe('leases of a node with workers', () => {
  it('let this thread share what another one fetches', async () => {
    const remote = deferred<FlightOutcome>();
    const leases: Leases = {
      acquire: () => Promise.resolve({ kind: 'follow', outcome: remote.promise }),
    };
    const scenario = new Scenario({ leases });
    const reads = many(scenario, 3);
    await scenario.step();
    const entry = makeEntry({ stamp: scenario.entries.stamp(), text: '{"v":1}' });
    remote.resolve({ kind: 'reply', entry, stored: true, shareable: true, originStatus: 200 });
    await scenario.step();
    expect(reads.map((read) => read.results[0]?.text)).toEqual(['{"v":1}', '{"v":1}', '{"v":1}']);
    expect(scenario.origin.calls).toHaveLength(0);
  });

  it('are settled once with the outcome, when its entry is readable', async () => {
    const outcomes: FlightOutcome[] = [];
    const settle = (outcome: FlightOutcome) => void outcomes.push(outcome);
    const leases: Leases = { acquire: () => Promise.resolve({ kind: 'lead', settle }) };
    const scenario = new Scenario({ leases });
    await scenario.hold();
    expect(outcomes).toMatchObject([{ kind: 'reply', stored: true, originStatus: 200 }]);
  });

  it('that cannot be had fail the read and free the key', async () => {
    const leases: Leases = { acquire: () => Promise.reject(new Error('the store thread is gone')) };
    const scenario = new Scenario({ leases });
    expect(codes([await scenario.read()])).toEqual(['INTERNAL']);
    expect(scenario.path.flights).toBe(0);
  });
});

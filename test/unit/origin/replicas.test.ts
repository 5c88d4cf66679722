/** Which replica a request goes to, and when one is left out; time moves by hand. */
import { describe, expect, it } from 'vitest';
import { NodeError } from '../../../src/base/errors.ts';
import { concludeFailure, Replicas, type ReplicasSettings } from '../../../src/origin/replicas.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const SUSPECT_MS = 1_000;
const COOLDOWN_MS = 10_000;

function make(count: number, over: Partial<ReplicasSettings> = {}) {
  const clock = new ManualClock();
  let seed = 7;
  const random = () => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed / 2_147_483_647;
  };
  const settings: ReplicasSettings = {
    replicas: Array.from({ length: count }, (_, i) => ({ url: `http://r${i}:80${i}`, weight: 1 })),
    balance: 'load',
    ejection: { failures: 3, cooldownMs: COOLDOWN_MS },
    ...over,
  };
  return { clock, replicas: new Replicas(settings, clock, random) };
}

const hostOf = (replicas: Replicas, key = 'k'): string => {
  const use = replicas.take(key);
  use.conclude('succeeded');
  use.release();
  return use.url.hostname;
};
const states = (replicas: Replicas) => replicas.report().map(({ state }) => state);

describe('by load', () => {
  it('gives requests under way to all, in the measure of their weights', () => {
    const { replicas } = make(3, {
      replicas: [1, 1, 4].map((weight, i) => ({ url: `http://r${i}`, weight })),
    });
    for (let i = 0; i < 600; i += 1) replicas.take('k');
    const [one = 0, two = 0, four = 0] = replicas.report().map(({ inFlight }) => inFlight);
    expect(one + two + four).toBe(600);
    expect(Math.abs(one - two)).toBeLessThan(20);
    expect(four / (one + two)).toBeGreaterThan(1.7);
  });

  it('passes over one that has just failed, though it has nothing to do', () => {
    const { clock, replicas } = make(2);
    const failing = replicas.take('k');
    failing.conclude('failed');
    failing.release();
    const other = failing.url.hostname === 'r0' ? 'r1' : 'r0';
    for (let i = 0; i < 20; i += 1) expect(replicas.take('k').url.hostname).toBe(other);
    clock.advance(SUSPECT_MS);
    expect(replicas.take('k').url.hostname).toBe(failing.url.hostname);
  });

  it('goes to another one the next time', () => {
    const { replicas } = make(3);
    const tried = new Set<Replicas['all'][number]>();
    const hosts = [0, 1, 2].map(() => {
      const { replica } = replicas.take('k', tried);
      tried.add(replica);
      return replica.url.hostname;
    });
    expect(new Set(hosts).size).toBe(3);
    // When all were tried there is still one to be had.
    expect(replicas.take('k', tried).url.hostname).toMatch(/^r\d$/);
  });
});

describe('ejection', () => {
  it('comes with failures in a row, ends with one request that succeeds', () => {
    const { clock, replicas } = make(1);
    for (let i = 0; i < 3; i += 1) replicas.take('k').conclude('failed');
    expect(states(replicas)).toEqual(['ejected']);
    expect(replicas.standing).toBe(false);
    clock.advance(COOLDOWN_MS);
    const probe = replicas.take('k');
    expect(states(replicas)).toEqual(['probing']);
    probe.conclude('succeeded');
    expect(states(replicas)).toEqual(['well']);
    expect(replicas.report()[0]?.ejections).toBe(1);
  });

  it('lets one request try, and spares the others of it', () => {
    const { clock, replicas } = make(2);
    const use = replicas.take('k');
    const bad = use.url.hostname;
    use.refused();
    clock.advance(COOLDOWN_MS);
    const hosts = Array.from({ length: 10 }, () => replicas.take('k').url.hostname);
    expect(hosts.filter((host) => host === bad)).toHaveLength(1);
  });

  it('comes at once for one that cannot be connected to', () => {
    const { replicas } = make(2);
    const use = replicas.take('k');
    const refused = new NodeError('ORIGIN_UNREACHABLE', 'no', {
      blame: 'origin',
      details: { cause: 'ECONNREFUSED' },
    });
    concludeFailure(use, refused, new AbortController().signal);
    use.release();
    expect(states(replicas).filter((state) => state === 'ejected')).toHaveLength(1);
    expect(hostOf(replicas)).not.toBe(use.url.hostname);
    expect(replicas.standing).toBe(true);
  });

  it('does not come for what the client broke off', () => {
    const { replicas } = make(1);
    const left = new AbortController();
    left.abort(new Error('the client has gone'));
    for (let i = 0; i < 5; i += 1) concludeFailure(replicas.take('k'), 'x', left.signal);
    expect(states(replicas)).toEqual(['well']);
  });

  it('never leaves a request without a replica', () => {
    const { clock, replicas } = make(3);
    for (let i = 0; i < 3; i += 1) {
      replicas.take('k').refused();
      clock.advance(10);
    }
    expect(states(replicas)).toEqual(['ejected', 'ejected', 'ejected']);
    // The one that was ejected first is the first that may be well again.
    const first = replicas.take('k').replica;
    const until = ({ state }: typeof first) => (state.kind === 'open' ? state.until : 0);
    expect(until(first)).toBe(Math.min(...replicas.all.map(until)));
  });

  it('ends with a health probe that succeeds, and is drawn out by one that fails', () => {
    const { clock, replicas } = make(1);
    const [replica] = replicas.all;
    if (replica === undefined) throw new Error('one replica');
    replicas.take('k').refused();
    clock.advance(COOLDOWN_MS - 1);
    replicas.probed(replica, false);
    clock.advance(COOLDOWN_MS - 1);
    expect(states(replicas)).toEqual(['ejected']);
    replicas.probed(replica, true);
    expect(states(replicas)).toEqual(['well']);
  });
});

describe('by key', () => {
  it('stays with a replica, and moves only the share of one that is gone', () => {
    const { replicas } = make(4, { balance: 'key' });
    const keys = Array.from({ length: 2_000 }, (_, i) => `/page/${i}`);
    const before = keys.map((key) => hostOf(replicas, key));
    expect(keys.map((key) => hostOf(replicas, key))).toEqual(before);
    for (const host of ['r0', 'r1', 'r2', 'r3']) {
      const share = before.filter((each) => each === host).length / keys.length;
      expect(share).toBeGreaterThan(0.2);
      expect(share).toBeLessThan(0.3);
    }
    const gone = replicas.take('/page/0');
    gone.refused();
    const after = keys.map((key) => hostOf(replicas, key));
    const moved = keys.filter((_, i) => before[i] !== after[i]);
    expect(moved).toHaveLength(before.filter((host) => host === gone.url.hostname).length);
    expect(new Set(after).size).toBe(3);
  });
});

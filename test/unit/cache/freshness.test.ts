/** Freshness and age as numbers, and against another implementation of the same clauses. */
import fc from 'fast-check';
import CacheSemantics from 'http-cache-semantics';
import { describe, expect, it } from 'vitest';
import { durationMs, epochMs } from '../../../src/base/brands.ts';
import { DEFAULT_POLICY, definePolicy } from '../../../src/cache/default-policy.ts';
import { FOREVER, NEVER } from '../../../src/cache/entry.ts';
import {
  currentAge,
  freshnessLifetime,
  initialAge,
  isFresh,
  jitter,
  negativeLifetime,
  plus,
  staleAllowance,
  WITHOUT_END,
} from '../../../src/cache/freshness.ts';
import { makeEntry } from '../../support/entries.ts';
import { factsOf, type ScriptedReply } from '../../support/scripted-origin.ts';

const T0 = epochMs(1_000_000_000_000);
const VALID = { kind: 'valid' } as const;
const facts = (reply: ScriptedReply, status = 200) => factsOf(reply, status, T0, T0);
const policy = (freshness: object) => definePolicy({ freshness });

describe('freshness lifetime [RFC9111 §4.2.1]', () => {
  const EXPIRES = { expires: epochMs(T0 + 9_000), date: epochMs(T0 - 1_000) };
  it.each([
    ['s-maxage before max-age', { cacheControl: 's-maxage=5, max-age=9' }, 5],
    ['max-age before Expires', { cacheControl: 'max-age=5', facts: EXPIRES }, 5],
    ['Expires less Date', { facts: EXPIRES }, 10],
    ['an invalid Expires', { facts: { expires: NEVER } }, 0],
    ['the policy’s default', {}, 60],
  ])('%s', (_, reply, seconds) => {
    expect(freshnessLifetime(facts(reply), DEFAULT_POLICY)).toBe(seconds * 1_000);
  });

  it('is the origin’s, capped, or the policy’s alone, as `origin` says', () => {
    const reply = facts({ cacheControl: 'max-age=600' });
    const max = durationMs(100_000);
    expect(freshnessLifetime(reply, policy({ origin: 'respect', max }))).toBe(600_000);
    expect(freshnessLifetime(reply, policy({ origin: 'cap', max }))).toBe(100_000);
    expect(freshnessLifetime(reply, policy({ origin: 'ignore', max }))).toBe(60_000);
  });

  it('is a tenth of the time since the last modification when the policy wants it [RFC9111 §4.2.2]', () => {
    const reply = facts({ lastModified: epochMs(T0 - 500_000) });
    expect(freshnessLifetime(reply, policy({ heuristic: true }))).toBe(50_000);
    expect(freshnessLifetime(reply, policy({ heuristic: false }))).toBe(60_000);
  });

  it('is what code said before everything else, whatever age the reply came with', () => {
    const freshUntil = epochMs(T0 + 5_000);
    const reply = facts({ cacheControl: 'max-age=600', ageMs: 3_000, facts: { freshUntil } });
    const lifetime = freshnessLifetime(reply, DEFAULT_POLICY);
    expect(plus(T0, durationMs(lifetime - initialAge(reply)))).toBe(freshUntil);
  });

  it('is a hook’s when it has an opinion', () => {
    const hooks = { freshnessLifetime: () => durationMs(7) };
    expect(freshnessLifetime(facts({}), definePolicy({ hooks }))).toBe(7);
    const silent = { freshnessLifetime: () => undefined };
    expect(freshnessLifetime(facts({}), definePolicy({ hooks: silent }))).toBe(60_000);
  });

  it('of an error comes from the row of its status, or of its class', () => {
    const { settings } = definePolicy({
      negative: { 404: durationMs(1), '4xx': durationMs(2), '5xx': durationMs(3) },
    });
    expect([404, 410, 503, 302].map((status) => negativeLifetime(status, settings))).toEqual([
      1,
      2,
      3,
      undefined,
    ]);
    expect(freshnessLifetime(facts({}, 418), DEFAULT_POLICY)).toBe(0);
  });
});

describe('age [RFC9111 §4.2.3]', () => {
  it('begins with the greatest of the apparent age and the told age plus the delay', () => {
    const at = (reply: ScriptedReply, requested: number) =>
      initialAge(factsOf(reply, 200, epochMs(T0 - requested), T0));
    expect(at({}, 0)).toBe(0);
    expect(at({ ageMs: 5_000 }, 700)).toBe(5_700);
    expect(at({ ageMs: 5_000, facts: { date: epochMs(T0 - 9_000) } }, 700)).toBe(9_000);
    expect(at({ facts: { date: epochMs(T0 + 9_000) } }, 0)).toBe(0);
  });

  it('grows with the time in the store, and not backwards', () => {
    const entry = makeEntry({ initialAge: durationMs(2_000) });
    expect(currentAge(entry, epochMs(T0 + 3_000))).toBe(5_000);
    expect(currentAge(entry, epochMs(T0 - 3_000))).toBe(2_000);
  });
});

describe('jitter', () => {
  it('only shortens, at most by the share', () => {
    expect(jitter(durationMs(1_000), 0.1, 0)).toBe(1_000);
    expect(jitter(durationMs(1_000), 0.1, 0.999)).toBe(900);
    expect(jitter(WITHOUT_END, 0.1, 0.5)).toBe(WITHOUT_END);
  });
});

describe('stale windows', () => {
  it('stay within what an instant can be', () => {
    expect(plus(T0, WITHOUT_END)).toBe(FOREVER);
    expect(plus(T0, durationMs(-T0 - 5))).toBe(NEVER);
  });

  it('are a hook’s when it has an opinion', () => {
    const entry = makeEntry({ staleIfErrorUntil: FOREVER });
    const allowance = { whileRevalidate: durationMs(1), ifError: durationMs(2) };
    const hooked = definePolicy({ hooks: { staleAllowance: () => allowance } });
    expect(staleAllowance(entry, VALID, hooked)).toEqual({
      whileRevalidateUntil: entry.freshUntil + 1,
      ifErrorUntil: entry.freshUntil + 2,
    });
  });
});

/**
 * Where both read the clauses the same way; the differences are named where the values are made.
 */
describe('against http-cache-semantics', () => {
  const seconds = fc.integer({ min: 0, max: 5_000 });
  const maybeSeconds = fc.option(seconds, { nil: undefined });
  // No `Expires` beside max-age, no heuristics, no immutable: it applies defaults of its own there.
  const reply = fc.record({
    maxAge: maybeSeconds,
    sMaxage: maybeSeconds,
    age: maybeSeconds,
    dateSkew: fc.integer({ min: 0, max: 3_000 }),
    waited: seconds,
  });

  it('agrees on fresh and on age [RFC9111 §4.2]', () => {
    fc.assert(
      fc.property(reply, ({ maxAge, sMaxage, age, dateSkew, waited }) => {
        fc.pre(maxAge !== undefined || sMaxage !== undefined);
        const cacheControl = [
          ...(maxAge === undefined ? [] : [`max-age=${maxAge}`]),
          ...(sMaxage === undefined ? [] : [`s-maxage=${sMaxage}`]),
        ].join(', ');
        const date = epochMs(T0 - dateSkew * 1_000);
        const ours = factsOf({ cacheControl, ageMs: (age ?? 0) * 1_000 }, 200, T0, T0);
        const now = epochMs(T0 + waited * 1_000);
        // It does not correct the age by `Date`, so the skew goes into both as `Age`.
        const told = Math.max(age ?? 0, dateSkew);
        const theirs = semantics({ cacheControl, age: told, now });
        const dated = { ...ours, date };
        const lifetime = freshnessLifetime(dated, DEFAULT_POLICY);
        const aged = initialAge(dated);
        const entry = makeEntry({
          storedAt: T0,
          initialAge: aged,
          freshUntil: plus(T0, durationMs(lifetime - aged)),
        });
        expect(isFresh(entry, now, VALID)).toBe(!theirs.stale());
        expect(currentAge(entry, now) / 1_000).toBe(theirs.age());
      }),
      { numRuns: 2_000 },
    );
  });

  interface Semantics {
    stale(): boolean;
    age(): number;
  }

  function semantics(facts: { cacheControl: string; age: number; now: number }): Semantics {
    const headers = { 'cache-control': facts.cacheControl, age: String(facts.age) };
    const policy = new CacheSemantics({ headers: {} }, { status: 200, headers }, { shared: true });
    const at = Object.assign(policy, { _responseTime: T0, now: () => facts.now });
    return at;
  }
});

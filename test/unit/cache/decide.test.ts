/**
 * `decide` against a slow, literal reading of RFC 9111 §4 and RFC 5861 over a generated grid:
 * directives × age × invalidation × policy. The reading below shares no code with the rules.
 */
import { describe, expect, it } from 'vitest';
import { durationMs, epochMs } from '../../../src/base/brands.ts';
import { type Decision, type DecisionContext, decide } from '../../../src/cache/decide.ts';
import { DEFAULT_POLICY, definePolicy } from '../../../src/cache/default-policy.ts';
import { parseRequestDirectives, type RequestDirectives } from '../../../src/cache/directives.ts';
import { type Entry, NEVER } from '../../../src/cache/entry.ts';
import type { InvalidationVerdict } from '../../../src/cache/ports.ts';
import { makeEntry } from '../../support/entries.ts';

const T0 = 1_000_000_000_000;
const LIFETIME = 60_000;
const VALID: InvalidationVerdict = { kind: 'valid' };

interface Case {
  readonly request: string;
  readonly mayForce: boolean;
  readonly age: number;
  readonly entry: Entry | undefined;
  readonly verdict: InvalidationVerdict;
}

function contextOf({ request, mayForce, age }: Case): DecisionContext {
  return {
    request: { directives: parseRequestDirectives(request), mayForce },
    policy: DEFAULT_POLICY,
    now: epochMs(T0 + age),
    isOrigin: false,
    fedSince: undefined,
  };
}

const ours = (one: Case): Decision =>
  decide(contextOf(one), {
    entry: one.entry,
    verdict: one.verdict,
    missing: 'uri-miss',
    handed: false,
  });

/** What may be done, said as the standard says it. */
function literally(one: Case): string {
  const asked = parseRequestDirectives(one.request);
  const outcome = withoutOnlyIfCached(one, one.mayForce ? asked : withoutForce(asked));
  // "If it has the only-if-cached directive, … SHOULD either respond using a stored response … or
  // respond with a 504" (§5.2.1.7)
  return outcome.startsWith('forward') && asked.onlyIfCached ? 'refuse' : outcome;
}

const withoutForce = (asked: RequestDirectives): RequestDirectives => ({
  ...asked,
  noCache: false,
  noStore: false,
  maxAge: undefined,
  minFresh: undefined,
});

function withoutOnlyIfCached({ entry, verdict, age }: Case, asked: RequestDirectives): string {
  if (asked.noStore) return 'forward request alone unstored';
  if (entry === undefined || entry.kind === 'tombstone') return 'forward uri-miss';
  if (entry.kind === 'pass') {
    const inForce = age < LIFETIME && verdict.kind === 'valid';
    return inForce ? 'forward miss alone' : 'forward miss';
  }
  if (verdict.kind === 'hard') return 'forward miss';
  const staleAt = verdict.kind === 'soft' ? Math.min(LIFETIME, verdict.at - T0) : LIFETIME;
  const fresh = age < staleAt;
  const staleness = age - staleAt;
  const revalidateWindow = windowOf(entry, entry.staleWhileRevalidateUntil, verdict);
  const errorWindow = windowOf(entry, entry.staleIfErrorUntil, verdict);
  const forbidden = entry.staleForbidden || asked.mustRevalidate;
  const clientCovers = asked.staleIfError !== undefined && staleness <= asked.staleIfError * 1_000;
  const covered = !forbidden && ((!entry.staleForbidden && age < errorWindow) || clientCovers);
  const unmet =
    asked.noCache ||
    (asked.maxAge !== undefined && age > asked.maxAge * 1_000) ||
    (asked.minFresh !== undefined && LIFETIME - age < asked.minFresh * 1_000);
  if (entry.mustValidate) return fresh ? 'forward request validate' : 'forward stale validate';
  if (unmet && fresh) return 'forward request validate fallback';
  if (unmet) return `forward stale validate${covered ? ' fallback' : ''}`;
  if (fresh) return 'reuse';
  if (forbidden) return 'forward stale validate';
  if (asked.maxStale !== undefined && staleness <= asked.maxStale * 1_000) return 'reuse max-stale';
  if (age < revalidateWindow) return 'reuse stale-while-revalidate';
  return `forward stale validate${covered ? ' fallback' : ''}`;
}

/**
 * The end of a stale window as an age; under a soft invalidation it counts from that, or ends
 * earlier.
 */
function windowOf(entry: Entry, until: number, verdict: InvalidationVerdict): number {
  if (until === NEVER) return Number.NEGATIVE_INFINITY;
  const end = until - T0;
  if (verdict.kind !== 'soft') return end;
  return Math.min(end, verdict.at - T0 + (until - entry.freshUntil));
}

function said(decision: Decision): string {
  if (decision.kind === 'reuse') {
    expect(decision.refreshBehind).toBe(decision.permission === 'stale-while-revalidate');
    return decision.permission === undefined ? 'reuse' : `reuse ${decision.permission}`;
  }
  if (decision.kind !== 'forward') return decision.kind;
  const { reason, shared, store, conditional, fallback } = decision;
  const words = [shared || 'alone', store || 'unstored', conditional && 'validate'];
  return ['forward', reason, ...words, fallback && 'fallback']
    .filter((word) => typeof word === 'string')
    .join(' ');
}

function* grid(): Generator<Case> {
  const ages = [
    0, 1, 9_999, 10_000, 30_000, 59_999, 60_000, 60_001, 65_000, 70_000, 79_999, 200_000,
  ];
  for (const request of requests()) {
    for (const entry of entries()) {
      for (const verdict of verdicts()) {
        for (const age of ages) {
          for (const mayForce of [true, false]) yield { request, mayForce, age, entry, verdict };
        }
      }
    }
  }
}

const requests = (): readonly string[] => {
  const single = ['', 'no-cache', 'no-store', 'max-age=10', 'max-age=0', 'min-fresh=20'];
  const stale = ['', 'max-stale', 'max-stale=5', 'stale-if-error=10', 'must-revalidate'];
  const pairs = single.flatMap((one) => stale.map((other) => `${one}, ${other}`));
  return pairs.flatMap((pair) => [pair, `${pair}, only-if-cached`]);
};

const entries = (): readonly (Entry | undefined)[] => {
  const at = (age: number) => epochMs(T0 + age);
  const windows = [
    {},
    { staleWhileRevalidateUntil: at(70_000) },
    { staleIfErrorUntil: at(80_000) },
    { staleWhileRevalidateUntil: at(70_000), staleIfErrorUntil: at(80_000) },
  ];
  const conditions = [{}, { mustValidate: true }, { staleForbidden: true }];
  const records = windows.flatMap((window) =>
    conditions
      // The store never holds a window beside a prohibition: `draft.ts` keeps both, `decide` obeys
      // one.
      .map((condition) => makeEntry({ ...window, ...condition })),
  );
  const others = (['negative', 'pass', 'tombstone'] as const).map((kind) => makeEntry({ kind }));
  return [undefined, ...records, ...others];
};

const verdicts = (): readonly InvalidationVerdict[] => [
  VALID,
  { kind: 'soft', at: epochMs(T0 + 30_000) },
  { kind: 'soft', at: epochMs(T0 + 65_000) },
  { kind: 'hard' },
];

describe('decide', () => {
  it('agrees with a literal reading of RFC 9111 §4 on the whole grid', () => {
    let cases = 0;
    for (const one of grid()) {
      // A soft invalidation of the future cannot have happened.
      if (one.verdict.kind === 'soft' && one.verdict.at > T0 + one.age) continue;
      cases += 1;
      const mine = said(ours(one));
      if (mine !== literally(one)) expect({ ...one, decided: mine }).toBe(literally(one));
    }
    expect(cases).toBeGreaterThan(50_000);
  });

  it('hands out frozen values only, so that a hit allocates nothing', () => {
    const one: Case = { request: '', mayForce: true, age: 0, entry: makeEntry(), verdict: VALID };
    expect(ours(one)).toBe(ours(one));
    expect(Object.isFrozen(ours(one))).toBe(true);
  });

  it('names a vary-miss [RFC9211 §2.2]', () => {
    const one: Case = { request: '', mayForce: true, age: 0, entry: undefined, verdict: VALID };
    const selection = {
      entry: undefined,
      verdict: VALID,
      missing: 'vary-miss',
      handed: false,
    } as const;
    expect(decide(contextOf(one), selection)).toMatchObject({ reason: 'vary-miss' });
  });

  it('takes a reply handed over by a flight as it is', () => {
    const one: Case = {
      request: 'no-cache, max-age=0',
      mayForce: true,
      age: 90_000,
      entry: makeEntry(),
      verdict: VALID,
    };
    const selection = {
      entry: one.entry,
      verdict: VALID,
      missing: 'uri-miss',
      handed: true,
    } as const;
    expect(decide(contextOf(one), selection)).toMatchObject({
      kind: 'reuse',
      permission: undefined,
    });
  });

  it('does not look when the policy says so', () => {
    const one: Case = { request: '', mayForce: true, age: 0, entry: makeEntry(), verdict: VALID };
    for (const policy of [
      definePolicy({ store: { enabled: false } }),
      definePolicy({ hooks: { mayLookup: () => false } }),
    ]) {
      const selection = {
        entry: one.entry,
        verdict: VALID,
        missing: 'uri-miss',
        handed: false,
      } as const;
      const decision = decide({ ...contextOf(one), policy }, selection);
      expect(said(decision)).toBe('forward bypass alone unstored');
    }
  });

  it('keeps what a live feed would have told of fresh, but not what was invalidated', () => {
    const one: Case = { request: '', mayForce: true, age: 1e9, entry: makeEntry(), verdict: VALID };
    const fed = { ...contextOf(one), fedSince: epochMs(T0) };
    const selection = { entry: one.entry, missing: 'uri-miss', handed: false } as const;
    expect(said(decide(fed, { ...selection, verdict: VALID }))).toBe('reuse');
    const soft = { kind: 'soft', at: epochMs(T0 + 1) } as const;
    expect(said(decide(fed, { ...selection, verdict: soft }))).toMatch(/^forward stale/);
    const before = { ...fed, fedSince: epochMs(T0 + durationMs(1)) };
    expect(said(decide(before, { ...selection, verdict: VALID }))).toMatch(/^forward stale/);
  });

  it.each([
    ['was under way, or old, before the feed began', { initialAge: durationMs(1) }, {}],
    ['was stored by a clock which has stepped back', { storedAt: epochMs(T0 + 1e12) }, {}],
    ['was stored when the feed was down', {}, { fedUntil: epochMs(T0 - 1) }],
  ])('does not let a live feed vouch for what %s', (_what, facts, more) => {
    const entry = makeEntry(facts);
    const one: Case = { request: '', mayForce: true, age: 1e9, entry, verdict: VALID };
    const fed = { ...contextOf(one), fedSince: epochMs(T0), ...more };
    const selection = { entry, verdict: VALID, missing: 'uri-miss', handed: false } as const;
    expect(said(decide(fed, selection))).toMatch(/^forward stale/);
  });
});

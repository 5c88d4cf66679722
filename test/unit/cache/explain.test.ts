/** The rule that is named is the one by which `decide` acts: a grid of entries and requests. */
import { describe, expect, it } from 'vitest';
import { epochMs } from '../../../src/base/brands.ts';
import { type DecisionContext, decide, type Selection } from '../../../src/cache/decide.ts';
import { DEFAULT_POLICY } from '../../../src/cache/default-policy.ts';
import { NO_REQUEST_DIRECTIVES } from '../../../src/cache/directives.ts';
import { explainDecision } from '../../../src/cache/explain.ts';
import { makeEntry } from '../../support/entries.ts';

const NOW = epochMs(1_000_000_000);
const VERDICTS = [
  { kind: 'valid' },
  { kind: 'hard' },
  { kind: 'soft', at: epochMs(NOW - 1_000) },
] as const;
const REQUESTS = [
  {},
  { noCache: true },
  { noStore: true },
  { maxStale: 3_600 as never },
  { mustRevalidate: true },
];

const entries = [true, false].flatMap((mustValidate) =>
  [true, false].flatMap((staleForbidden) =>
    [-60_000, 60_000].flatMap((freshFor) =>
      [0, 120_000].map((window) =>
        makeEntry({
          mustValidate,
          staleForbidden,
          storedAt: epochMs(NOW - 90_000),
          freshUntil: epochMs(NOW + freshFor),
          staleWhileRevalidateUntil: epochMs(window === 0 ? 0 : NOW + freshFor + window),
          staleIfErrorUntil: epochMs(0),
        }),
      ),
    ),
  ),
);

/** Which decisions a rule may be the reason of. */
const ACTIONS: Readonly<Record<number, readonly string[]>> = {
  2: ['ask the origin'],
  3: ['ask the origin'],
  5: ['ask the origin'],
  6: ['validate'],
  7: ['serve'],
  8: ['validate'],
  9: ['serve stale'],
  10: ['serve stale, refresh behind'],
  11: ['validate'],
};

describe('the explanation of a decision', () => {
  it('names a rule that leads to what is done', () => {
    const rules = new Set<number>();
    for (const entry of [undefined, ...entries]) {
      for (const verdict of VERDICTS) {
        for (const more of REQUESTS) {
          const context: DecisionContext = {
            request: { directives: { ...NO_REQUEST_DIRECTIVES, ...more }, mayForce: true },
            policy: DEFAULT_POLICY,
            now: NOW,
            isOrigin: false,
            fedSince: undefined,
          };
          const selection: Selection = { entry, verdict, missing: 'uri-miss', handed: false };
          const told = explainDecision(context, selection);
          expect(ACTIONS[told.rule], told.because).toContain(told.action);
          const decision = decide(context, selection);
          expect(told.coversFailure).toBe(decision.kind === 'forward' && decision.fallback);
          rules.add(told.rule);
        }
      }
    }
    expect([...rules].sort((one, other) => one - other)).toEqual([2, 3, 5, 6, 7, 8, 9, 10, 11]);
  });

  it('says of a table that is its own origin that nobody else could be asked', () => {
    const context: DecisionContext = {
      request: { directives: NO_REQUEST_DIRECTIVES, mayForce: true },
      policy: DEFAULT_POLICY,
      now: NOW,
      isOrigin: true,
      fedSince: undefined,
    };
    const selection: Selection = {
      ...{ entry: undefined, verdict: { kind: 'valid' }, missing: 'uri-miss', handed: false },
    };
    expect(explainDecision(context, selection)).toMatchObject({
      action: 'say that there is none',
      rule: 0,
    });
  });
});

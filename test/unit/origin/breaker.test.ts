/** The breaker as a pure machine: every state, every ending. */
import { describe, expect, it } from 'vitest';
import { admit, CLOSED, conclude, waitNeeded } from '../../../src/origin/breaker.ts';

const settings = { failures: 3, cooldownMs: 1_000 };

const afterFailures = (count: number, now = 0) => {
  let state = CLOSED;
  for (let i = 0; i < count; i += 1) state = conclude(state, 'normal', 'failed', now, settings);
  return state;
};

describe('the breaker', () => {
  it('opens at the given number of consecutive failures', () => {
    expect(afterFailures(2).kind).toBe('closed');
    expect(afterFailures(3, 50)).toEqual({ kind: 'open', until: 1_050 });
  });

  it('forgets failures at any success, and keeps them when a request was given up', () => {
    const two = afterFailures(2);
    expect(conclude(two, 'normal', 'succeeded', 0, settings)).toEqual(CLOSED);
    expect(conclude(two, 'normal', 'abandoned', 0, settings)).toEqual(two);
  });

  it('says how long to wait while it is open, and admits one probe afterwards', () => {
    const open = afterFailures(3);
    expect(admit(open, 400, settings)).toEqual({ admitted: false, retryAfterMs: 600 });
    const probe = admit(open, 1_000, settings);
    expect(probe).toEqual({ admitted: true, ticket: 'probe', state: { kind: 'probing' } });
    expect(admit({ kind: 'probing' }, 1_000, settings).admitted).toBe(false);
  });

  it('closes at a successful probe, opens again at a failed one', () => {
    expect(conclude({ kind: 'probing' }, 'probe', 'succeeded', 9, settings)).toEqual(CLOSED);
    const again = conclude({ kind: 'probing' }, 'probe', 'failed', 9, settings);
    expect(again).toEqual({ kind: 'open', until: 1_009 });
  });

  it('lets the next request probe at once when a probe was given up', () => {
    const state = conclude({ kind: 'probing' }, 'probe', 'abandoned', 9, settings);
    expect(waitNeeded(state, 9, settings)).toBe(0);
  });

  it('is not moved by late results of requests from before it opened', () => {
    const open = afterFailures(3);
    expect(conclude(open, 'normal', 'succeeded', 5, settings)).toBe(open);
    expect(conclude(open, 'normal', 'failed', 5, settings)).toBe(open);
  });
});

/** Breakers that threads share: what one thread learns of an origin, all know. */
import { describe, expect, it } from 'vitest';
import { admit, CLOSED, conclude } from '../../../src/origin/breaker.ts';
import { type BreakerCell, breakerBytes, sharedCell } from '../../../src/origin/breaker-cell.ts';

const SETTINGS = { failures: 3, cooldownMs: 100 };

/** Two threads over one memory; the clock of the second one began five seconds later. */
function makeThreads(index = 0) {
  const memory = new SharedArrayBuffer(breakerBytes(2));
  const at = breakerBytes(index);
  const cell = (clockOffsetMs: number) => sharedCell({ memory, at, clockOffsetMs });
  return [cell(0), cell(5_000)] as [BreakerCell, BreakerCell];
}

function fail(cell: BreakerCell, now: number): void {
  const before = cell.read(now);
  cell.move(before, conclude(before, 'normal', 'failed', now, SETTINGS), now);
}

describe('a shared breaker', () => {
  it('opens for all threads when their failures together are enough', () => {
    const [one, other] = makeThreads();
    fail(one, 10_000);
    fail(other, 5_001);
    expect(other.read(5_001)).toEqual({ kind: 'closed', failures: 2 });
    fail(one, 10_002);
    expect(one.read(10_002)).toEqual({ kind: 'open', until: 10_102 });
    expect(other.read(5_002)).toEqual({ kind: 'open', until: 5_102 });
  });

  it('is probed by one thread, and closed or opened again for all by what that one finds', () => {
    for (const ending of ['succeeded', 'failed'] as const) {
      const [one, other] = makeThreads(1);
      for (let at = 0; at < 3; at += 1) fail(one, 10_000);
      const seen = [one.read(10_200), other.read(5_200)] as const;
      const moves = [one, other].map((cell, at) => {
        const admission = admit(seen[at as 0 | 1], at === 0 ? 10_200 : 5_200, SETTINGS);
        if (!admission.admitted) return false;
        return cell.move(seen[at as 0 | 1], admission.state, at === 0 ? 10_200 : 5_200);
      });
      expect(moves).toEqual([true, false]);
      expect(other.read(5_201)).toEqual({ kind: 'probing' });
      const probing = one.read(10_210);
      one.move(probing, conclude(probing, 'probe', ending, 10_210, SETTINGS), 10_210);
      const after = ending === 'succeeded' ? CLOSED : { kind: 'open', until: 5_310 };
      expect(other.read(5_210)).toEqual(after);
    }
  });

  it('is probed again when whoever probed it has gone', () => {
    const [one, other] = makeThreads();
    for (let at = 0; at < 3; at += 1) fail(one, 10_000);
    one.move(one.read(10_200), { kind: 'probing' }, 10_200);
    expect(other.read(5_201)).toEqual({ kind: 'probing' });
    const muchLater = 5_200 + 600_000;
    const state = other.read(muchLater);
    expect(admit(state, muchLater, SETTINGS)).toMatchObject({ admitted: true, ticket: 'probe' });
    expect(other.move(state, { kind: 'probing' }, muchLater)).toBe(true);
    expect(one.move(state, { kind: 'probing' }, muchLater + 5_000)).toBe(false);
  });

  it('is none where the memory does not reach', () => {
    const memory = new SharedArrayBuffer(breakerBytes(1));
    expect(sharedCell({ memory, at: breakerBytes(1), clockOffsetMs: 0 })).toBeUndefined();
  });
});

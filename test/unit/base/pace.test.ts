/** How much of a kind one turn of the event loop does. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createPace } from '../../../src/base/pace.ts';

describe('createPace', () => {
  it('lets so many pass in one turn, and the others in the turns that follow, in order', async () => {
    const pace = createPace(2);
    const passed: number[] = [];
    const all = Array.from({ length: 5 }, async (_, index) => {
      const waiting = pace.pass();
      if (waiting !== undefined) await waiting;
      passed.push(index);
    });
    expect(passed).toEqual([0, 1]);
    await nextTurn();
    expect(passed.length).toBeLessThan(5);
    await Promise.all(all);
    expect(passed).toEqual([0, 1, 2, 3, 4]);
  });

  it('makes nobody wait once the turn is over in which many came', async () => {
    const pace = createPace(1);
    expect(pace.pass()).toBeUndefined();
    await pace.pass();
    await nextTurn();
    await nextTurn();
    expect(pace.pass()).toBeUndefined();
  });
});

/**
 * Bounds what of one kind is done in one turn of the event loop: so many pass, the others wait for
 * the turns that follow, source by source (`fair-line.ts`). Whatever comes in between (a hit, a
 * timer) has its turn then, and waits for no batch.
 */
import { FairLine } from './fair-line.ts';

export interface Pace {
  /** `undefined`: go on now. `source`: in whose turn, such as a user or an address. */
  pass(source?: string | undefined): Promise<void> | undefined;
  /** How many wait. */
  readonly waiting: number;
}

/** What waits is bounded by whoever comes here. */
export function createPace(perTurn: number): Pace {
  const line = new FairLine<() => void>();
  let passed = 0;
  const nextTurn = (): void => {
    passed = Math.min(perTurn, line.length);
    if (passed > 0) setImmediate(nextTurn);
    for (let going = passed; going > 0; going -= 1) line.shift()?.();
  };
  return {
    pass(source = '') {
      if (passed === 0) setImmediate(nextTurn);
      if (passed < perTurn && line.length === 0) {
        passed += 1;
        return undefined;
      }
      return new Promise((resolve) => line.push(source, resolve));
    },
    get waiting() {
      return line.length;
    },
  };
}

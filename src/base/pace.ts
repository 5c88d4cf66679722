/**
 * Bounds what of one kind is done in one turn of the event loop: so many pass, the others wait for
 * the turns that follow, in order. Whatever comes in between (a hit, a timer) has its turn then,
 * and waits for no batch.
 */
export interface Pace {
  /** `undefined`: go on now. */
  pass(): Promise<void> | undefined;
}

/** What waits is bounded by whoever comes here. */
export function createPace(perTurn: number): Pace {
  const waiting: (() => void)[] = [];
  let passed = 0;
  const nextTurn = (): void => {
    const going = waiting.splice(0, perTurn);
    passed = going.length;
    if (passed > 0) setImmediate(nextTurn);
    for (const go of going) go();
  };
  return {
    pass() {
      if (passed === 0) setImmediate(nextTurn);
      if (passed < perTurn && waiting.length === 0) {
        passed += 1;
        return undefined;
      }
      return new Promise((resolve) => waiting.push(resolve));
    },
  };
}

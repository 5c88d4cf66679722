/**
 * How V8 collects young objects in a node. A request leaves little behind that outlives it, so
 * there is hardly anything to copy, and the helper threads that V8 wakes for every scavenge cost
 * more of the machine than the work they share: a few percent of the CPU of a hit.
 */
import { setFlagsFromString } from 'node:v8';

/** Of this process and of the threads it will start; V8 looks at the flag at each scavenge. */
export function collectAlone(): void {
  setFlagsFromString('--no-parallel-scavenge');
}

/**
 * Cuts a failing schedule down: leaves out ever smaller runs of actions as long as it still fails,
 * so that what is left is what matters. The failure may be another one than at first; any is worth
 * having.
 */
import type { Schedule } from './actions.ts';

export async function shrink(
  schedule: Schedule,
  fails: (schedule: Schedule) => Promise<boolean>,
  triesMax: number,
): Promise<Schedule> {
  let best = schedule;
  let tries = 0;
  for (let size = Math.ceil(best.actions.length / 2); size >= 1; ) {
    let hasShrunk = false;
    for (let at = 0; at < best.actions.length && tries < triesMax; ) {
      tries += 1;
      const actions = [...best.actions.slice(0, at), ...best.actions.slice(at + size)];
      const smaller = { ...best, actions };
      if (await fails(smaller)) {
        best = smaller;
        hasShrunk = true;
      } else at += size;
    }
    if (tries >= triesMax) return best;
    if (!hasShrunk) size = size === 1 ? 0 : Math.ceil(size / 2);
  }
  return best;
}

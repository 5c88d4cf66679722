/**
 * How hard memory presses, from 0 (not at all) to 3 (the node is about to die), with hysteresis: a
 * level is left only well below the mark at which it was entered, so that shedding does not flap.
 */

export type PressureLevel = 0 | 1 | 2 | 3;

/** Marks in thousandths of what may be used. */
const ENTER = [0, 850, 920, 970] as const;
const LEAVE_BELOW = 70;

export function nextPressure(level: PressureLevel, usedThousandths: number): PressureLevel {
  const entered = ENTER.findLastIndex((mark) => usedThousandths >= mark);
  if (entered >= level) return entered as PressureLevel;
  const left = ENTER.findLastIndex((mark) => usedThousandths >= mark - LEAVE_BELOW);
  return Math.min(level, left) as PressureLevel;
}

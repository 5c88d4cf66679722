/**
 * Positions as clients hold them, `"<epoch>.<offset>"`, parsed at the edge. A position of another
 * epoch, of the future or below the log is unknown: its holder is told `reset`, never guessed at.
 */
import { type Epoch, type Sequence, sequence } from '../base/brands.ts';
import type { ChangeSource } from './change-source.ts';

const SHAPE = /^([0-9A-Za-z_-]{1,64})\.(\d{1,16})$/;

/** The offset of a position of `epoch`; `undefined` when it is malformed or of another epoch. */
export function parsePosition(text: string, epoch: Epoch): Sequence | undefined {
  const match = SHAPE.exec(text);
  if (match === null || match[1] !== epoch) return undefined;
  const offset = Number(match[2]);
  return Number.isSafeInteger(offset) ? sequence(offset) : undefined;
}

/** The offset to resume from, or `undefined` when the log cannot continue from there. */
export function resumeOffset(text: string, source: ChangeSource): Sequence | undefined {
  const offset = parsePosition(text, source.epoch);
  if (offset === undefined || offset > source.lastSequence()) return undefined;
  return isHeld(offset, source) ? offset : undefined;
}

/** Whether every change after `offset` is still in the log. */
export const isHeld = (offset: Sequence, source: ChangeSource): boolean =>
  offset + 1 >= source.firstSequence();

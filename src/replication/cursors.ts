/**
 * Arithmetic of cursors: the greater sequence of an author wins, an author that is not named stands
 * at 0 (nothing of it is known).
 */
import { type NodeId, type Sequence, sequence } from '../base/brands.ts';
import type { CursorPairs } from './frames.ts';
import type { Cursors } from './ports.ts';

export const NOTHING_KNOWN = sequence(0);
export const NO_CURSORS: Cursors = new Map();

export const cursorOf = (cursors: Cursors, author: NodeId): Sequence =>
  cursors.get(author) ?? NOTHING_KNOWN;

/** Raises one cursor of a map that is the caller's own. */
export function raise(cursors: Map<NodeId, Sequence>, author: NodeId, to: Sequence): void {
  if (to > cursorOf(cursors, author)) cursors.set(author, to);
}

export function raiseAll(cursors: Map<NodeId, Sequence>, to: Cursors): void {
  for (const [author, one] of to) raise(cursors, author, one);
}

export const pairsOf = (cursors: Cursors): CursorPairs => [...cursors];

export const cursorsOf = (pairs: CursorPairs): Map<NodeId, Sequence> => new Map(pairs);

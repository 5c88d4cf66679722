/**
 * Where the state of a breaker stands: on this thread alone, or in memory shared by all threads of
 * the node, so that an origin which fails on one of them is left alone by the others too, and one
 * request of the whole node probes it.
 *
 * Shared: kind and failures are words, moved by compare-and-set; the instant stands beside them in
 * milliseconds of a clock that all threads agree on. Two threads that move it at once never both
 * begin to probe; of two failures counted at once one may be lost, which opens it a failure later.
 * A thread that dies while it probes would leave the origin closed off: its probe ends by itself.
 */
import { type BreakerState, CLOSED } from './breaker.ts';

export interface BreakerCell {
  /** The state as of `now`, an instant of this thread's monotonic clock. */
  read(now: number): BreakerState;
  /** False: another thread has moved it since `before` was read, and it stays as that left it. */
  move(before: BreakerState, next: BreakerState, now: number): boolean;
}

export function localCell(): BreakerCell {
  let state: BreakerState = CLOSED;
  return {
    read: () => state,
    move(_before, next) {
      state = next;
      return true;
    },
  };
}

const KINDS = ['closed', 'open', 'probing'] as const;
const KIND = 0;
const FAILURES = 1;
const WORDS = 2;
const CELL_BYTES = WORDS * Int32Array.BYTES_PER_ELEMENT + Float64Array.BYTES_PER_ELEMENT;

/** Longer than any request to an origin may take. */
const PROBE_MS_MAX = 120_000;

/** Bytes of shared memory for so many origins. */
export const breakerBytes = (origins: number): number => origins * CELL_BYTES;

/** The place of one cell, and what makes an instant of this thread one of all threads. */
export interface SharedPlace {
  readonly memory: SharedArrayBuffer;
  readonly at: number;
  readonly clockOffsetMs: number;
}

/** `undefined` when the memory does not reach so far. */
export function sharedCell({ memory, at, clockOffsetMs }: SharedPlace): BreakerCell | undefined {
  if (at + CELL_BYTES > memory.byteLength) return undefined;
  const words = new Int32Array(memory, at + Float64Array.BYTES_PER_ELEMENT, WORDS);
  const until = new Float64Array(memory, at, 1);
  return {
    read(now) {
      const kind = KINDS[Atomics.load(words, KIND)] ?? 'closed';
      if (kind === 'closed') return { kind, failures: Atomics.load(words, FAILURES) };
      const ends = (until[0] ?? 0) - clockOffsetMs;
      if (kind === 'open') return { kind, until: ends };
      if (now < ends) return { kind };
      // Whoever probed has gone; of those who find out, one probes again.
      Atomics.compareExchange(words, KIND, KINDS.indexOf('probing'), KINDS.indexOf('open'));
      return { kind: 'open', until: ends };
    },
    move(before, next, now) {
      if (next.kind !== 'closed') {
        const ends = next.kind === 'open' ? next.until : now + PROBE_MS_MAX;
        until[0] = ends + clockOffsetMs;
      }
      const from = KINDS.indexOf(before.kind);
      const to = KINDS.indexOf(next.kind);
      if (Atomics.compareExchange(words, KIND, from, to) !== from) return false;
      Atomics.store(words, FAILURES, next.kind === 'closed' ? next.failures : 0);
      return true;
    },
  };
}

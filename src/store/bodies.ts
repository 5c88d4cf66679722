/**
 * Bodies too large to be rewritten with every freshening, kept apart from their entries in chunks.
 * A body is written once under a number of its own and never changed. When its entry lets go of it,
 * it stays for a minute more: a reader with an older snapshot may still be writing it to a socket.
 */
import { durationMs, type EpochMs } from '../base/brands.ts';
import { clearRange, HIGH, type Key, type Tree } from './engine.ts';

const CHUNK_BYTES = 1024 * 1024;
/** How long a body that was let go of can still be read. */
export const RELEASE_GRACE_MS = durationMs(60_000);
const NOTHING = new Uint8Array(0);

export function putBody(bodies: Tree, bodyId: number, bytes: Uint8Array): void {
  for (let chunk = 0; chunk * CHUNK_BYTES < bytes.length; chunk += 1) {
    const from = chunk * CHUNK_BYTES;
    bodies.put([bodyId, chunk], bytes.subarray(from, from + CHUNK_BYTES));
  }
}

/** Fills `whole`, which has its length, with a body; `undefined` when a part of it is missing. */
export function loadBody(bodies: Tree, bodyId: number, whole: Uint8Array): Uint8Array | undefined {
  const { length } = whole;
  for (let from = 0; from < length; from += CHUNK_BYTES) {
    const isThere = bodies.withOther([bodyId, from / CHUNK_BYTES], (bytes) => {
      if (bytes === undefined || from + bytes.length > length) return false;
      whole.set(bytes, from);
      return true;
    });
    if (!isThere) return undefined;
  }
  return whole;
}

/** Lets go of a body; its bytes are removed by `sweepBodies` later. */
export function releaseBody(bodies: Tree, bodyId: number, now: EpochMs): void {
  bodies.put([true, now + RELEASE_GRACE_MS, bodyId], NOTHING);
}

/** Removes released bodies whose time is up, at most `max`; inside a transaction. */
export function sweepBodies(bodies: Tree, now: EpochMs, max: number): number {
  const due = bodies.keys({ start: [true], end: [true, now], limit: max });
  for (const key of due) {
    const bodyId = (key as readonly Key[])[2] ?? null;
    clearRange(bodies, [bodyId], [bodyId, HIGH], Number.POSITIVE_INFINITY);
    bodies.remove(key);
  }
  return due.length;
}

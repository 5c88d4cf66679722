/**
 * Watches the free space of the data folder, since the engine must never see a full disk (it
 * aborts the process). Below the soft mark the store takes no more fills, below the hard mark no
 * more client writes; what removes data or comes from a feed goes on.
 */
import type { Clock } from '../base/clock.ts';

/** A look at the disk is believed for so long. */
const BELIEVED_MS = 250;

export type Room = 'ample' | 'soft' | 'hard';

export class SpaceGuard {
  readonly #clock: Clock;
  readonly #freeBytes: () => number;
  readonly #softBytes: number;
  readonly #hardBytes: number;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #room: Room = 'ample';

  constructor(clock: Clock, freeBytes: () => number, softBytes: number, hardBytes: number) {
    this.#clock = clock;
    this.#freeBytes = freeBytes;
    this.#softBytes = softBytes;
    this.#hardBytes = hardBytes;
  }

  room(): Room {
    const now = this.#clock.monotonic();
    if (now - this.#lookedAt >= BELIEVED_MS) {
      this.#lookedAt = now;
      const free = this.#freeBytes();
      this.#room = free < this.#hardBytes ? 'hard' : free < this.#softBytes ? 'soft' : 'ample';
    }
    return this.#room;
  }
}

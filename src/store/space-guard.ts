/**
 * Watches the free space of the data folder, since the engine must never see a full disk (it
 * aborts the process). Below the soft mark the store takes no more fills, below the hard mark no
 * more client writes; what removes data or comes from a feed goes on.
 *
 * The engine's file never shrinks: what was evicted gives its pages back to the file, not to the
 * disk. For the soft mark they count as room, else fills would stay off for good once the file had
 * grown to it. For the hard mark only the disk counts: a large body may find no pages in a row.
 */
import type { Clock } from '../base/clock.ts';

/** A look at the disk is believed for so long. */
const BELIEVED_MS = 250;

export type Room = 'ample' | 'soft' | 'hard';

export interface SpaceSources {
  readonly freeBytes: () => number;
  /** Bytes of the engine's file which it writes over before it grows. */
  readonly reusableBytes: () => number;
}

export class SpaceGuard {
  readonly #clock: Clock;
  readonly #sources: SpaceSources;
  readonly #softBytes: number;
  readonly #hardBytes: number;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #room: Room = 'ample';

  constructor(clock: Clock, sources: SpaceSources, softBytes: number, hardBytes: number) {
    this.#clock = clock;
    this.#sources = sources;
    this.#softBytes = softBytes;
    this.#hardBytes = hardBytes;
  }

  room(): Room {
    const now = this.#clock.monotonic();
    if (now - this.#lookedAt >= BELIEVED_MS) {
      this.#lookedAt = now;
      this.#room = this.#look();
    }
    return this.#room;
  }

  #look(): Room {
    const free = this.#sources.freeBytes();
    if (free < this.#hardBytes) return 'hard';
    if (free >= this.#softBytes) return 'ample';
    return free + this.#sources.reusableBytes() < this.#softBytes ? 'soft' : 'ample';
  }
}

/**
 * The writes of one socket that are under way: those to one record in their order, others beside
 * one another, as many and as large together as the limits say.
 */
import { LIMITS } from '../../config/limits.ts';

export class WriteTurns {
  readonly #last = new Map<string, Promise<void>>();
  #count = 0;
  #bytes = 0;

  /** Whether another write of that size may begin. */
  takes(bytes: number): boolean {
    const { liveWritesUnderWayMax, liveWriteBytesUnderWayMax } = LIMITS;
    // One that is larger than all of it still has its turn, alone.
    const fits = this.#bytes + bytes <= liveWriteBytesUnderWayMax || this.#count === 0;
    return this.#count < liveWritesUnderWayMax && fits;
  }

  /** Runs `write`, which must not reject, when the one before it to the same path is done. */
  run(path: string, bytes: number, write: () => Promise<void>): void {
    this.#count += 1;
    this.#bytes += bytes;
    const before = this.#last.get(path);
    const turn = (before === undefined ? write() : before.then(write)).finally(() => {
      this.#count -= 1;
      this.#bytes -= bytes;
      if (this.#last.get(path) === turn) this.#last.delete(path);
    });
    this.#last.set(path, turn);
  }
}

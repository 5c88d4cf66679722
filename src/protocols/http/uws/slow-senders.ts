/**
 * Request bodies under way. The engine cuts a client off that sends less than 16 KiB a second, and
 * says nothing; here it is told to wait, and those are cut off who send less than the limits say:
 * so many bytes a second after a grace, where the time that the reader makes a client wait does
 * not count.
 */
import type { RequestBody } from '../request-body.ts';

const LOOK_EVERY_MS = 1_000;
/** The engine's patience is 10 s, in steps of 4. */
const TELL_EVERY_LOOKS = 3;

export interface Sender {
  readonly upload: Pick<RequestBody, 'receivedBytes' | 'isPaused'>;
  /** Makes the engine count anew. */
  keepAlive(): void;
  cutUpload(): void;
}

export class SlowSenders {
  readonly #graceSeconds: number;
  readonly #bytesPerSecondMin: number;
  /** How many seconds each has been looked at without being made to wait. */
  readonly #seconds = new Map<Sender, number>();
  #timer: NodeJS.Timeout | undefined;
  #looks = 0;

  constructor(limits: { bodyGraceSeconds: number; bodyBytesPerSecondMin: number }) {
    this.#graceSeconds = limits.bodyGraceSeconds;
    this.#bytesPerSecondMin = limits.bodyBytesPerSecondMin;
  }

  watch(sender: Sender): void {
    this.#seconds.set(sender, 0);
    this.#timer ??= setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
  }

  /** The body is whole, or nobody cares any more. */
  forget(sender: Sender): void {
    this.#seconds.delete(sender);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    // Not as soon as it is empty: most bodies come with their head, and each would set a timer.
    if (this.#seconds.size === 0) this.stop();
    this.#looks += 1;
    const isTime = this.#looks % TELL_EVERY_LOOKS === 0;
    for (const [sender, before] of [...this.#seconds]) {
      const { receivedBytes, isPaused } = sender.upload;
      const seconds = isPaused ? before : before + 1;
      this.#seconds.set(sender, seconds);
      const due = (seconds - this.#graceSeconds) * this.#bytesPerSecondMin;
      if (receivedBytes < due) sender.cutUpload();
      else if (isTime && !isPaused) sender.keepAlive();
    }
  }
}

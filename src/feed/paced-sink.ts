/**
 * At most so many bursts a second: between them the subscriber counts as having no room, so that
 * the feed conflates for it as it does for a slow one. A burst lasts to the end of the turn in
 * which it began, and so holds every record that is owed.
 */
import { type DurationMs, durationMs } from '../base/brands.ts';
import type { Cancel, Clock } from '../base/clock.ts';
import type { ErrorCode } from '../base/errors.ts';
import type { EncodedEvent } from './event.ts';
import type { Sink } from './sink.ts';

export class PacedSink implements Sink {
  readonly #inner: Sink;
  readonly #clock: Clock;
  readonly #interval: DurationMs;
  /** Told when the next burst may begin. */
  readonly #drained: () => void;
  #resting = false;
  #cancel: Cancel | undefined;

  constructor(inner: Sink, clock: Clock, burstsPerSecond: number, drained: () => void) {
    this.#inner = inner;
    this.#clock = clock;
    this.#interval = durationMs(1000 / burstsPerSecond);
    this.#drained = drained;
  }

  ready(): boolean {
    return !this.#resting && this.#inner.ready();
  }

  write(event: EncodedEvent): void {
    this.#inner.write(event);
    // What stands apart from the stream of changes is not counted.
    if (this.#cancel !== undefined || event.type === 'snapshot') return;
    queueMicrotask(() => {
      this.#resting = true;
    });
    this.#cancel = this.#clock.after(this.#interval, () => {
      this.#cancel = undefined;
      this.#resting = false;
      this.#drained();
    });
  }

  close(code: ErrorCode): void {
    this.stop();
    this.#inner.close(code);
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}

/**
 * How much of an event loop a crowd may have while others are answered beside it. What is answered
 * at once (a hit, a query) waits for whatever the loop is at, and for every collection of what the
 * crowd leaves behind: so a crowd of fetches begins no more while the loop has worked for more
 * than a third of the time. Where nobody else is answered, or where no crowd waits, nothing is held
 * back.
 *
 *   debt = work - half of the idle time, within bounds;  above 0: spent
 */
import { durationMs } from './brands.ts';
import type { Clock } from './clock.ts';

/** What a loop has done so far, milliseconds. */
export interface LoopTimes {
  /** At work. */
  readonly active: number;
  /** Waiting for something to do. */
  readonly idle: number;
}

/** Idle time that pays for as much work as 1. */
const IDLE_PER_WORK = 2;
/** What idle time may pay ahead, and work that is not forgotten, milliseconds. */
const CREDIT_MS_MAX = 10;
const DEBT_MS_MAX = 40;
/** Others count as being there for so long after one of them was answered, milliseconds. */
const OTHERS_STAY_MS = 1_000;
/** So many waiting are a crowd. */
const CROWD_MIN = 32;
/** Its members go one by one: several in one turn are a turn of milliseconds. */
const SPACE_MS = 1;
/** And go on after so long at the latest: nothing else may hold them up for ever. */
const PAUSE_MS_MAX = 5;
const LOOK_EVERY = durationMs(1);

/** One crowd's way through. */
export interface LoopGate {
  /** Whether nothing is to be begun now, with so many waiting. */
  isShut(waiting: number): boolean;
  /** One was begun. */
  passed(): void;
  /** Calls `fn` when it is to be looked at again. The loop can be idle meanwhile. */
  soon(fn: () => void): void;
}

export class LoopShare {
  /** Requests that were answered at once; counted by whoever answers. */
  others = 0;
  readonly #timesOf: () => LoopTimes;
  readonly #clock: Pick<Clock, 'after'>;
  #times: LoopTimes;
  #debt = 0;
  #othersSeen = 0;
  /** When others were last seen. */
  #othersAt = Number.NEGATIVE_INFINITY;

  /** @param timesOf such as `performance.eventLoopUtilization` */
  constructor(timesOf: () => LoopTimes, clock: Pick<Clock, 'after'>) {
    this.#timesOf = timesOf;
    this.#clock = clock;
    this.#times = timesOf();
  }

  newGate(): LoopGate {
    let passedAt = Number.NEGATIVE_INFINITY;
    return {
      isShut: (waiting) => {
        if (waiting < CROWD_MIN) return false;
        const now = this.#look();
        if (now - this.#othersAt >= OTHERS_STAY_MS) return false;
        return now - passedAt < (this.#debt > 0 ? PAUSE_MS_MAX : SPACE_MS);
      },
      passed: () => {
        passedAt = this.#look();
      },
      soon: (fn) => {
        this.#clock.after(LOOK_EVERY, fn);
      },
    };
  }

  /** Counts what the loop did since the last look; yields the time that it has been running. */
  #look(): number {
    const times = this.#timesOf();
    const active = times.active - this.#times.active;
    const idle = times.idle - this.#times.idle;
    this.#times = times;
    const debt = this.#debt + active - idle / IDLE_PER_WORK;
    this.#debt = Math.max(-CREDIT_MS_MAX, Math.min(DEBT_MS_MAX, debt));
    const now = times.active + times.idle;
    if (this.others !== this.#othersSeen) {
      this.#othersSeen = this.others;
      this.#othersAt = now;
    }
    return now;
  }
}

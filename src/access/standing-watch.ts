/**
 * Ends connections whose credentials do not hold any more: expired, revoked, or of somebody whose
 * roles have changed. One timer looks at all of them, while there are any; whoever is watched stays
 * connected for at most `standingCheckMs` longer than its credentials hold.
 */
import { durationMs } from '../base/brands.ts';
import type { Cancel, Clock } from '../base/clock.ts';
import type { ErrorCode } from '../base/errors.ts';
import { LIMITS } from '../config/limits.ts';
import { FOR_GOOD, type Standing, type StandingState } from './authenticate.ts';

/** What is ended, with the code that says why. */
export interface Watched {
  close(code: ErrorCode): void;
}

const CODES: Readonly<Record<Exclude<StandingState, 'holds'>, ErrorCode>> = {
  // The client comes back and finds what it may do by now.
  changed: 'ACCESS_CHANGED',
  gone: 'AUTHENTICATION_REQUIRED',
};

export class StandingWatch {
  readonly #clock: Clock;
  readonly #watched = new Map<Watched, Standing>();
  #timer: Cancel | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(connection: Watched, standing: Standing): void {
    if (standing === FOR_GOOD) return;
    this.#watched.set(connection, standing);
    this.#timer ??= this.#later();
  }

  delete(connection: Watched): void {
    this.#watched.delete(connection);
  }

  stop(): void {
    this.#timer?.();
    this.#timer = undefined;
    this.#watched.clear();
  }

  #later(): Cancel {
    return this.#clock.after(durationMs(LIMITS.standingCheckMs), () => {
      this.#timer = undefined;
      for (const [connection, standing] of this.#watched) this.#check(connection, standing);
      if (this.#watched.size > 0) this.#timer = this.#later();
    });
  }

  #check(connection: Watched, standing: Standing): void {
    const state = standing.state();
    if (state === 'holds') return;
    this.#watched.delete(connection);
    connection.close(CODES[state]);
  }
}

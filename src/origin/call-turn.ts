/**
 * A slot that a call of an origin has waited for before anything was made for it, and those who
 * wait for one. A slot is good for one attempt, and at the origin which gave it only: a reload may
 * have put another in its place.
 */
import { type DurationMs, durationMs } from '../base/brands.ts';
import type { Clock } from '../base/clock.ts';
import type { NodeError } from '../base/errors.ts';
import type { Slot, Waiter } from '../base/fair-limit.ts';
import type { TurnWaiter } from '../cache/ports.ts';

export interface TurnTerms {
  readonly clock: Clock;
  /** How long one waits. */
  readonly waitMs: DurationMs;
  readonly tooLate: () => NodeError;
  /** Told of each who got none. */
  readonly refused: () => void;
}

export class CallTurn {
  readonly #giver: TurnGiver;
  readonly #slot: Slot;
  /** Part of the time that the call may take in all. */
  readonly waitedMs: number;

  constructor(giver: TurnGiver, slot: Slot, waitedMs: number) {
    this.#giver = giver;
    this.#slot = slot;
    this.waitedMs = waitedMs;
  }

  isOf(giver: TurnGiver): boolean {
    return this.#giver === giver;
  }

  /** Runs the task in the slot; `undefined` when it was used or given back. */
  run<T>(task: () => Promise<T>): Promise<T> | undefined {
    return this.#slot.run(task);
  }

  readonly free = (): void => this.#slot.free();
}

/** Gives slots, and refuses those who have waited for `waitMs`: by one timer for all of them. */
export class TurnGiver {
  readonly terms: TurnTerms;
  /** Who waits, the longest first. */
  readonly #waiting = new Set<WaitingCall>();
  #isWatching = false;

  constructor(terms: TurnTerms) {
    this.terms = terms;
  }

  /** For the line of slots: tells `waiter`. */
  waiting(waiter: TurnWaiter): Waiter {
    const call = new WaitingCall(this, waiter, this.terms.clock.monotonic());
    this.#waiting.add(call);
    if (!this.#isWatching) this.#watch(this.terms.waitMs);
    return call;
  }

  /** It waits no longer. */
  leave(call: WaitingCall): void {
    this.#waiting.delete(call);
  }

  #watch(ms: number): void {
    this.#isWatching = true;
    this.terms.clock.after(durationMs(Math.max(1, ms)), () => this.#look());
  }

  #look(): void {
    const { clock, waitMs, tooLate } = this.terms;
    this.#isWatching = false;
    for (const call of this.#waiting) {
      const left = call.since + waitMs - clock.monotonic();
      if (left > 0) {
        this.#watch(left);
        return;
      }
      call.refuse(tooLate());
    }
  }
}

class WaitingCall implements Waiter {
  readonly #giver: TurnGiver;
  /**
   * `undefined` once it was told. What a set has let go of may be kept by the tables that it has
   * outgrown until the next full collection; this lets go of all that hangs on it.
   */
  #waiter: TurnWaiter | undefined;
  readonly since: number;

  constructor(giver: TurnGiver, waiter: TurnWaiter, since: number) {
    this.#giver = giver;
    this.#waiter = waiter;
    this.since = since;
  }

  begin(hold: () => Slot): void {
    const waiter = this.#leave();
    if (waiter === undefined) return;
    const waitedMs = this.#giver.terms.clock.monotonic() - this.since;
    waiter.take(new CallTurn(this.#giver, hold(), waitedMs));
  }

  refuse(error: NodeError): void {
    const waiter = this.#leave();
    if (waiter === undefined) return;
    this.#giver.terms.refused();
    waiter.refuse(error);
  }

  #leave(): TurnWaiter | undefined {
    const waiter = this.#waiter;
    this.#waiter = undefined;
    this.#giver.leave(this);
    return waiter;
  }
}

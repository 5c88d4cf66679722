/**
 * A slot that a call of an origin has waited for before anything was made for it, and whoever waits
 * for one. It is good for one attempt, and at the origin which gave it only: a reload may have put
 * another in its place.
 */
import type { DurationMs } from '../base/brands.ts';
import type { Cancel, Clock } from '../base/clock.ts';
import type { NodeError } from '../base/errors.ts';
import type { Slot, Waiter } from '../base/fair-limit.ts';

/** Whoever gives slots. */
export interface TurnGiver {
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

/** Waits in the line of an origin, until its turn or for `waitMs`. */
export class TurnWaiter implements Waiter {
  readonly #giver: TurnGiver;
  readonly #resolve: (turn: CallTurn) => void;
  readonly #reject: (error: NodeError) => void;
  readonly #began: number;
  /** `undefined`: it waits no longer. */
  #cancel: Cancel | undefined;

  constructor(
    giver: TurnGiver,
    resolve: (turn: CallTurn) => void,
    reject: (error: NodeError) => void,
  ) {
    const { clock, waitMs } = giver;
    this.#giver = giver;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#began = clock.monotonic();
    this.#cancel = clock.after(waitMs, () => this.refuse(giver.tooLate()));
  }

  begin(hold: () => Slot): void {
    if (!this.#leave()) return;
    const waitedMs = this.#giver.clock.monotonic() - this.#began;
    this.#resolve(new CallTurn(this.#giver, hold(), waitedMs));
  }

  refuse(error: NodeError): void {
    if (!this.#leave()) return;
    this.#giver.refused();
    this.#reject(error);
  }

  /** Whether it was waiting still. */
  #leave(): boolean {
    const cancel = this.#cancel;
    this.#cancel = undefined;
    cancel?.();
    return cancel !== undefined;
  }
}

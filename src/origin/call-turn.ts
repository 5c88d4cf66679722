/**
 * A slot that a call of an origin has waited for before anything was made for it. It is good for
 * one attempt, and at the origin which gave it only: a reload may have put another in its place.
 */
import type { Slot } from '../base/fair-limit.ts';

/** Whoever gives slots. */
type Giver = object;

export class CallTurn {
  readonly #giver: Giver;
  readonly #slot: Slot;
  /** Part of the time that the call may take in all. */
  readonly waitedMs: number;

  constructor(giver: Giver, slot: Slot, waitedMs: number) {
    this.#giver = giver;
    this.#slot = slot;
    this.waitedMs = waitedMs;
  }

  isOf(giver: Giver): boolean {
    return this.#giver === giver;
  }

  /** Runs the task in the slot; `undefined` when it was used or given back. */
  run<T>(task: () => Promise<T>): Promise<T> | undefined {
    return this.#slot.run(task);
  }

  readonly free = (): void => this.#slot.free();
}

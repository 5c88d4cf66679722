/**
 * Which records a subscriber who sees a part of a table has been shown, so that the leaving or the
 * end of a record is told to those only who knew of it. Bounded for one subscriber and for a
 * thread; beyond that, and after a resumption, not everything is known: then what cannot be decided
 * makes the subscriber begin anew from the present state.
 */
import type { RecordId } from '../base/brands.ts';

/** Ids remembered for all subscribers of a thread. */
export class ShownBudget {
  readonly perSubscriberMax: number;
  readonly #max: number;
  #used = 0;

  constructor(perSubscriberMax: number, max: number) {
    this.perSubscriberMax = perSubscriberMax;
    this.#max = max;
  }

  take(): boolean {
    if (this.#used >= this.#max) return false;
    this.#used += 1;
    return true;
  }

  give(count: number): void {
    this.#used -= count;
  }
}

export class ShownRecords {
  readonly #budget: ShownBudget;
  readonly #ids = new Set<RecordId>();
  /** Whether a record that is not among the ids was never shown. */
  #isComplete = false;

  constructor(budget: ShownBudget) {
    this.#budget = budget;
  }

  /** The present state follows, from which all that is shown is known. */
  restart(): void {
    this.clear();
    this.#isComplete = true;
  }

  clear(): void {
    this.#budget.give(this.#ids.size);
    this.#ids.clear();
    this.#isComplete = false;
  }

  add(id: RecordId): void {
    if (!this.#isComplete || this.#ids.has(id)) return;
    if (this.#ids.size < this.#budget.perSubscriberMax && this.#budget.take()) this.#ids.add(id);
    else this.clear();
  }

  remove(id: RecordId): void {
    if (this.#ids.delete(id)) this.#budget.give(1);
  }

  /** `was`: whether the row before was one that the subscriber sees, if that is known. */
  knows(id: RecordId, was: boolean | undefined): boolean | undefined {
    if (was === true || this.#ids.has(id)) return true;
    return was === false || this.#isComplete ? false : undefined;
  }
}

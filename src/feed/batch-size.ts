/**
 * How many changes are handed round in one turn of the event loop: as many as it takes for what
 * goes to a socket to leave together, and so few that the loop does not stand still, however many
 * subscribers each change has. Found out by measuring, from a small number on.
 */
const FIRST = 16;
/** A turn that took longer makes the next one smaller; one of less than a quarter, larger. */
const TURN_MS = 100;

export class BatchSize {
  readonly #max: number;
  #size: number;

  constructor(max: number) {
    this.#max = max;
    this.#size = Math.min(FIRST, max);
  }

  get size(): number {
    return this.#size;
  }

  /** A turn with so many changes took so long. */
  took(ms: number, changes: number): void {
    if (ms > TURN_MS) this.#size = Math.max(1, Math.floor((changes * TURN_MS) / ms));
    else if (changes === this.#size && ms < TURN_MS / 4) {
      this.#size = Math.min(this.#max, this.#size * 2);
    }
  }
}

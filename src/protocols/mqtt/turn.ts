/**
 * The connections that have packets to send at the end of the present turn of the event loop. One
 * task sends for all of them, since a task each costs about as much as the writing does.
 */
export interface Flushed {
  turnEnded(): void;
}

export class Turn {
  #waiting: Flushed[] = [];

  /** Flushed once what runs now is done; the caller asks once until then. */
  add(one: Flushed): void {
    if (this.#waiting.length === 0) queueMicrotask(() => this.#end());
    this.#waiting.push(one);
  }

  #end(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const one of waiting) one.turnEnded();
  }
}

/**
 * Answers in the order of what they answer, though the work behind them ends in any order
 * [MQTT5-4.6.0-2, 4.6.0-3]. Holds as many as the client may have under way.
 */
interface Waiting {
  send: (() => void) | undefined;
}

export class AnswerQueue {
  readonly #waiting: Waiting[] = [];
  #idle: (() => void)[] = [];
  #isOpen = true;

  get size(): number {
    return this.#waiting.length;
  }

  /** `send` is called with the outcome of `work` when all before it were sent. */
  add<T>(work: Promise<T>, send: (outcome: T) => void): void {
    const waiting: Waiting = { send: undefined };
    this.#waiting.push(waiting);
    const settle = (answer: () => void) => {
      waiting.send = answer;
      this.#sendReady();
    };
    work.then(
      (outcome) => settle(() => send(outcome)),
      () => settle(() => {}),
    );
  }

  /** Resolves when everything so far has been answered. */
  idle(): Promise<void> {
    if (this.#waiting.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Nothing is sent any more. */
  close(): void {
    this.#isOpen = false;
  }

  #sendReady(): void {
    for (let first = this.#waiting[0]; first?.send !== undefined; first = this.#waiting[0]) {
      this.#waiting.shift();
      if (this.#isOpen) first.send();
    }
    if (this.#waiting.length > 0) return;
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }
}

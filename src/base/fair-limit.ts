/**
 * Bounded concurrency with fair turns: what waits is served source by source, one task each, so
 * that whoever asks for a thousand things does not stand before whoever asks for one. No turn of
 * the event loop begins more than a slice of tasks: others, who need none, are answered in between.
 *
 * The queue is bounded. When it is full, a source with less than its share of it takes the place of
 * the newest task of the source that has most; any other is refused at once.
 */

import { NodeError } from './errors.ts';
import type { Limit, LimitOptions } from './limit.ts';
import type { StopSignal } from './stop.ts';

export interface FairLimitOptions extends LimitOptions {
  /** Tasks begun in one turn of the event loop. */
  readonly startsPerTurnMax: number;
}

export interface FairLimit extends Limit {
  /** As `Limit.run`; `source`: in whose turn, such as a user or an address. */
  run<T>(
    task: () => Promise<T>,
    signal?: StopSignal | undefined,
    source?: string | undefined,
  ): Promise<T>;
  /**
   * Waits in line for a slot before anything is made for the task; `undefined`: there is one now,
   * for `run`. Whoever waits so is a promise and two closures, however much its task will take.
   */
  reserve(source?: string | undefined): Reservation | undefined;
}

/** A place in the line. */
export interface Reservation {
  /** Rejects where `run` would. */
  readonly slot: Promise<Slot>;
  /** Waits no longer: the slot rejects with `error`, unless it came before. */
  giveUp(error: NodeError): void;
}

/** A slot that is held: for one task, or to be given back. */
export interface Slot {
  /** Runs the task in it; `undefined` when it was used or given back. */
  run<T>(task: () => Promise<T>): Promise<T> | undefined;
  /** Gives it back if it was not used. */
  free(): void;
}

interface Waiting {
  begin(): void;
  refuse(error: NodeError): void;
}

/** When whoever is refused should come back, seconds: by then the queue has moved. */
const RETRY_AFTER_SECONDS = 1;

export function createFairLimit(options: FairLimitOptions): FairLimit {
  return new FairQueue(options);
}

class FairQueue implements FairLimit {
  readonly #options: FairLimitOptions;
  /** In the order of their turns: the first is next, and goes to the end after its turn. */
  readonly #sources = new Map<string, Waiting[]>();
  #active = 0;
  #pending = 0;
  #startedInTurn = 0;

  constructor(options: FairLimitOptions) {
    this.#options = options;
  }

  get activeCount(): number {
    return this.#active;
  }

  get pendingCount(): number {
    return this.#pending;
  }

  run<T>(task: () => Promise<T>, signal?: StopSignal, source = ''): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const begin = (): void => {
        if (signal?.aborted === true) reject(signal.reason);
        else this.#start(task).then(resolve, reject);
      };
      if (this.#isFree()) begin();
      else this.#waitInLine(source, { begin, refuse: reject });
    });
  }

  reserve(source = ''): Reservation | undefined {
    if (this.#isFree()) return undefined;
    let hasLeft = false;
    let giveUp: Reservation['giveUp'] = () => {};
    const slot = new Promise<Slot>((resolve, reject) => {
      giveUp = (error) => {
        hasLeft = true;
        reject(error);
      };
      const begin = (): void => {
        if (!hasLeft) resolve(this.#hold());
      };
      this.#waitInLine(source, { begin, refuse: reject });
    });
    return { slot, giveUp };
  }

  #isFree(): boolean {
    return this.#pending === 0 && this.#hasRoom();
  }

  #waitInLine(source: string, waiting: Waiting): void {
    const isFull = this.#pending >= this.#waitingMax();
    if (isFull && !this.#makeRoom(source)) waiting.refuse(this.#refusal());
    else this.#enqueue(source, waiting);
  }

  /** A slot that is free for the next turn counts: without a queue nobody is refused for it. */
  #waitingMax(): number {
    return this.#options.queueMax + Math.max(0, this.#options.concurrency - this.#active);
  }

  #hasRoom(): boolean {
    const { concurrency, startsPerTurnMax } = this.#options;
    return this.#active < concurrency && this.#startedInTurn < startsPerTurnMax;
  }

  #start<T>(task: () => Promise<T>): Promise<T> {
    this.#takeSlot();
    return this.#runInSlot(task);
  }

  #takeSlot(): void {
    if (this.#startedInTurn === 0) setImmediate(this.#nextTurn);
    this.#startedInTurn += 1;
    this.#active += 1;
  }

  async #runInSlot<T>(task: () => Promise<T>): Promise<T> {
    try {
      return await task();
    } finally {
      this.#freeSlot();
    }
  }

  #freeSlot(): void {
    this.#active -= 1;
    this.#drain();
  }

  #hold(): Slot {
    this.#takeSlot();
    let isHeld = true;
    const take = (): boolean => {
      const wasHeld = isHeld;
      isHeld = false;
      return wasHeld;
    };
    return {
      run: (task) => (take() ? this.#runInSlot(task) : undefined),
      free: () => {
        if (take()) this.#freeSlot();
      },
    };
  }

  readonly #nextTurn = (): void => {
    this.#startedInTurn = 0;
    this.#drain();
  };

  #drain(): void {
    while (this.#pending > 0 && this.#hasRoom()) this.#shift()?.begin();
  }

  #enqueue(source: string, waiting: Waiting): void {
    const queue = this.#sources.get(source);
    if (queue === undefined) this.#sources.set(source, [waiting]);
    else queue.push(waiting);
    this.#pending += 1;
  }

  #shift(): Waiting | undefined {
    for (const [source, queue] of this.#sources) {
      const first = queue.shift();
      this.#pending -= 1;
      this.#sources.delete(source);
      if (queue.length > 0) this.#sources.set(source, queue);
      return first;
    }
    return undefined;
  }

  /** Whether `source` had less than its share, and somebody with most of all had to give way. */
  #makeRoom(source: string): boolean {
    const own = this.#sources.get(source)?.length ?? 0;
    const share = Math.floor(this.#pending / (this.#sources.size + (own === 0 ? 1 : 0)));
    if (own >= share) return false;
    const longest = [...this.#sources.values()].reduce((one, other) =>
      other.length > one.length ? other : one,
    );
    if (longest.length <= own + 1) return false;
    longest.pop()?.refuse(this.#refusal());
    this.#pending -= 1;
    return true;
  }

  #refusal(): NodeError {
    const { name, queueMax } = this.#options;
    const message =
      `${name}: ${queueMax} requests wait for it already; try again in ` +
      `${RETRY_AFTER_SECONDS} s ("queue" of the origin bounds it)`;
    const details = { limit: name, value: queueMax, retryAfterSeconds: RETRY_AFTER_SECONDS };
    return new NodeError('ORIGIN_BUSY', message, { retry: 'later', details });
  }
}

/**
 * Bounded concurrency with fair turns (`fair-line.ts`). No turn of the event loop begins more than
 * a slice of tasks: others, who need none, are answered in between. Nor does any while what came
 * of earlier ones is still to be dealt with: it would only wait elsewhere, where no turn is fair.
 * And a crowd leaves time to others (`loop-share.ts`).
 *
 * The queue is bounded. When it is full, a source with less than its share of it takes the place of
 * the newest task of the source that has most; any other is refused at once.
 */
import { NodeError } from './errors.ts';
import { FairLine } from './fair-line.ts';
import type { Limit, LimitOptions } from './limit.ts';
import type { LoopGate } from './loop-share.ts';
import type { StopSignal } from './stop.ts';

export interface FairLimitOptions extends LimitOptions {
  /** Tasks begun in one turn of the event loop. */
  readonly startsPerTurnMax: number;
  /** Whether so much is to be dealt with that nothing is begun; asked anew in every turn. */
  readonly isBehind?: (() => boolean) | undefined;
  /** Through which those go who wait. */
  readonly gate?: LoopGate | undefined;
}

export interface FairLimit extends Limit {
  /** As `Limit.run`; `source`: in whose turn, such as a user or an address. */
  run<T>(
    task: () => Promise<T>,
    signal?: StopSignal | undefined,
    source?: string | undefined,
  ): Promise<T>;
  /** Whether `run` would begin at once. */
  readonly isFree: boolean;
  /**
   * Lets `waiter` wait in line for a slot before anything is made for its task. Thousands wait so
   * at times, and what they weigh is copied by the collector until they are served: hence an object
   * of theirs, and no promise with its closures.
   */
  wait(source: string | undefined, waiter: Waiter): void;
}

/** Who waits in the line. */
export interface Waiter {
  /** There is a slot, which `hold` takes: at once, or not at all. */
  begin(hold: () => Slot): void;
  /** There is no room in the line, or no more. */
  refuse(error: NodeError): void;
}

/** A slot that is held: for one task, or to be given back. */
export interface Slot {
  /** Runs the task in it; `undefined` when it was used or given back. */
  run<T>(task: () => Promise<T>): Promise<T> | undefined;
  /** Gives it back if it was not used. */
  free(): void;
}

/** When whoever is refused should come back, seconds: by then the queue has moved. */
const RETRY_AFTER_SECONDS = 1;

export function createFairLimit(options: FairLimitOptions): FairLimit {
  return new FairQueue(options);
}

class FairQueue implements FairLimit {
  readonly #options: FairLimitOptions;
  readonly #line = new FairLine<Waiter>();
  #active = 0;
  #startedInTurn = 0;
  /** `#nextTurn` will be called. */
  #hasNextTurn = false;

  constructor(options: FairLimitOptions) {
    this.#options = options;
  }

  get activeCount(): number {
    return this.#active;
  }

  get pendingCount(): number {
    return this.#line.length;
  }

  run<T>(task: () => Promise<T>, signal?: StopSignal, source = ''): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const begin = (): void => {
        if (signal?.aborted === true) reject(signal.reason);
        else this.#start(task).then(resolve, reject);
      };
      if (this.isFree) begin();
      else this.#waitInLine(source, { begin, refuse: reject });
    });
  }

  get isFree(): boolean {
    return this.#line.length === 0 && this.#hasRoom();
  }

  wait(source: string | undefined, waiter: Waiter): void {
    if (this.isFree) waiter.begin(this.#hold);
    else this.#waitInLine(source ?? '', waiter);
  }

  #waitInLine(source: string, waiting: Waiter): void {
    const isFull = this.#line.length >= this.#waitingMax();
    const left = isFull ? this.#line.giveWay(source) : undefined;
    left?.refuse(this.#refusal());
    if (isFull && left === undefined) {
      waiting.refuse(this.#refusal());
    } else {
      this.#line.push(source, waiting);
      this.#awaitTurn();
    }
  }

  /** A slot that is free for the next turn counts: without a queue nobody is refused for it. */
  #waitingMax(): number {
    return this.#options.queueMax + Math.max(0, this.#options.concurrency - this.#active);
  }

  #hasRoom(): boolean {
    const { concurrency, startsPerTurnMax, isBehind } = this.#options;
    const hasSlot = this.#active < concurrency && this.#startedInTurn < startsPerTurnMax;
    return hasSlot && isBehind?.() !== true;
  }

  /** The gate, while it is shut. */
  get #shut(): LoopGate | undefined {
    const { gate } = this.#options;
    return gate?.isShut(this.#line.length) === true ? gate : undefined;
  }

  #start<T>(task: () => Promise<T>): Promise<T> {
    this.#takeSlot();
    return this.#runInSlot(task);
  }

  #takeSlot(): void {
    this.#startedInTurn += 1;
    this.#active += 1;
    this.#options.gate?.passed();
    this.#awaitTurn();
  }

  /** A task that ends draws the next one; what waits for a turn has to be looked at in it. */
  #awaitTurn(): void {
    if (this.#hasNextTurn) return;
    this.#hasNextTurn = true;
    const shut = this.#shut;
    if (shut === undefined) setImmediate(this.#nextTurn);
    else shut.soon(this.#nextTurn);
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

  readonly #hold = (): Slot => {
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
  };

  readonly #nextTurn = (): void => {
    this.#hasNextTurn = false;
    this.#startedInTurn = 0;
    this.#drain();
  };

  #drain(): void {
    while (this.#line.length > 0 && this.#hasRoom() && this.#shut === undefined) {
      this.#line.shift()?.begin(this.#hold);
    }
    if (this.#line.length > 0 && this.#active < this.#options.concurrency) this.#awaitTurn();
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

/**
 * Writes that wait for the next commit, bounded by bytes and by age. What is refused is answered
 * at once, so that a caller never waits for something that will not happen: fills give way first
 * (from half of each bound), client writes next; deletes, invalidations, messages and what a feed
 * says are always taken, since refusing them would leave wrong data behind.
 */
import type { Clock } from '../base/clock.ts';
import type { Durability, Unity, WriteOp, WriteOutcome } from '../table/store-port.ts';
import type { SpaceGuard } from './space-guard.ts';

export interface PendingWrite {
  readonly ops: readonly WriteOp[];
  /** Outcomes of the operations that were refused; holes for the others. */
  readonly outcomes: (WriteOutcome | undefined)[];
  readonly durability: Durability;
  readonly unity: Unity;
  readonly bytes: number;
  readonly queuedAt: number;
  resolve(outcomes: readonly WriteOutcome[]): void;
  reject(error: unknown): void;
}

/** Operations refused, by precedence and cause. */
export interface QueueShed {
  fillsByQueue: number;
  fillsByDisk: number;
  writesByQueue: number;
  writesByDisk: number;
}

export interface QueueLimits {
  readonly bytesMax: number;
  readonly ageMsMax: number;
  readonly opsPerCommitMax: number;
}

const OP_BYTES = 200;

const bodyBytes = (op: WriteOp): number => {
  if (op.kind === 'put') return op.body instanceof Uint8Array ? op.body.length : 0;
  if (op.kind === 'message') return op.body.length;
  return op.kind === 'patch' ? op.patch.length : 0;
};
const bytesOf = (ops: readonly WriteOp[]): number =>
  ops.reduce((sum, op) => sum + OP_BYTES + bodyBytes(op), 0);

type Precedence = 'fill' | 'client' | 'exempt';

function precedenceOf(op: WriteOp): Precedence {
  if (op.kind !== 'put' && op.kind !== 'patch') return 'exempt';
  return op.reason === 'feed' ? 'exempt' : op.reason;
}

export class WriteQueue {
  readonly #clock: Clock;
  readonly #guard: SpaceGuard;
  readonly #limits: QueueLimits;
  #waiting: PendingWrite[] = [];
  #bytes = 0;
  readonly shed: QueueShed = { fillsByQueue: 0, fillsByDisk: 0, writesByQueue: 0, writesByDisk: 0 };

  constructor(clock: Clock, guard: SpaceGuard, limits: QueueLimits) {
    this.#clock = clock;
    this.#guard = guard;
    this.#limits = limits;
  }

  get depth(): number {
    return this.#waiting.length;
  }
  get bytes(): number {
    return this.#bytes;
  }
  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** Resolves with the outcomes once the commit they go into is done. */
  add(
    ops: readonly WriteOp[],
    durability: Durability,
    unity: Unity = 'each',
  ): Promise<readonly WriteOutcome[]> {
    const outcomes = ops.map((op) => this.#refusal(op));
    const first = outcomes.find((outcome) => outcome !== undefined);
    if (unity === 'all' && first !== undefined) return Promise.resolve(ops.map(() => first));
    if (ops.length > 0 && outcomes.every((outcome) => outcome !== undefined)) {
      return Promise.resolve(outcomes as readonly WriteOutcome[]);
    }
    const bytes = bytesOf(ops);
    this.#bytes += bytes;
    const queuedAt = this.#clock.monotonic();
    return new Promise((resolve, reject) => {
      const write = { ops, outcomes, durability, unity, bytes, queuedAt, resolve, reject };
      this.#waiting.push(write);
    });
  }

  /**
   * Takes the oldest writes, as many as one commit may have; at least one. One that is all or
   * nothing goes alone: to take it back is to take back its whole transaction.
   */
  take(): PendingWrite[] {
    let count = 0;
    let ops = 0;
    for (const write of this.#waiting) {
      ops += write.ops.length;
      if (count > 0 && (ops > this.#limits.opsPerCommitMax || write.unity === 'all')) break;
      count += 1;
      if (write.unity === 'all') break;
    }
    const taken = this.#waiting.slice(0, count);
    this.#waiting = this.#waiting.slice(count);
    for (const write of taken) this.#bytes -= write.bytes;
    return taken;
  }

  /** Undoes `take` for writes that were not begun. */
  putBack(writes: readonly PendingWrite[]): void {
    this.#waiting = [...writes, ...this.#waiting];
    for (const write of writes) this.#bytes += write.bytes;
  }

  #refusal(op: WriteOp): WriteOutcome | undefined {
    const precedence = precedenceOf(op);
    if (precedence === 'exempt') return undefined;
    const room = this.#guard.room();
    if (room === 'hard' || (room === 'soft' && precedence === 'fill')) {
      if (precedence === 'fill') this.shed.fillsByDisk += 1;
      else this.shed.writesByDisk += 1;
      return { kind: 'shed', code: 'STORE_FULL' };
    }
    if (!this.#isFull(precedence === 'fill' ? 0.5 : 1)) return undefined;
    if (precedence === 'fill') this.shed.fillsByQueue += 1;
    else this.shed.writesByQueue += 1;
    return { kind: 'shed', code: 'WRITE_QUEUE_FULL' };
  }

  #isFull(share: number): boolean {
    const oldest = this.#waiting[0];
    if (oldest === undefined) return false;
    if (this.#bytes >= this.#limits.bytesMax * share) return true;
    return this.#clock.monotonic() - oldest.queuedAt >= this.#limits.ageMsMax * share;
  }
}

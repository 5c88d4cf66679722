/**
 * How many follow what, over all threads of a node. Each thread counts its own subscriptions, by
 * the record or the collection that they follow; a hub on the store thread adds up those counts
 * which somebody wants to know, and only those travel. Changes are gathered for a moment, so that
 * a crowd that comes at once is one message.
 *
 *   subscribe, close ─► ThreadPresence ─ counts of wanted keys ─► PresenceHub
 *                              ▲                                      │
 *                              └────────────── totals ◄───────────────┘
 */
import { durationMs, type RecordId, type TableName } from '../base/brands.ts';
import type { Cancel, Clock } from '../base/clock.ts';
import { LIMITS } from '../config/limits.ts';

/** What is followed: a record, or without an id the collection, whatever its conditions. */
export interface Followed {
  readonly table: { readonly name: TableName };
  readonly id?: RecordId | undefined;
}

/** Tells the number now and whenever it changes; `undefined`: too many are wanted already. */
export type Follow = (followed: Followed, told: (count: number) => void) => Unfollow | undefined;
export type Unfollow = () => void;

/** From a thread to the hub. */
export type ToHub =
  | { readonly kind: 'want'; readonly key: string }
  | { readonly kind: 'drop'; readonly key: string }
  | { readonly kind: 'count'; readonly counts: readonly (readonly [key: string, count: number])[] };

/** From the hub to a thread. */
export type FromHub =
  | { readonly kind: 'tell'; readonly key: string }
  | { readonly kind: 'hush'; readonly key: string }
  | {
      readonly kind: 'total';
      readonly totals: readonly (readonly [key: string, count: number])[];
    };

/** Ids of different types are different records. */
export const presenceKey = ({ table, id }: Followed): string =>
  id === undefined ? table.name : `${table.name}/${typeof id}:${String(id)}`;

interface Wanted {
  readonly listeners: Set<(count: number) => void>;
  total: number | undefined;
}

export class ThreadPresence {
  readonly #clock: Clock;
  readonly #send: (message: ToHub) => void;
  readonly #counts = new Map<string, number>();
  /** Keys whose counts the hub wants to be told. */
  readonly #told = new Set<string>();
  readonly #wanted = new Map<string, Wanted>();
  readonly #changed = new Set<string>();
  #timer: Cancel | undefined;

  constructor(clock: Clock, send: (message: ToHub) => void) {
    this.#clock = clock;
    this.#send = send;
  }

  /** Keys that somebody on this thread follows the presence of. */
  get wanted(): number {
    return this.#wanted.size;
  }

  /** A subscription began or ended. */
  changed(followed: Followed, by: 1 | -1): void {
    const key = presenceKey(followed);
    const count = (this.#counts.get(key) ?? 0) + by;
    if (count === 0) this.#counts.delete(key);
    else this.#counts.set(key, count);
    if (this.#told.has(key)) this.#gather(key);
  }

  follow(followed: Followed, told: (count: number) => void): Unfollow | undefined {
    const key = presenceKey(followed);
    let wanted = this.#wanted.get(key);
    if (wanted === undefined) {
      if (this.#wanted.size >= LIMITS.presencesFollowedMax) return undefined;
      wanted = { listeners: new Set(), total: undefined };
      this.#wanted.set(key, wanted);
      this.#send({ kind: 'want', key });
    } else if (wanted.total !== undefined) told(wanted.total);
    const { listeners } = wanted;
    // A function of its own: the same one may be given twice.
    const listener = (count: number) => told(count);
    listeners.add(listener);
    return () => {
      if (!listeners.delete(listener) || listeners.size > 0) return;
      this.#wanted.delete(key);
      this.#send({ kind: 'drop', key });
    };
  }

  hear(message: FromHub): void {
    if (message.kind === 'tell') {
      this.#told.add(message.key);
      this.#gather(message.key);
    } else if (message.kind === 'hush') {
      this.#told.delete(message.key);
    } else {
      for (const [key, count] of message.totals) this.#total(key, count);
    }
  }

  stop(): void {
    this.#timer?.();
    this.#timer = undefined;
    this.#changed.clear();
    this.#wanted.clear();
  }

  #total(key: string, count: number): void {
    const wanted = this.#wanted.get(key);
    if (wanted === undefined || wanted.total === count) return;
    wanted.total = count;
    for (const listener of wanted.listeners) listener(count);
  }

  #gather(key: string): void {
    this.#changed.add(key);
    this.#timer ??= this.#clock.after(durationMs(LIMITS.presenceGatherMs), () => {
      this.#timer = undefined;
      const changed = [...this.#changed].filter((one) => this.#told.has(one));
      this.#changed.clear();
      const counts = changed.map((one) => [one, this.#counts.get(one) ?? 0] as const);
      if (counts.length > 0) this.#send({ kind: 'count', counts });
    });
  }
}

/** A thread as the hub knows it. */
type Thread = (message: FromHub) => void;

interface Sum {
  readonly wantedBy: Set<Thread>;
  readonly counts: Map<Thread, number>;
}

export class PresenceHub {
  readonly #threads = new Set<Thread>();
  readonly #sums = new Map<string, Sum>();

  /** The function that takes what the thread says. */
  join(thread: Thread): (message: ToHub) => void {
    this.#threads.add(thread);
    for (const key of this.#sums.keys()) thread({ kind: 'tell', key });
    return (message) => this.#hear(thread, message);
  }

  #hear(thread: Thread, message: ToHub): void {
    switch (message.kind) {
      case 'want':
        this.#want(thread, message.key);
        break;
      case 'drop':
        this.#drop(thread, message.key);
        break;
      case 'count':
        this.#count(thread, message.counts);
        break;
    }
  }

  #want(thread: Thread, key: string): void {
    let sum = this.#sums.get(key);
    if (sum === undefined) {
      sum = { wantedBy: new Set(), counts: new Map() };
      this.#sums.set(key, sum);
      sum.wantedBy.add(thread);
      for (const each of this.#threads) each({ kind: 'tell', key });
      return;
    }
    sum.wantedBy.add(thread);
    if (this.#isWhole(sum)) thread({ kind: 'total', totals: [[key, totalOf(sum)]] });
  }

  #drop(thread: Thread, key: string): void {
    const sum = this.#sums.get(key);
    if (sum === undefined) return;
    sum.wantedBy.delete(thread);
    if (sum.wantedBy.size > 0) return;
    this.#sums.delete(key);
    for (const each of this.#threads) each({ kind: 'hush', key });
  }

  #count(thread: Thread, counts: readonly (readonly [string, number])[]): void {
    const totals = new Map<Thread, (readonly [string, number])[]>();
    for (const [key, count] of counts) {
      const sum = this.#sums.get(key);
      if (sum === undefined) continue;
      sum.counts.set(thread, count);
      if (!this.#isWhole(sum)) continue;
      for (const each of sum.wantedBy) {
        const list = totals.get(each) ?? [];
        list.push([key, totalOf(sum)]);
        totals.set(each, list);
      }
    }
    for (const [each, list] of totals) each({ kind: 'total', totals: list });
  }

  /** A sum is told once every thread has had its say. */
  #isWhole({ counts }: Sum): boolean {
    return counts.size === this.#threads.size;
  }
}

function totalOf({ counts }: Sum): number {
  let total = 0;
  for (const count of counts.values()) total += count;
  return total;
}

/**
 * Whether this node has caught up (SPEC §8). A node that begins with an empty store and knows of
 * others is joining until it has what one of them had; this is remembered with the store. When all
 * that can be reached are joining, the one with the least name stands for what there is: nothing.
 */
import type { Clock } from '../base/clock.ts';
import { BOUNDS } from './bounds.ts';
import type { ReplicaStore } from './ports.ts';

export const JOINING_NOTE = 'replication/joining';

/** `wasAway`: for longer than others remember what they deleted (`absence.ts`). */
interface Beginning {
  readonly hasOthers: boolean;
  readonly wasAway: boolean;
}

export class Joining {
  readonly #clock: Clock;
  readonly #store: ReplicaStore;
  readonly #begunAt: number;
  #isJoining: boolean;
  #aloneSince: number | undefined;

  constructor(store: ReplicaStore, clock: Clock, { hasOthers, wasAway }: Beginning) {
    this.#clock = clock;
    this.#store = store;
    this.#begunAt = clock.monotonic();
    const note = store.note(JOINING_NOTE);
    const isEmpty = store.horizon().sequence === 0;
    this.#isJoining = wasAway || (typeof note === 'boolean' ? note : isEmpty && hasOthers);
    if (this.#isJoining) store.setCatchingUp(true);
  }

  get isJoining(): boolean {
    return this.#isJoining;
  }

  /** What to remember with the first commit of all. */
  get notes(): Readonly<Record<string, unknown>> {
    return { [JOINING_NOTE]: this.isJoining };
  }

  end(keep: (notes: Readonly<Record<string, unknown>>) => void): void {
    this.#isJoining = false;
    this.#store.setCatchingUp(false);
    keep(this.notes);
  }

  /** How many can be reached: a node that finds nobody for a while goes on with what it has. */
  reaches(count: number): void {
    const isNew = this.#clock.monotonic() - this.#begunAt < BOUNDS.aloneMs;
    this.#store.setCatchingUp(this.#isJoining && (count > 0 || isNew));
  }

  /** Whether all that are reached have been joining for a while, and this is the least of them. */
  isFirstOf(
    name: string,
    others: readonly { readonly name: string; readonly isJoining: boolean }[],
  ): boolean {
    const isStuck =
      this.isJoining &&
      others.length > 0 &&
      others.every((one) => one.isJoining && one.name > name);
    const now = this.#clock.monotonic();
    if (!isStuck) this.#aloneSince = undefined;
    else this.#aloneSince ??= now;
    return this.#aloneSince !== undefined && now - this.#aloneSince >= BOUNDS.bootstrapMs;
  }
}

/**
 * Acts on what the other clocks say of this one (SPEC §6): has the store refuse writes while this
 * node runs ahead, and has rows stamped anew that no right clock could take.
 */
import { aheadBy, mustRestamp } from './clock-watch.ts';
import type { ReplicationEvents } from './options.ts';
import type { ReplicaStore } from './ports.ts';

export class ClockGuard {
  /** How far this clock is ahead of most; 0: within the bound. */
  aheadMs = 0;
  readonly #store: ReplicaStore;
  readonly #events: ReplicationEvents;
  readonly #restamped: () => void;
  #isRestamping = false;

  constructor(store: ReplicaStore, events: ReplicationEvents, restamped: () => void) {
    this.#store = store;
    this.#events = events;
    this.#restamped = restamped;
  }

  watch(offsets: readonly number[]): void {
    const store = this.#store;
    const ahead = offsets.length === 0 ? this.aheadMs : aheadBy(offsets);
    if (ahead > 0 !== this.aheadMs > 0) {
      store.setClockAhead(ahead);
      this.#events.clockAhead?.(ahead);
    }
    this.aheadMs = ahead;
    if (ahead === 0 && mustRestamp(store.now(), store.newestVersion(), offsets)) {
      this.#restamp();
    }
  }

  #restamp(): void {
    if (this.#isRestamping) return;
    this.#isRestamping = true;
    this.#store
      .restampAhead()
      .then(this.#restamped, (error: unknown) => this.#events.failed?.(error))
      .finally(() => {
        this.#isRestamping = false;
      });
  }
}

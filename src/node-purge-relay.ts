/**
 * Tells other nodes of every purge and invalidation as soon as it is committed here, whoever made
 * it and on whatever thread: it reads them from the log. Whoever waits for all to obey waits for
 * those that are under way.
 */

import { type Sequence, sequence as sequenceOf } from './base/brands.ts';
import { LIMITS } from './config/limits.ts';
import type { OwnPlaces } from './replication/obeyed.ts';
import type { LogEntry, ReplicaStore } from './replication/ports.ts';
import type { Replicator } from './replication/replicator.ts';
import type { Confirmation } from './table/confirmation.ts';

const PAGE = 1_024;
const NONE = sequenceOf(0);

export class PurgeRelay {
  readonly #store: ReplicaStore;
  readonly #replicator: Pick<Replicator, 'announcePurge' | 'confirmations'>;
  readonly #mayTravel: (entry: LogEntry) => boolean;
  readonly #underWay = new Set<Promise<Confirmation>>();
  readonly #stop: () => void;
  #at: Sequence;
  #newestOwn: OwnPlaces;

  constructor(
    store: ReplicaStore,
    replicator: Pick<Replicator, 'announcePurge' | 'confirmations'>,
    mayTravel: (entry: LogEntry) => boolean,
  ) {
    this.#mayTravel = mayTravel;
    this.#store = store;
    this.#replicator = replicator;
    const { sequence, cursors } = store.horizon();
    this.#at = sequence;
    const own = cursors.get(store.author) ?? NONE;
    this.#newestOwn = { invalidation: own, change: own };
    this.#stop = store.onHorizon(() => this.#look());
  }

  stop(): void {
    this.#stop();
  }

  /** Who has obeyed all that was invalidated here until now, and who has not within the time. */
  async confirmed(): Promise<Confirmation> {
    this.#look();
    const all = await Promise.all(this.#underWay);
    const missing = new Set(all.flatMap((one) => one.missing));
    const confirmed = new Set(all.flatMap((one) => one.confirmed));
    return {
      confirmed: [...confirmed].filter((name) => !missing.has(name)).sort(),
      missing: [...missing].sort(),
    };
  }

  /** Where the newest ones stand that were made here, as far as the horizon reaches. */
  newestOwn(): OwnPlaces {
    this.#look();
    return this.#newestOwn;
  }

  #rowChanged(change: Sequence): void {
    this.#newestOwn = { ...this.#newestOwn, change };
  }

  #look(): void {
    const { author } = this.#store;
    const { sequence, cursors } = this.#store.horizon();
    const newest = cursors.get(author) ?? NONE;
    // What others sent since is none of it: the log need not be read.
    if (newest <= this.#at && this.#at < sequence) this.#at = sequence;
    for (;;) {
      const page = this.#store.logAfter(this.#at, PAGE);
      for (const entry of page.entries) {
        const { origin } = entry;
        if (origin?.author !== author) continue;
        if (entry.kind !== 'invalidation') {
          if (this.#mayTravel(entry)) this.#rowChanged(entry.sequence);
          continue;
        }
        const { sequence: place, ...item } = entry;
        this.#newestOwn = { invalidation: place, change: place };
        const telling = this.#replicator.announcePurge(
          { ...item, origin },
          LIMITS.replicationConfirmMsMax,
        );
        this.#underWay.add(telling);
        void telling.finally(() => this.#underWay.delete(telling));
      }
      this.#at = page.next;
      if (page.entries.length < PAGE) return;
    }
  }
}

/**
 * The origin of the simulated cache, the same for all nodes: one number a key, which grows right
 * before an invalidation of it is made.
 */
import type { RecordId } from '../../src/base/brands.ts';
import type { InvalidationItem } from '../../src/replication/ports.ts';
import type { Origins } from './sim-cache.ts';
import { effectOf } from './sim-store.ts';

export class SimOrigins implements Origins {
  /** Entries that came from other nodes and were kept. */
  count = 0;
  readonly wrong: (why: string) => void;
  readonly #worth = new Map<RecordId, number>();
  readonly #invalidated = new Map<string, number>();

  constructor(wrong: (why: string) => void) {
    this.wrong = wrong;
  }

  worth(id: RecordId): number {
    return this.#worth.get(id) ?? 0;
  }

  invalidating(item: InvalidationItem): void {
    const { scope } = item;
    if (scope.kind !== 'key') return;
    const now = this.worth(scope.id) + 1;
    this.#worth.set(scope.id, now);
    this.#invalidated.set(effectOf(item), now);
  }

  worthAt(item: InvalidationItem): number {
    return this.#invalidated.get(effectOf(item)) ?? 0;
  }

  taken(): void {
    this.count += 1;
  }
}

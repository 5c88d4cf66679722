/**
 * The cache table of one run of a simulated node, whose entries travel (SPEC §14). Its origin is
 * one number a key, which grows before each invalidation: an entry tells what it was when its fetch
 * began, so that one which is fresh behind an invalidation it did not follow on is seen at once.
 */
import type { NodeId, RecordId, Sequence } from '../../src/base/brands.ts';
import { durationMs, epochMs } from '../../src/base/brands.ts';
import { AHEAD_NOTE, obeyedAtStart } from '../../src/base/obeyed-ahead.ts';
import { ObeyedPlaces } from '../../src/cache/obeyed-places.ts';
import { mayReplace, receivedTimes, type SharedEntry } from '../../src/cache/shared-entry.ts';
import type { EntryItem, InvalidationItem, RemoteBatch } from '../../src/replication/ports.ts';
import type { CachedRow, Disk } from './disk.ts';

export interface Origins {
  /** What the origin holds now. */
  worth(id: RecordId): number;
  /** What it held when it was invalidated. */
  worthAt(item: InvalidationItem): number;
  /** An entry of another node was stored. */
  taken(): void;
  wrong(why: string): void;
}

const FRESH_MS = 600_000;

export class SimCache {
  readonly #disk: Disk;
  readonly #origins: Origins;
  readonly #now: () => number;
  readonly #obeyed: ObeyedPlaces;

  constructor(disk: Disk, origins: Origins, now: () => number) {
    this.#disk = disk;
    this.#origins = origins;
    this.#now = now;
    this.#obeyed = new ObeyedPlaces(
      obeyedAtStart(disk.horizon.cursors, disk.notes.get(AHEAD_NOTE)),
    );
  }

  /** An invalidation has effect, at a place of the log; who made it, and where. */
  invalidated(item: InvalidationItem, place: Sequence, author: NodeId): void {
    const { scope } = item;
    if (scope.kind !== 'key') return;
    this.#obeyed.note(place, author, item.origin.sequence);
    this.#disk.outdate(scope.id, place, this.#origins.worthAt(item));
    this.#check(scope.id);
  }

  dropped(batch: RemoteBatch, place: Sequence): void {
    this.#obeyed.dropped(batch.cursors);
    this.#disk.dropCaches(place);
  }

  isValid(id: RecordId): boolean {
    const row = this.#disk.cached.get(id);
    return row !== undefined && row.stamp >= this.#disk.outdatedAt(id);
  }

  /** Stores what a fetch of this node brought, unless it was overtaken. */
  fill(id: RecordId, worth: number, stamp: Sequence): boolean {
    if (stamp < this.#disk.outdatedAt(id)) return false;
    this.#keep(id, { worth, stamp, storedAt: this.#now() });
    return true;
  }

  held(id: RecordId): SharedEntry | undefined {
    const row = this.#disk.cached.get(id);
    if (row === undefined || !this.isValid(id) || row.storedAt > this.#now()) return undefined;
    const never = durationMs(0);
    return {
      ...{ status: 200, contentType: 'text/plain', tag: `"${row.worth}"` as SharedEntry['tag'] },
      ...{ body: Buffer.from(`${row.worth}`), sinceMs: durationMs(this.#now() - row.storedAt) },
      ...{ initialAgeMs: never, freshMs: durationMs(FRESH_MS), evictMs: durationMs(FRESH_MS) },
      ...{ whileRevalidateMs: never, ifErrorMs: never, staleForbidden: false },
    };
  }

  /** Whether an entry of another node was stored. */
  take({ id, entry }: EntryItem, facts: RemoteBatch['entries']): boolean {
    if (facts === undefined) return false;
    const place = this.#obeyed.upTo(facts.obeyed, this.#disk.sequence);
    if (place === undefined) return false;
    const now = epochMs(this.#now());
    const { storedAt } = receivedTimes(entry, now, Math.max(0, now - facts.sentAt));
    const row = this.#disk.cached.get(id);
    if (row !== undefined) {
      const isInvalidated = !this.isValid(id);
      const standing = { storedAt: epochMs(row.storedAt), isInvalidated };
      if (row.stamp > place || !mayReplace(standing, storedAt, facts.doubtMs)) return false;
    }
    if (place < this.#disk.outdatedAt(id)) return false;
    this.#keep(id, { worth: Number(Buffer.from(entry.body)), stamp: place, storedAt });
    this.#origins.taken();
    return true;
  }

  #keep(id: RecordId, row: CachedRow): void {
    this.#disk.setCached(id, row);
    this.#check(id);
  }

  #check(id: RecordId): void {
    const row = this.#disk.cached.get(id);
    const least = this.#disk.obeyedWorth(id);
    if (row === undefined || !this.isValid(id) || row.worth >= least) return;
    this.#origins.wrong(`cache/${id} is fresh with ${row.worth}, though ${least} was invalidated`);
  }
}

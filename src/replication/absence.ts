/**
 * A node that was away for longer than others remember what they deleted (SPEC §8). It counts as
 * joining until it has compared its rows with those of a node that was there: a row which both held
 * when they last compared equal, which was not written since, and which the other does not hold now
 * was deleted there. Such rows go; what was written here and never sent stays, and is sent.
 *
 * For that it keeps, with the store, when it last ran, and when which table was equal with whom.
 */
import { type EpochMs, epochMs, recordVersion, type TableName } from '../base/brands.ts';
import { versionTime } from '../base/hlc.ts';
import { isPresent, newestStamp, type RowState } from '../cache/row-state.ts';
import { LIMITS } from '../config/limits.ts';
import { BOUNDS } from './bounds.ts';
import { NO_CURSORS } from './cursors.ts';
import type { Item, ReplicaStore, ReplicatedTable, RowPage } from './ports.ts';
import { type Session, SessionGone } from './session.ts';
import { askPage, compareTable, type PageParts, type PagePlace, pause } from './take-pages.ts';

const ALIVE_NOTE = 'replication/alive';
const EQUAL_NOTE = 'replication/equal';

type Equal = Readonly<Record<string, Readonly<Record<string, EpochMs>>>>;

export interface AbsenceParts {
  readonly store: ReplicaStore;
  readonly hasOthers: boolean;
  readonly keep: (notes: Readonly<Record<string, unknown>>) => void;
}

export class Absence {
  readonly #parts: AbsenceParts;
  #isLong: boolean;
  #noteAt = 0;
  #isEnding = false;
  #equal: Equal;

  constructor(parts: AbsenceParts) {
    this.#parts = parts;
    this.#equal = (parts.store.note(EQUAL_NOTE) ?? {}) as Equal;
    const last = parts.store.note(ALIVE_NOTE);
    const away = typeof last === 'number' ? parts.store.now() - last : 0;
    this.#isLong = parts.hasOthers && away > LIMITS.tombstoneRetentionMs;
  }

  /** It was away for so long, and has not been put right yet. */
  get isLong(): boolean {
    return this.#isLong;
  }

  /** Remembers now and then that this node is there. */
  tick(now: number): void {
    if (this.#isLong || now < this.#noteAt) return;
    this.#noteAt = now + Math.min(BOUNDS.aliveMs, LIMITS.tombstoneRetentionMs / 8);
    this.#parts.keep({ [ALIVE_NOTE]: this.#parts.store.now() });
  }

  /** Tables that were found equal with a node, at an instant. */
  equalWith(peer: string, tables: readonly TableName[], at: EpochMs): void {
    if (this.#isLong || tables.length === 0) return;
    // What others stamp may be so far ahead.
    const since = epochMs(at - LIMITS.clockAheadMsMax);
    const { [peer]: before, ...others } = this.#equal;
    const kept = Object.entries(others).slice(0, BOUNDS.names - 1);
    const now = { ...before, ...Object.fromEntries(tables.map((name) => [name, since])) };
    this.#equal = { [peer]: now, ...Object.fromEntries(kept) };
    this.#parts.keep({ [EQUAL_NOTE]: this.#equal });
  }

  /** It cannot be put right: all that can be reached lack as much. */
  over(): void {
    this.#isLong = false;
  }

  /** Resolves with how many rows went; `undefined` when it is to be tried again. */
  async end(peer: string, session: Session, parts: PageParts): Promise<number | undefined> {
    if (this.#isEnding) return undefined;
    this.#isEnding = true;
    try {
      let dropped = 0;
      for (const table of parts.own().tables) {
        const since = this.#equal[peer]?.[table.name];
        if (table.mode !== 'rows' || since === undefined) continue;
        dropped += await dropDeleted(session, parts, table, since);
      }
      this.#isLong = false;
      return dropped;
    } catch (error) {
      if (error instanceof SessionGone) return undefined;
      throw error;
    } finally {
      this.#isEnding = false;
    }
  }
}

async function dropDeleted(
  session: Session,
  parts: PageParts,
  table: ReplicatedTable,
  since: EpochMs,
): Promise<number> {
  const differing = await differingOnce(session, parts, table);
  let dropped = 0;
  for (let at = 0; at < differing.length; at += BOUNDS.bucketsCompared) {
    const buckets = differing.slice(at, at + BOUNDS.bucketsCompared);
    const theirs = await idsOf(session, parts, table, buckets);
    dropped += await dropOthers(parts, table, { buckets, theirs, since });
  }
  return dropped;
}

/** Digests may still be in the making, here or there. */
async function differingOnce(session: Session, parts: PageParts, table: ReplicatedTable) {
  for (;;) {
    const buckets = await compareTable(session, parts.store, table);
    parts.moved();
    if (buckets !== undefined) return buckets;
    if (!session.isReady) throw new SessionGone('the connection has ended');
    await waited(parts);
  }
}

async function waited(parts: PageParts): Promise<void> {
  parts.busy(true);
  await pause(parts.clock, BOUNDS.settleMs);
  parts.busy(false);
}

const nameOf = (id: string | number): string => `${typeof id}/${id}`;

async function idsOf(
  session: Session,
  parts: PageParts,
  table: ReplicatedTable,
  buckets: readonly number[],
): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  let after: PagePlace;
  do {
    const { rows, next } = await askPage(session, { table, buckets }, after);
    for (const { id } of rows) found.add(nameOf(id));
    parts.moved();
    after = next;
  } while (after !== undefined);
  return found;
}

interface Compared {
  readonly buckets: readonly number[];
  readonly theirs: ReadonlySet<string>;
  readonly since: EpochMs;
}

async function dropOthers(
  parts: PageParts,
  table: ReplicatedTable,
  { buckets, theirs, since }: Compared,
): Promise<number> {
  const options = { rowsMax: BOUNDS.pageRows, bytesMax: LIMITS.replicationBatchBytesMax };
  let dropped = 0;
  let after: PagePlace;
  do {
    const page: RowPage = parts.store.rowPage(table.name, {
      ...{ ...options, after, buckets: new Set(buckets) },
    });
    const items = page.rows.flatMap(({ id, state }): Item[] => {
      const gone = theirs.has(nameOf(id)) ? undefined : deletedSince(state, since);
      return gone === undefined ? [] : [{ kind: 'row', table: table.name, id, state: gone }];
    });
    if (items.length > 0) await parts.queue.apply({ items, cursors: NO_CURSORS });
    parts.moved();
    dropped += items.length;
    after = page.next;
  } while (after !== undefined);
  return dropped;
}

/** The row as deleted right after its last write: whatever is written later outlives it. */
function deletedSince(state: RowState, since: EpochMs): RowState | undefined {
  const newest = newestStamp(state);
  if (!isPresent(state) || newest === undefined) return undefined;
  if (versionTime(newest.version) > since) return undefined;
  const { author } = newest;
  return { base: { version: recordVersion(newest.version + 1), author, kind: 'delete' } };
}

/**
 * The digests of the tables whose rows other nodes hold too: 4,096 buckets a table, each the XOR of
 * the digests of its rows. They are kept in memory, moved by every commit that moves a row, and
 * written down when the store closes; a start which cannot trust what it finds makes them anew in
 * the background, a page of rows at a time. Meanwhile rows behind the page that was read last do
 * not count yet, and the table has no digest to show.
 */
import type { RecordId, TableName } from '../../base/brands.ts';
import type { EntryKind, EntryMeta } from '../../cache/entry.ts';
import { baseDigest, DIGEST_BUCKETS, type RowDigest, rowDigest } from '../../cache/row-digest.ts';
import { stampsOfEntry } from '../../cache/row-entry.ts';
import type { Stamp } from '../../cache/row-state.ts';
import type { Batch } from '../commit/batch.ts';
import { type Row, rowAt } from '../commit/rows.ts';
import type { Committer } from '../committer.ts';
import { HIGH, type Key, type Tree } from '../engine.ts';
import { packPlain, unpackPlain } from '../entry-format.ts';
import { compareKeys, idOfKey } from '../keys.ts';
import type { TableTrees, Trees } from '../tables.ts';

/** Rows read at a time: the thread serves nothing else meanwhile. */
const PAGE_ROWS = 500;
const WORDS = DIGEST_BUCKETS * 2;

/** What a digest is made of. */
export interface DigestedEntry extends Stamp {
  readonly isLocal?: boolean | undefined;
  readonly kind: EntryKind;
  readonly meta: EntryMeta;
}

interface Digests {
  readonly words: Uint32Array;
  /** Rows up to this key count; `undefined`: none yet. */
  counted: Key | undefined;
  isWhole: boolean;
}

interface Moved {
  readonly digests: Digests;
  readonly digest: RowDigest;
}

export class TableDigests {
  readonly #tables = new Map<TableName, Digests>();

  constructor(tables: Iterable<TableName>) {
    for (const name of tables) {
      this.#tables.set(name, {
        words: new Uint32Array(WORDS),
        counted: undefined,
        isWhole: false,
      });
    }
  }

  /** Pairs of halves, bucket by bucket; `undefined` while they are being made. */
  get(table: TableName): Uint32Array | undefined {
    const digests = this.#tables.get(table);
    return digests?.isWhole === true ? digests.words.slice() : undefined;
  }

  /** Notes, inside a commit, that a row is about to stand as `next`, or not at all. */
  changed(batch: Batch, row: Row, next: DigestedEntry | undefined): void {
    const digests = this.#tables.get(row.table.name);
    if (digests === undefined || !isCounted(digests, row.key)) return;
    const id = row.entry?.meta.fullKey ?? row.id;
    const moved: Moved[] = [];
    if (isShared(row.entry)) moved.push({ digests, digest: entryDigest(id, row.entry) });
    if (isShared(next)) moved.push({ digests, digest: entryDigest(id, next) });
    if (moved.length > 0) batch.afterCommit.push(() => moved.forEach(turn));
  }

  /** Takes what was written down at the last closing; true when that is all. */
  load(meta: Tree): boolean {
    for (const [name, digests] of this.#tables) {
      const bytes = meta.get(['digests', name]);
      const stored = bytes && (unpackPlain(bytes) as Uint8Array);
      if (stored?.length !== WORDS * 4) continue;
      digests.words.set(new Uint32Array(new Uint8Array(stored).buffer));
      digests.isWhole = true;
    }
    return [...this.#tables.values()].every(({ isWhole }) => isWhole);
  }

  /** Writes down those that are whole; inside the transaction which closes the store. */
  save(meta: Tree): void {
    for (const [name, { words, isWhole }] of this.#tables) {
      if (!isWhole) continue;
      const bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
      meta.put(['digests', name], packPlain(bytes));
    }
  }

  /** Makes those that are missing. Rejects with `SHUTTING_DOWN` when the store closes meanwhile. */
  async rebuild(committer: Committer, trees: Trees): Promise<void> {
    for (const [name, digests] of this.#tables) {
      const table = trees.tables.get(name);
      if (table === undefined) continue;
      while (!digests.isWhole) {
        await committer.chore((batch) => countPage(batch, table, digests));
      }
    }
  }
}

/** What was written down is not kept up by a store that has no other nodes. */
export function forgetDigests(meta: Tree): void {
  for (const key of meta.keys({ start: ['digests', ''], end: ['digests', HIGH] })) meta.remove(key);
}

function isCounted({ isWhole, counted }: Digests, key: Key): boolean {
  return isWhole || (counted !== undefined && compareKeys(key, counted) <= 0);
}

function turn({ digests, digest }: Moved): void {
  const at = digest.bucket * 2;
  digests.words[at] = (digests.words[at] ?? 0) ^ digest.high;
  digests.words[at + 1] = (digests.words[at + 1] ?? 0) ^ digest.low;
}

/** What is there for this node only is in no digest. */
const isShared = <T extends Pick<DigestedEntry, 'isLocal'>>(entry: T | undefined): entry is T =>
  entry !== undefined && entry.isLocal !== true;

export function entryDigest(id: RecordId, entry: DigestedEntry): RowDigest {
  const { merging } = entry.meta;
  if (merging === undefined) return baseDigest(id, entry, entry.kind === 'tombstone');
  return rowDigest(id, stampsOfEntry(entry));
}

function countPage(batch: Batch, table: TableTrees, digests: Digests): void {
  const start = digests.counted ?? false;
  const range = { start, exclusiveStart: digests.counted !== undefined, end: HIGH };
  const found: Moved[] = [];
  let last: Key | undefined;
  let rows = 0;
  table.entries.range({ ...range, limit: PAGE_ROWS }, (key, value) => {
    last = key;
    rows += 1;
    const { entry } = rowAt(batch, table, key, idOfKey(key) ?? '', value);
    if (!isShared(entry)) return true;
    const id = entry.meta.fullKey ?? entry.id;
    found.push({ digests, digest: entryDigest(id, entry) });
    return true;
  });
  batch.afterCommit.push(() => {
    found.forEach(turn);
    if (last !== undefined) digests.counted = last;
    digests.isWhole = rows < PAGE_ROWS;
  });
}

/**
 * What the store remembers of itself: the node's identity as an author, the epoch, whether it was
 * closed cleanly, the newest sequence and clock reading, sizes of tables, indexes that are built,
 * numbers which were given out as keys.
 *
 * A start that cannot prove that no commit was lost begins a new epoch. Lost commits would be
 * sequences that were already seen outside and are given out again; that needs a power loss, so
 * the proof is a clean mark, or the same boot of the machine (a killed process loses nothing).
 */
import { randomBytes } from 'node:crypto';
import {
  type Epoch,
  epoch,
  type NodeId,
  nodeId,
  type RecordVersion,
  recordVersion,
  type Sequence,
  sequence,
  type TableName,
} from '../base/brands.ts';
import type { IdRangeState } from '../schema/id-range.ts';
import type { Key, Tree } from './engine.ts';
import { packPlain, unpackPlain } from './entry-format.ts';

/** What every commit moves on. */
export interface LogState {
  sequence: Sequence;
  first: Sequence;
  version: RecordVersion;
  logEntries: number;
  logBytes: number;
  /** The number last given to a body in chunks. */
  bodies: number;
  /** Bytes of all files that rows name. */
  fileBytes: number;
}

/**
 * An author is one unbroken run of sequences: those above `since`, up to the `since` of the next
 * life, are this author's. So an author and a sequence name one change for ever.
 */
export interface Life {
  readonly author: NodeId;
  readonly since: Sequence;
}

export interface Identity {
  readonly author: NodeId;
  /** All lives of this store, the present one last; absent in folders of older programs. */
  readonly lives?: readonly Life[] | undefined;
  readonly epoch: Epoch;
  /** The boot of the machine in which the folder was last open; '' when that is not known. */
  readonly bootId: string;
  readonly isClean: boolean;
}

export interface TableSize {
  entries: number;
  bytes: number;
}

const read = (meta: Tree, key: Key): unknown => {
  const bytes = meta.get(key);
  return bytes === undefined ? undefined : unpackPlain(bytes);
};

export function readLogState(meta: Tree): LogState {
  const stored = (read(meta, 'state') ?? []) as number[];
  const [newest = 0, first = 1, version = 0] = stored;
  const [, , , logEntries = 0, logBytes = 0, bodies = 0, fileBytes = 0] = stored;
  return {
    sequence: sequence(newest),
    first: sequence(first),
    version: recordVersion(version),
    logEntries,
    logBytes,
    bodies,
    fileBytes,
  };
}

export function writeLogState(meta: Tree, state: LogState): void {
  const { first, version, logEntries, logBytes, bodies, fileBytes } = state;
  const { sequence: newest } = state;
  meta.put('state', packPlain([newest, first, version, logEntries, logBytes, bodies, fileBytes]));
}

export const readTableSize = (meta: Tree, table: TableName): TableSize => {
  const [entries = 0, bytes = 0] = (read(meta, ['size', table]) ?? []) as number[];
  return { entries, bytes };
};

export function writeTableSize(meta: Tree, table: TableName, size: TableSize): void {
  meta.put(['size', table], packPlain([size.entries, size.bytes]));
}

/** Type name → how often entries of the table name records of it. */
export const readNameCounts = (meta: Tree, table: TableName): Map<string, number> =>
  new Map(Object.entries((read(meta, ['names', table]) ?? {}) as Record<string, number>));

export function writeNameCounts(
  meta: Tree,
  table: TableName,
  counts: ReadonlyMap<string, number>,
): void {
  meta.put(['names', table], packPlain(Object.fromEntries(counts)));
}

export const readIdentity = (meta: Tree): Identity | undefined =>
  read(meta, 'identity') as Identity | undefined;

export function writeIdentity(meta: Tree, identity: Identity): void {
  meta.put('identity', packPlain(identity));
}

const randomAuthor = (): NodeId => nodeId(randomBytes(6).readUIntLE(0, 6) || 1);
const randomEpoch = (): Epoch => epoch(randomBytes(6).toString('base64url').replaceAll('-', '0'));

export const livesOf = ({ author, lives }: Identity): readonly Life[] =>
  lives ?? [{ author, since: sequence(0) }];

/** Who this start is, given what the last one left behind and the newest sequence in it. */
export function identityAtStart(
  last: Identity | undefined,
  bootId: string,
  newest: Sequence = sequence(0),
): Identity {
  const lostNothing = last?.isClean === true || (bootId !== '' && last?.bootId === bootId);
  if (last !== undefined && lostNothing) {
    return { ...last, lives: livesOf(last), bootId, isClean: false };
  }
  const author = randomAuthor();
  const lives = [...(last === undefined ? [] : livesOf(last)), { author, since: newest }];
  return { author, lives, epoch: randomEpoch(), bootId, isClean: false };
}

export const readIdRange = (meta: Tree, table: TableName): IdRangeState | undefined =>
  read(meta, ['ids', table]) as IdRangeState | undefined;

export function writeIdRange(meta: Tree, table: TableName, state: IdRangeState): void {
  meta.put(['ids', table], packPlain(state));
}

const indexMark = (table: TableName, attribute: string): Key => ['index', table, attribute];

/** `form` tells indexes of one attribute apart whose values come about in different ways. */
export const isIndexBuilt = (
  meta: Tree,
  table: TableName,
  attribute: string,
  form: string | true,
): boolean => read(meta, indexMark(table, attribute)) === form;

export function markIndexBuilt(
  meta: Tree,
  table: TableName,
  attribute: string,
  form: string | true,
): void {
  meta.put(indexMark(table, attribute), packPlain(form));
}

/** Marks of all built indexes, declared or not. */
export function builtIndexes(meta: Tree): { readonly key: Key; readonly name: string }[] {
  const keys = meta.keys({ start: ['index', ''], end: ['index', Uint8Array.of(0xff)] });
  return keys.map((key) => {
    const [, table, attribute] = key as readonly string[];
    return { key, name: `index/${table}/${attribute}` };
  });
}

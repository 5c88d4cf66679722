/**
 * The memory which every thread of the node sees: the committed sequence, the invalidation scopes
 * and the ring of recent changes. The store thread alone writes it; the others only look.
 *
 * Order of publication: whatever belongs to a commit is written first, `commits` last and
 * atomically. A reader that sees the new count therefore sees the rest.
 */
import type { Sequence } from '../base/brands.ts';

const CONTROL_BYTES = 256;
const TABLE_FIELDS = 12;
const SCOPE_FIELDS = 4;

export interface SharedLayout {
  readonly tables: number;
  /** Slots of one scope table: a power of two, about twice the scopes that may be held. */
  readonly scopeSlots: number;
  readonly ringBytes: number;
  /** Changes that the ring can find by their sequence: a power of two. */
  readonly ringSlots: number;
}

/** What a worker is given to look at the same memory. */
export interface SharedMemory {
  readonly layout: SharedLayout;
  readonly buffer: SharedArrayBuffer;
}

export interface SharedState extends SharedMemory {
  /** The count of commits: the one word every read compares. */
  readonly words: Int32Array;
  readonly sequences: BigInt64Array;
  readonly tables: Float64Array;
  /** Two scope tables; readers use the one that `words` names. */
  readonly scopes: readonly [Float64Array, Float64Array];
  readonly ringIndex: Int32Array;
  readonly ring: Uint8Array;
}

/** Indexes into `words`. */
export const WORD = {
  commits: 0,
  prefixes: 1,
  scopeTable: 2,
  ringReserved: 3,
  watched: 4,
} as const;
const SEQUENCE_AT = 8;
/** Indexes into `sequences`. */
const SEQUENCE = { committed: 0, first: 1 } as const;

/** Fields of a table's own line in `tables`. */
export const TABLE = {
  stride: TABLE_FIELDS,
  newest: 0,
  hard: 1,
  soft: 2,
  softAt: 3,
  floorHard: 4,
  floorSoft: 5,
  floorSoftAt: 6,
  floorFill: 7,
  hasKeys: 8,
  hasGroups: 9,
  hasPrefixes: 10,
  /** Version of the table's newest change in this run; 0 when there was none. */
  changed: 11,
} as const;

/** Fields of a scope's slot. */
export const SCOPE = { stride: SCOPE_FIELDS, hash: 0, hard: 1, soft: 2, softAt: 3 } as const;

export function createSharedMemory(layout: SharedLayout): SharedMemory {
  const scopeBytes = layout.scopeSlots * SCOPE_FIELDS * 8 * 2;
  const tableBytes = Math.max(1, layout.tables) * TABLE_FIELDS * 8;
  const bytes = CONTROL_BYTES + tableBytes + scopeBytes + layout.ringSlots * 4 + layout.ringBytes;
  return { layout, buffer: new SharedArrayBuffer(bytes) };
}

export function viewSharedMemory(memory: SharedMemory): SharedState {
  const { buffer, layout } = memory;
  const tablesLength = Math.max(1, layout.tables) * TABLE_FIELDS;
  const scopesLength = layout.scopeSlots * SCOPE_FIELDS;
  const scopesAt = CONTROL_BYTES + tablesLength * 8;
  const indexAt = scopesAt + scopesLength * 16;
  return {
    layout,
    buffer,
    words: new Int32Array(buffer, 0, SEQUENCE_AT),
    sequences: new BigInt64Array(buffer, SEQUENCE_AT * 4, 4),
    tables: new Float64Array(buffer, CONTROL_BYTES, tablesLength),
    scopes: [
      new Float64Array(buffer, scopesAt, scopesLength),
      new Float64Array(buffer, scopesAt + scopesLength * 8, scopesLength),
    ],
    ringIndex: new Int32Array(buffer, indexAt, layout.ringSlots),
    ring: new Uint8Array(buffer, indexAt + layout.ringSlots * 4, layout.ringBytes),
  };
}

export const commitCount = (state: SharedState): number => Atomics.load(state.words, WORD.commits);

export const committedSequence = (state: SharedState): Sequence =>
  Number(Atomics.load(state.sequences, SEQUENCE.committed)) as Sequence;

export const firstSequence = (state: SharedState): Sequence =>
  Number(Atomics.load(state.sequences, SEQUENCE.first)) as Sequence;

/** Counts the commits that changed a watched table. */
export const watchedCount = (state: SharedState): number => Atomics.load(state.words, WORD.watched);

/**
 * After `publishCommit`: who sees the new count must read what was committed, not what was before.
 */
export function publishWatched(state: SharedState): void {
  Atomics.add(state.words, WORD.watched, 1);
}

/** Tells every thread of a commit; must come before any acknowledgement of it. */
export function publishCommit(state: SharedState, committed: Sequence, first: Sequence): void {
  Atomics.store(state.sequences, SEQUENCE.first, BigInt(first));
  Atomics.store(state.sequences, SEQUENCE.committed, BigInt(committed));
  Atomics.add(state.words, WORD.commits, 1);
}

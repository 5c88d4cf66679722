/**
 * The state of a row, as replicas merge it: every row is a join semilattice, so that a state may
 * arrive late, twice or by a detour and all nodes still end with the same bytes.
 *
 *   base      the last full put or delete, by (version, author)
 *   touched   attribute → the newest value set since the base, and what was added to it
 *   revived   the newest patch that made a record where there was none
 *   times     the newest word on how long the row is good
 *
 * Each part is a register whose greatest stamp wins; whatever is not newer than the base is gone.
 * So the state is a function of the set of writes it has seen, whatever their order. A patch that
 * is newer than a delete it did not know of does not bring the record back, but is kept: had it
 * been a put that was unknown, the patch would belong to it. Counters belong to the value they add
 * to (the register of their attribute): when that is replaced they go with it.
 *
 * The body is the merged record. `merge-rows.ts` joins two states, `row-write.ts` makes local ones.
 */
import type { EpochMs, NodeId, RecordVersion } from '../base/brands.ts';
import { type JsonObject, parseObject } from './merge-record.ts';
import { isJsonType } from './record-json.ts';

/** Identifies a write and orders it among all others of a row. */
export interface Stamp {
  readonly version: RecordVersion;
  readonly author: NodeId;
}

/** Positive when `one` is the later. */
export const compareStamps = (one: Stamp, other: Stamp): number =>
  one.version - other.version || one.author - other.author;

/** Whether `one` is later than `other`; anything is later than nothing. */
export const isLater = (one: Stamp | undefined, other: Stamp | undefined): boolean =>
  one !== undefined && (other === undefined || compareStamps(one, other) > 0);

export const laterOf = <T extends Stamp>(
  one: T | undefined,
  other: T | undefined,
): T | undefined => (isLater(other, one) ? other : one);

export const isSameStamp = (one: Stamp | undefined, other: Stamp | undefined): boolean =>
  one === undefined || other === undefined ? one === other : compareStamps(one, other) === 0;

export interface RowBase extends Stamp {
  readonly kind: 'put' | 'delete';
}

/** When an entry is fresh and until when it may be used, with the write that said so. */
export interface RowTimes extends Stamp {
  readonly storedAt: EpochMs;
  readonly freshUntil: EpochMs;
  readonly staleWhileRevalidateUntil: EpochMs;
  readonly staleIfErrorUntil: EpochMs;
  readonly evictAt: EpochMs;
}

/** What one author has added so far, and when it last did. */
export interface Addition {
  readonly sum: number;
  readonly version: RecordVersion;
}

export interface Counter {
  /** The number that stood in the attribute's register; 0 for anything else. */
  readonly from: number;
  readonly sums: Readonly<Record<string, Addition>>;
}

export interface Touched {
  /** Its place among the attributes of the base; absent when the base has no such attribute. */
  readonly place?: number | undefined;
  /** The newest write of a value; absent when the attribute was only added to. */
  readonly set?: (Stamp & { readonly isRemoved?: boolean | undefined }) | undefined;
  /** The value, only where the record does not hold it: the row is deleted, or no JSON. */
  readonly value?: unknown;
  readonly counter?: Counter | undefined;
}

/** A body that is kept in a file: it is no record, and nothing is merged into it. */
export interface RowFile {
  readonly length: number;
  /** Hex digest (SHA-256) of the bytes. */
  readonly digest: string;
}

/** What came with the last full put beside its body. */
export interface RowContent {
  readonly status?: number | undefined;
  readonly contentType?: string | undefined;
  readonly lastModified?: EpochMs | undefined;
  readonly groups?: readonly string[] | undefined;
  readonly publication?: Uint8Array | undefined;
}

/** The bytes of a `Blob` attribute. */
export interface RowBlob extends RowFile {
  readonly contentType: string;
  readonly entityTag: string;
}

export interface RowState {
  readonly base?: RowBase | undefined;
  readonly revived?: Stamp | undefined;
  readonly times?: RowTimes | undefined;
  readonly content?: RowContent | undefined;
  /** The merged record, or the bytes of the base; absent when there is no record. */
  readonly body?: Uint8Array | RowFile | undefined;
  readonly touched?: Readonly<Record<string, Touched>> | undefined;
  readonly blobs?: Readonly<Record<string, RowBlob>> | undefined;
  /** The record in `body`, for who has parsed it already. */
  readonly record?: JsonObject | undefined;
}

/** The stamps of a state: what its digest is made of. */
export interface RowStamps extends Pick<RowState, 'base' | 'revived' | 'touched'> {
  readonly times?: Stamp | undefined;
}

/** Nothing has ever been written. */
export const NO_ROW: RowState = Object.freeze({});
const NOTHING_TOUCHED: Readonly<Record<string, Touched>> = Object.freeze({});
export const touchedOf = (state: Pick<RowState, 'touched'>): Readonly<Record<string, Touched>> =>
  state.touched ?? NOTHING_TOUCHED;

/** What stands under a name that may be one of `Object.prototype`. */
export const ownOf = <T>(from: Readonly<Record<string, T>> | undefined, name: string) =>
  from !== undefined && Object.hasOwn(from, name) ? from[name] : undefined;

/** Whether there is a record, or bytes, as far as this state knows. */
export const isPresent = ({ base, revived }: Pick<RowState, 'base' | 'revived'>): boolean =>
  base?.kind === 'put' || isLater(revived, base);

/** The record which attributes are merged into; `undefined` when there is none, or no JSON. */
export function recordOfRow(state: RowState): JsonObject | undefined {
  if (state.record !== undefined) return state.record;
  const { body, content } = state;
  if (!(body instanceof Uint8Array) || !isJsonType(content?.contentType ?? JSON_TYPE)) return;
  return parseObject(body);
}

const JSON_TYPE = 'application/json';

/** The register of an attribute: its newest value, else the base. */
export const registerOf = (state: RowState, name: string): Stamp | undefined =>
  ownOf(state.touched, name)?.set ?? state.base;

/** The newest stamp in a state: the version and author of its row. */
export function newestStamp(state: RowState): Stamp | undefined {
  const { base, revived, touched } = state;
  const timed = laterOf<Stamp>(base, state.times);
  // Of a row that was put and nothing else, as nearly all are, the base says it.
  if (timed === base && revived === undefined && touched === undefined) return base;
  let newest: Stamp | undefined = laterOf<Stamp>(timed, revived);
  if (state.touched !== undefined) {
    for (const { set, counter } of Object.values(state.touched)) {
      newest = laterOf<Stamp>(newest, set);
      for (const stamp of additionsOf(counter)) newest = laterOf(newest, stamp);
    }
  }
  return newest && { version: newest.version, author: newest.author };
}

/** The stamps of a counter's additions. */
export const additionsOf = (counter: Counter | undefined): Stamp[] =>
  Object.entries(counter?.sums ?? {}).map(([author, { version }]) => ({
    version,
    author: Number(author) as NodeId,
  }));

/** By author: sums of fractions depend on the order in which they are added up. */
export const inOrder = (sums: Counter['sums']): Counter['sums'] =>
  Object.fromEntries(Object.entries(sums).sort(([one], [other]) => Number(one) - Number(other)));

export const counterValue = ({ from, sums }: Counter): number =>
  Object.values(inOrder(sums)).reduce((total, { sum }) => total + sum, from);

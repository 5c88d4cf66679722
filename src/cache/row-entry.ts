/**
 * A row's state as its entry keeps it. A row that was put or deleted, and nothing else, keeps
 * nothing more: its base is the version and author of the entry. Of other rows the meta block says
 * what the record does not: `MergingMeta`.
 *
 * The version of an entry orders what *this* node shows of a row: it grows with every change of the
 * bytes, also where a late patch was merged that is older than what stood there. So it may be
 * greater than every stamp in the state, and then the meta block names the base.
 *
 * Entries of older programs (`fields` and `counters` in their meta) are rows that no other node has
 * seen: they count as put whole by their last write.
 */
import type { RecordVersion } from '../base/brands.ts';
import type { Entry, EntryMeta, MergingMeta, StoredBlob, TouchedMeta } from './entry.ts';
import { setOwn } from './merge-record.ts';
import {
  type Addition,
  type Counter,
  isSameStamp,
  NO_ROW,
  type RowBase,
  type RowBlob,
  type RowContent,
  type RowStamps,
  type RowState,
  type RowTimes,
  type Stamp,
  type Touched,
} from './row-state.ts';

const HTTP_OK = 200;
const NO_PLACE = -1;

/** The state which an entry stands for. It shares the bytes of the entry, which may be a view. */
export function stateOfEntry(entry: Entry): RowState {
  if (entry.kind !== 'record' && entry.kind !== 'tombstone') return NO_ROW;
  if (entry.isLocal === true) return NO_ROW;
  if (entry.kind === 'record' && entry.meta.merging === undefined) return putState(entry);
  const { times, ...shared } = stampsOfEntry(entry);
  return entry.kind === 'tombstone' ? shared : { ...shared, ...recordParts(entry, times) };
}

/** Of a row that was put and nothing else, as nearly all are: whole logs are sent by this way. */
function putState(entry: Entry): RowState {
  const { version, author, meta } = entry;
  const times = timesOf(entry, { version, author });
  const content = contentOf(entry);
  const base = { version, author, kind: 'put' } as const;
  const body = bodyOf(entry);
  if (meta.blobs !== undefined) {
    const blobs = rowBlobs(meta.blobs);
    return content === undefined
      ? { base, times, body, blobs }
      : { base, times, content, body, blobs };
  }
  return content === undefined ? { base, times, body } : { base, times, content, body };
}

/** The stamps of that state alone. */
export function stampsOfEntry({ kind, version, author, meta }: EntryStamps): RowStamps {
  const { merging } = meta;
  const isDelete = kind === 'tombstone';
  const base = merging === undefined ? ownBase({ version, author }, isDelete) : baseOf(merging);
  const revived = stampOf(merging?.revived);
  const touched = merging?.touched && touchedOfMeta(merging.touched);
  const times = isDelete ? undefined : (stampOf(merging?.times) ?? base);
  return {
    ...(base && { base }),
    ...(revived && { revived }),
    ...(touched && { touched }),
    ...(times && { times: { version: times.version, author: times.author } }),
  };
}

type EntryStamps = Pick<Entry, 'kind' | 'version' | 'author' | 'meta'>;

const ownBase = ({ version, author }: Stamp, isDelete: boolean): RowBase => ({
  ...{ version, author },
  kind: isDelete ? 'delete' : 'put',
});

function baseOf({ base }: MergingMeta): RowBase | undefined {
  if (base === undefined || base === null) return undefined;
  const [version, author, isDelete] = base;
  return { version, author, kind: isDelete === 1 ? 'delete' : 'put' };
}

const stampOf = (packed: MergingMeta['revived']): Stamp | undefined =>
  packed && { version: packed[0], author: packed[1] };

function recordParts(entry: Entry, timed: Stamp | undefined): Partial<RowState> {
  const { meta } = entry;
  const content = contentOf(entry);
  return {
    ...(timed && { times: timesOf(entry, timed) }),
    ...(content && { content }),
    body: bodyOf(entry),
    ...(meta.blobs && { blobs: rowBlobs(meta.blobs) }),
  };
}

/** Not spread together: every row that is sent or merged comes by here. */
function timesOf(entry: Entry, { version, author }: Stamp): RowTimes {
  const { storedAt, freshUntil, staleWhileRevalidateUntil, staleIfErrorUntil, evictAt } = entry;
  return {
    version,
    author,
    storedAt,
    freshUntil,
    staleWhileRevalidateUntil,
    staleIfErrorUntil,
    evictAt,
  };
}

function contentOf({ status, meta }: Entry): RowContent | undefined {
  const { contentType, lastModified, groups, publication } = meta;
  const isOk = status === HTTP_OK;
  const isPlain = lastModified === undefined && groups === undefined && publication === undefined;
  if (isOk && isPlain) return contentType === undefined ? undefined : { contentType };
  return {
    ...(!isOk && { status }),
    ...(contentType !== undefined && { contentType }),
    ...(lastModified !== undefined && { lastModified }),
    ...(groups !== undefined && { groups }),
    ...(publication !== undefined && { publication }),
  };
}

function bodyOf(entry: Entry): RowState['body'] {
  const { storedBody } = entry;
  if (storedBody === undefined) return entry.body;
  return { length: storedBody.length, digest: storedBody.digest };
}

function rowBlobs(blobs: Readonly<Record<string, StoredBlob>>): Record<string, RowBlob> {
  const found: Record<string, RowBlob> = {};
  for (const [name, { contentType, entityTag, body }] of Object.entries(blobs)) {
    setOwn(found, name, { contentType, entityTag, length: body.length, digest: body.digest });
  }
  return found;
}

/** What the meta block has to say of a state, beside an entry of that version and author. */
export function mergingMeta(state: RowState, entry: Stamp): EntryMeta['merging'] {
  const { base, revived, times, touched } = state;
  const isOwnBase = base !== undefined && isSameStamp(base, entry);
  const isTimedElsewhere = times !== undefined && !isSameStamp(times, base);
  if (isOwnBase && !isTimedElsewhere && !revived && !touched) return undefined;
  return {
    base: base ? [base.version, base.author, base.kind === 'delete' ? 1 : 0] : null,
    ...(revived && { revived: [revived.version, revived.author] as const }),
    ...(isTimedElsewhere && { times: [times.version, times.author] as const }),
    ...(touched && { touched: touchedMeta(touched) }),
  };
}

function touchedMeta(touched: Readonly<Record<string, Touched>>): Record<string, TouchedMeta> {
  const packed: Record<string, TouchedMeta> = {};
  for (const [name, { place = NO_PLACE, set, counter, ...rest }] of Object.entries(touched)) {
    const register = set ? [set.version, set.author, set.isRemoved === true ? 1 : 0] : [];
    const added = counter && [counter.from, ...Object.entries(counter.sums).map(packAddition)];
    const value = 'value' in rest ? [rest.value] : [];
    setOwn(packed, name, [place, register, added ?? null, ...value] as unknown as TouchedMeta);
  }
  return packed;
}

const packAddition = ([author, { sum, version }]: [string, Addition]) =>
  [Number(author), sum, version] as const;

function touchedOfMeta(packed: NonNullable<MergingMeta['touched']>): Record<string, Touched> {
  const touched: Record<string, Touched> = {};
  for (const [name, [place, register, added, ...value]] of Object.entries(packed)) {
    const [version, author, isRemoved] = register;
    const isSet = version !== undefined && author !== undefined;
    const one: Touched = {
      ...(place !== NO_PLACE && { place }),
      ...(isSet && { set: { version, author, ...(isRemoved === 1 && { isRemoved: true }) } }),
      ...(added !== null && { counter: counterOf(added) }),
      ...(value.length > 0 && { value: value[0] }),
    };
    setOwn(touched, name, one);
  }
  return touched;
}

function counterOf(packed: NonNullable<TouchedMeta[2]>): Counter {
  const [from, ...additions] = packed;
  const sums: Record<string, Addition> = {};
  for (const [author, sum, version] of additions) sums[String(author)] = { sum, version };
  return { from, sums };
}

/** The version of an entry that is to show a state after an entry of version `last`. */
export const shownVersion = (newest: Stamp, last: RecordVersion | undefined): RecordVersion =>
  last === undefined || newest.version > last ? newest.version : ((last + 1) as RecordVersion);

/**
 * Local writes as states of a row: what a put, a patch and a delete make of the state that stands
 * there. The stamp of a write is later than everything in that state.
 */
import { type JsonObject, setOwn, summand } from './merge-record.ts';
import { assemble, attributeValue, baseOrder } from './row-shape.ts';
import {
  type Counter,
  isPresent,
  ownOf,
  type RowBlob,
  type RowContent,
  type RowFile,
  type RowState,
  type RowTimes,
  recordOfRow,
  type Stamp,
  type Touched,
  touchedOf,
} from './row-state.ts';

export type NewTimes = Omit<RowTimes, keyof Stamp>;

export interface RowPut {
  readonly body: Uint8Array | RowFile;
  readonly content?: RowContent | undefined;
  readonly times: NewTimes;
  readonly blobs?: Readonly<Record<string, RowBlob>> | undefined;
}

/** A full put replaces all that was known. */
export const putRow = ({ version, author }: Stamp, put: RowPut): RowState => ({
  base: { version, author, kind: 'put' },
  times: { version, author, ...put.times },
  ...(put.content !== undefined && { content: put.content }),
  body: put.body,
  ...(put.blobs !== undefined && { blobs: put.blobs }),
});

export const deleteRow = ({ version, author }: Stamp): RowState => ({
  base: { version, author, kind: 'delete' },
});

export interface RowPatch {
  /** Attribute → its new value; `undefined` removes it. */
  readonly set: JsonObject;
  /** Attribute → what is added to it. */
  readonly added: Readonly<Record<string, number>>;
  readonly times?: NewTimes | undefined;
  /** All blobs that the patched record refers to. */
  readonly blobs?: Readonly<Record<string, RowBlob>> | undefined;
}

/**
 * Whether a patch makes a new record of a row by reviving it, so that patches which did the same on
 * other nodes are merged with it. Otherwise what waits there would come back with it: then a new
 * record is a put.
 */
export const canRevive = (state: RowState): boolean =>
  state.base?.kind !== 'put' && state.touched === undefined;

/** Patches the record, or makes one where there is none (see `canRevive`). */
export function patchRow(state: RowState, stamp: Stamp, patch: RowPatch): RowState {
  const { version, author } = stamp;
  const touched: Record<string, Touched> = {};
  for (const [name, one] of Object.entries(touchedOf(state))) setOwn(touched, name, one);
  const order = baseOrder(state);
  const touch = (name: string, with_: Pick<Touched, 'set' | 'counter'>): void => {
    const place = order.indexOf(name);
    setOwn(touched, name, { ...(place >= 0 && { place }), ...with_ });
  };
  for (const [name, value] of Object.entries(patch.set)) {
    touch(name, { set: { version, author, ...(value === undefined && { isRemoved: true }) } });
  }
  for (const [name, amount] of Object.entries(patch.added)) {
    const set = ownOf(state.touched, name)?.set;
    touch(name, { ...(set && { set }), counter: addedTo(state, stamp, name, amount) });
  }
  const record = recordOfRow(state) ?? {};
  return assemble({
    state: {
      ...state,
      ...(!isPresent(state) && { revived: { version, author } }),
      ...(patch.times !== undefined && { times: { version, author, ...patch.times } }),
      blobs: patch.blobs,
    },
    touched: Object.fromEntries(Object.entries(touched).sort(byName)),
    order,
    untouched: (name) => ownOf(record, name),
    value: (name) =>
      Object.hasOwn(patch.set, name)
        ? patch.set[name]
        : attributeValue(ownOf(touched, name)?.counter === undefined ? state : { touched }, name),
  });
}

const byName = ([one]: readonly [string, unknown], [other]: readonly [string, unknown]): number =>
  one < other ? -1 : 1;

function addedTo(state: RowState, { version, author }: Stamp, name: string, amount: number) {
  const known = ownOf(state.touched, name)?.counter;
  const from = known?.from ?? summand(attributeValue(state, name));
  const sum = (known?.sums[String(author)]?.sum ?? 0) + amount;
  const counter: Counter = { from, sums: { ...known?.sums, [String(author)]: { sum, version } } };
  return counter;
}

/**
 * Joins two states of one row: commutative, associative and idempotent, so that links between
 * replicas need only be at-least-once. See `row-state.ts` for what a state is made of.
 *
 * The state with the later base is `own`; of the other, the `guest`, only what is newer than that
 * base counts. A state which brings nothing is told by `isCovered`: then `mergeRows` returns the
 * first one itself.
 */
import { setOwn } from './merge-record.ts';
import { assemble, attributeValue, baseOrder } from './row-shape.ts';
import {
  type Addition,
  type Counter,
  inOrder,
  isLater,
  isPresent,
  isSameStamp,
  laterOf,
  NO_ROW,
  ownOf,
  type RowBlob,
  type RowState,
  recordOfRow,
  registerOf,
  type Stamp,
  type Touched,
  touchedOf,
} from './row-state.ts';

/** The join of two states of one row; `one` itself when `other` brings nothing. */
export function mergeRows(one: RowState, other: RowState): RowState {
  if (isCovered(one, other)) return one;
  if (isCovered(other, one)) return other;
  const [own, guest] = isLater(other.base, one.base) ? [other, one] : [one, other];
  const { base } = own;
  const touched: Record<string, Touched> = {};
  const sources = new Map<string, RowState>();
  const order = baseOrder(own);
  for (const name of namesOf(own, guest)) {
    const joined = joinTouched(own, guest, name, order);
    if (joined === undefined) continue;
    setOwn(touched, name, joined.touched);
    sources.set(name, joined.source);
  }
  const revived = laterOf(own.revived, guest.revived);
  const times = laterOf(own.times, guest.times);
  const kept: RowState = {
    ...(base !== undefined && { base }),
    ...(isLater(revived, base) && { revived }),
    ...(isTimely(times, own) && { times }),
    ...(base?.kind === 'put' && { content: own.content, body: own.body }),
    ...(base?.kind === 'put' && own.record !== undefined && { record: own.record }),
  };
  const record = recordOfRow(own) ?? {};
  const merged = assemble({
    state: kept,
    touched,
    order,
    untouched: (name) => ownOf(record, name),
    value: (name) => {
      const counter = ownOf(touched, name)?.counter;
      const holder = sources.get(name) ?? own;
      return counter === undefined
        ? attributeValue(holder, name)
        : attributeValue({ touched }, name);
    },
  });
  const blobs = joinBlobs(merged, own, sources);
  return blobs === undefined ? merged : { ...merged, blobs };
}

/** In one order, so that equal states are equal bytes. */
const namesOf = (own: RowState, guest: RowState): string[] =>
  [...new Set([...Object.keys(touchedOf(own)), ...Object.keys(touchedOf(guest))])].sort();

/** Whether everything `other` knows is known to `one`: merging it would change nothing. */
export function isCovered(one: RowState, other: RowState): boolean {
  const { base } = one;
  if (isLater(other.base, base)) return false;
  if (isLater(other.revived, laterOf<Stamp>(one.revived, base))) return false;
  if (isLater(other.times, laterOf<Stamp>(one.times, base))) return false;
  return Object.keys(touchedOf(other)).every((name) => isTouchCovered(one, other, name));
}

function isTouchCovered(one: RowState, other: RowState, name: string): boolean {
  const mine = registerOf(one, name);
  const theirs = registerOf(other, name);
  if (isLater(theirs, mine)) return false;
  if (!isSameStamp(theirs, mine)) return true;
  const sums = ownOf(one.touched, name)?.counter?.sums ?? {};
  const added = Object.entries(ownOf(other.touched, name)?.counter?.sums ?? {});
  return added.every(([author, addition]) => !isLaterSum(addition, sums[author]));
}

/**
 * An author gives each of its sums a later version. Two nodes that stamp anew what a clock put
 * right may give two of them the same one, in the same millisecond: then the greater counts.
 */
const isLaterSum = ({ version, sum }: Addition, known: Addition | undefined): boolean =>
  known === undefined || version > known.version || (version === known.version && sum > known.sum);

/** A delete has no times, unless a record was made anew since. */
const isTimely = (times: RowState['times'], own: RowState): boolean =>
  times !== undefined && (isSameStamp(times, own.base) || isLater(times, own.base));

interface JoinedTouch {
  readonly touched: Touched;
  /** The state that has the value. */
  readonly source: RowState;
}

function joinTouched(
  own: RowState,
  guest: RowState,
  name: string,
  order: readonly string[],
): JoinedTouch | undefined {
  const mine = ownOf(own.touched, name);
  const theirs = ownOf(guest.touched, name);
  const isTheirs = isLater(theirs?.set, laterOf<Stamp>(mine?.set, own.base));
  const set = isTheirs ? theirs?.set : mine?.set;
  const register = set ?? own.base;
  // Counters belong to the value they add to; those of another value are gone with it.
  const counter = joinCounters(
    isSameStamp(registerOf(own, name), register) ? mine?.counter : undefined,
    isSameStamp(registerOf(guest, name), register) ? theirs?.counter : undefined,
  );
  if (set === undefined && counter === undefined) return undefined;
  const place = mine?.place ?? placeIn(order, name);
  const touched = {
    ...(place !== undefined && { place }),
    ...(set !== undefined && { set }),
    ...(counter !== undefined && { counter }),
  };
  return { touched, source: isTheirs ? guest : own };
}

function placeIn(order: readonly string[], name: string): number | undefined {
  const place = order.indexOf(name);
  return place < 0 ? undefined : place;
}

function joinCounters(one: Counter | undefined, other: Counter | undefined): Counter | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  const sums: Record<string, Addition> = { ...one.sums };
  for (const [author, addition] of Object.entries(other.sums)) {
    if (isLaterSum(addition, sums[author])) sums[author] = addition;
  }
  return { from: one.from, sums: inOrder(sums) };
}

/** The bytes of `Blob` attributes go with the values that refer to them. */
function joinBlobs(
  merged: RowState,
  own: RowState,
  sources: ReadonlyMap<string, RowState>,
): RowState['blobs'] {
  if (!isPresent(merged) && merged.touched === undefined) return undefined;
  const found: Record<string, RowBlob> = {};
  const names = new Set(Object.keys(own.blobs ?? {}));
  for (const [name, source] of sources)
    if (ownOf(source.blobs, name) !== undefined) names.add(name);
  for (const name of names) {
    const blob = ownOf((sources.get(name) ?? own).blobs, name);
    if (blob !== undefined) setOwn(found, name, blob);
  }
  return Object.keys(found).length === 0 ? undefined : found;
}

/** The join of any number of states. */
export const mergeAll = (states: Iterable<RowState>): RowState => {
  let merged: RowState = NO_ROW;
  for (const state of states) merged = mergeRows(merged, state);
  return merged;
};

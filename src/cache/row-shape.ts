/**
 * The order of attributes in a merged record. It follows from the state alone, so that replicas
 * which took different ways to one state have the same bytes: the attributes of the base in the
 * order of the base, then those that are new since then, by name. Who removes an attribute of the
 * base notes its place, so that setting it again finds it.
 */
import { type JsonObject, setOwn } from './merge-record.ts';
import {
  counterValue,
  isPresent,
  ownOf,
  type RowState,
  recordOfRow,
  type Touched,
  touchedOf,
} from './row-state.ts';

/** The names of the base's attributes in their order; empty when the base is no JSON record. */
export function baseOrder(state: RowState): readonly string[] {
  if (state.base?.kind !== 'put') return [];
  const record = recordOfRow(state);
  if (record === undefined) return [];
  const touched = touchedOf(state);
  const placed = new Map<number, string>();
  for (const [name, { place }] of Object.entries(touched)) {
    if (place !== undefined) placed.set(place, name);
  }
  const order: string[] = [];
  const fill = () => {
    for (let name = placed.get(order.length); name !== undefined; ) {
      order.push(name);
      name = placed.get(order.length);
    }
  };
  fill();
  for (const name of Object.keys(record)) {
    if (Object.hasOwn(touched, name)) continue;
    order.push(name);
    fill();
  }
  return order;
}

/** What an attribute's register and counter come to; `undefined` when it was removed. */
export function attributeValue(state: RowState, name: string): unknown {
  const touched = ownOf(state.touched, name);
  if (touched?.counter !== undefined) return counterValue(touched.counter);
  if (touched?.set?.isRemoved === true) return undefined;
  const record = recordOfRow(state);
  if (record !== undefined) return ownOf(record, name);
  return touched?.value;
}

/** A state whose body is still to be made from its parts. */
export interface Parts {
  /** Everything but `touched`; `body` and `content` are those of the base. */
  readonly state: RowState;
  readonly touched: Readonly<Record<string, Touched>>;
  /** The base's attributes in their order, and the values of those nobody has touched. */
  readonly order: readonly string[];
  readonly untouched: (name: string) => unknown;
  readonly value: (name: string) => unknown;
}

/**
 * The state made of the parts, with its record in the one order; where there is no record to
 * merge into, the values wait beside it.
 */
export function assemble({ state, touched, order, untouched, value }: Parts): RowState {
  const names = Object.keys(touched);
  const isRecord = isPresent(state) && (state.base?.kind !== 'put' || holdsJson(state));
  if (!isRecord) return { ...state, ...some(withValues(touched, value)), record: undefined };
  if (names.length === 0 && state.body !== undefined) return { ...state, touched: undefined };
  const record: JsonObject = {};
  for (const name of order) {
    const found = Object.hasOwn(touched, name) ? value(name) : untouched(name);
    if (found !== undefined) setOwn(record, name, found);
  }
  const known = new Set(order);
  for (const name of names.filter((each) => !known.has(each)).sort()) {
    const found = value(name);
    if (found !== undefined) setOwn(record, name, found);
  }
  const body = Buffer.from(JSON.stringify(record));
  return { ...state, ...some(withoutValues(touched)), body, record };
}

const holdsJson = (state: RowState): boolean => recordOfRow(state) !== undefined;

const some = (touched: Record<string, Touched>): Pick<RowState, 'touched'> => ({
  touched: Object.keys(touched).length === 0 ? undefined : touched,
});

function withValues(
  touched: Readonly<Record<string, Touched>>,
  value: (name: string) => unknown,
): Record<string, Touched> {
  const kept: Record<string, Touched> = {};
  for (const [name, one] of Object.entries(touched)) {
    const found = one.counter === undefined ? value(name) : undefined;
    setOwn(kept, name, found === undefined ? bare(one) : { ...bare(one), value: found });
  }
  return kept;
}

function withoutValues(touched: Readonly<Record<string, Touched>>): Record<string, Touched> {
  const kept: Record<string, Touched> = {};
  for (const [name, one] of Object.entries(touched)) setOwn(kept, name, bare(one));
  return kept;
}

/** Absent parts are left out, so that equal states are equal objects. */
function bare({ place, set, counter }: Touched): Touched {
  return {
    ...(place !== undefined && { place }),
    ...(set !== undefined && { set }),
    ...(counter !== undefined && { counter }),
  };
}

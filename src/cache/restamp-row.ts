/**
 * Gives the parts of a row whose stamps are not to stay a later stamp, and leaves the others as
 * they are. A patch that was stamped by a clock which ran ahead so keeps company with what others
 * patched and added meanwhile; a full put or delete takes all with it that it had replaced.
 */
import { setOwn } from './merge-record.ts';
import {
  type Addition,
  additionsOf,
  type Counter,
  isPresent,
  type RowState,
  type Stamp,
  type Touched,
  touchedOf,
} from './row-state.ts';

type IsDue = (stamp: Stamp) => boolean;

/** `stamp` is later than every stamp of the row that is not due. */
export function restampRow(state: RowState, stamp: Stamp, isDue: IsDue): RowState {
  const { version, author } = stamp;
  const anew = { version, author };
  const { base, revived, times, touched, ...rest } = state;
  const timed = times && { times: isDue(times) ? { ...times, ...anew } : times };
  if (base !== undefined && isDue(base)) {
    const kind = isPresent(state) ? 'put' : 'delete';
    return kind === 'put'
      ? { ...rest, base: { ...anew, kind }, ...(times && { times: { ...times, ...anew } }) }
      : { base: { ...anew, kind } };
  }
  return {
    ...rest,
    ...(base && { base }),
    ...(revived && { revived: isDue(revived) ? anew : revived }),
    ...timed,
    ...(touched && { touched: restampTouched(touchedOf(state), anew, isDue) }),
  };
}

function restampTouched(
  touched: Readonly<Record<string, Touched>>,
  stamp: Stamp,
  isDue: IsDue,
): Record<string, Touched> {
  const found: Record<string, Touched> = {};
  for (const [name, { set, counter, ...rest }] of Object.entries(touched)) {
    setOwn(found, name, {
      ...rest,
      ...(set && { set: isDue(set) ? { ...set, ...stamp } : set }),
      ...(counter && { counter: restampCounter(counter, stamp, isDue) }),
    });
  }
  return found;
}

/** Each sum stays its author's: added up anew under another name it would count twice. */
function restampCounter(counter: Counter, { version }: Stamp, isDue: IsDue): Counter {
  const sums: Record<string, Addition> = { ...counter.sums };
  for (const { author, version: held } of additionsOf(counter)) {
    const addition = sums[author];
    if (addition === undefined || !isDue({ version: held, author })) continue;
    sums[author] = { ...addition, version };
  }
  return { ...counter, sums };
}

/** All stamps of a row. */
export function stampsOf({ base, revived, times, touched }: RowState): readonly Stamp[] {
  const found: (Stamp | undefined)[] = [base, revived, times];
  for (const { set, counter } of Object.values(touched ?? {})) {
    found.push(set, ...additionsOf(counter));
  }
  return found.filter((stamp) => stamp !== undefined);
}

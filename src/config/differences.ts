/**
 * What differs between two plain values, in words for a person: `freshness.default: 10000 → 20000`.
 * Places in files are no difference: a line that moved says the same as before.
 */

const PLACES: ReadonlySet<string> = new Set(['place', 'places']);
const SHOWN_CHARS_MAX = 60;

/** One text for equal values, whatever the order of their keys; maps and sets included. */
export function plainText(value: unknown): string {
  return JSON.stringify(plain(value)) ?? 'undefined';
}

function plain(value: unknown): unknown {
  if (value instanceof Map) return plain(Object.fromEntries(value));
  if (value instanceof Set) return [...value].sort();
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value)
    .filter(([key, each]) => !PLACES.has(key) && each !== undefined)
    .map(([key, each]) => [key, plain(each)] as const);
  return Object.fromEntries(entries.sort(([left], [right]) => (left < right ? -1 : 1)));
}

/** One line for each leaf that differs. Values are shown: not for what may hold secrets. */
export function differences(before: unknown, after: unknown): string[] {
  return differingPaths(before, after).map(
    ({ path, from, to }) => `${path}: ${shown(from)} → ${shown(to)}`,
  );
}

export interface Difference {
  readonly path: string;
  readonly from: unknown;
  readonly to: unknown;
}

export function differingPaths(before: unknown, after: unknown, path = ''): Difference[] {
  if (plainText(before) === plainText(after)) return [];
  if (!isTree(before) || !isTree(after)) return [{ path, from: before, to: after }];
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].flatMap((key) => {
    if (PLACES.has(key)) return [];
    return differingPaths(before[key], after[key], path === '' ? key : `${path}.${key}`);
  });
}

const isTree = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  !(value instanceof Map) &&
  !(value instanceof Set);

function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = plainText(value);
  return text.length <= SHOWN_CHARS_MAX ? text : `${text.slice(0, SHOWN_CHARS_MAX)}…`;
}

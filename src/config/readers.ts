/**
 * Readers of settings: each turns a written node into a typed value, or reports what was wanted
 * there and returns `undefined`. `shape` composes them and reports unknown keys with the nearest
 * known one.
 *
 * Written by hand instead of with a schema library: start-up has 500 ms in all, and the library
 * measured 60 ms and 12 MB before it had checked anything.
 */
import type { DurationMs } from '../base/brands.ts';
import { suggest } from '../schema/nearest.ts';
import type { ProblemList } from '../schema/problem.ts';
import { type SettingNode, shownOf } from './setting-node.ts';
import { parseCount, parseDuration, parseShare, parseSize } from './units.ts';

export type Reader<T> = (node: SettingNode, path: string, problems: ProblemList) => T | undefined;
export type ReadBy<R> = R extends Reader<infer T> ? T : never;
/** What `shape` yields: every key may be missing. */
export type Partly<S> = { readonly [K in keyof S]?: ReadBy<S[K]> };

/** Reports that the setting at `path` is not `wanted`. */
export function reject(
  node: SettingNode,
  path: string,
  wanted: string,
  problems: ProblemList,
): undefined {
  const written = node.kind === 'scalar' ? JSON.stringify(shownOf(node)) : `a ${node.kind}`;
  problems.add(node.place, `${path} is ${written.slice(0, 80)}`, { cure: `write ${wanted}` });
  return undefined;
}

/** A reader of scalars from a function that returns `undefined` for what it cannot read. */
export function scalar<T>(wanted: string, parse: (value: unknown) => T | undefined): Reader<T> {
  return (node, path, problems) => {
    const value = node.kind === 'scalar' ? parse(node.value) : undefined;
    return value === undefined ? reject(node, path, wanted, problems) : value;
  };
}

export const duration: Reader<DurationMs> = scalar(
  'a number with a unit: 250ms, 10s, 5m, 2h or 1d',
  parseDuration,
);
export const size: Reader<number> = scalar('a size such as 64KiB or 8MiB', parseSize);
export const share: Reader<number> = scalar('a percentage from 0% to 100%', parseShare);
export const count: Reader<number> = scalar('a whole number from 0', parseCount);
export const positive: Reader<number> = scalar('a whole number from 1', (value) => {
  const number = parseCount(value);
  return number === 0 ? undefined : number;
});
export const port: Reader<number> = scalar('a port from 0 to 65535', (value) => {
  const number = parseCount(value);
  return number !== undefined && number <= 65_535 ? number : undefined;
});
export const flag: Reader<boolean> = scalar('true or false', (value) => {
  if (value === 'true' || value === 'false') return value === 'true';
  return typeof value === 'boolean' ? value : undefined;
});
/** Text that `accepts` takes; a number is text too, as it was written (`007` stays `007`). */
export function textThat(wanted: string, accepts: (written: string) => boolean): Reader<string> {
  return (node, path, problems) => {
    const value = node.kind === 'scalar' ? node.value : undefined;
    const isNumber = node.kind === 'scalar' && typeof value === 'number';
    const written = isNumber ? (node.source ?? String(value)) : value;
    if (typeof written === 'string' && accepts(written)) return written;
    return reject(node, path, wanted, problems);
  };
}

/** Text on one line. */
export const text = textThat('text, in quotes', (written) => !/[\r\n\0]/.test(written));
export const nonEmpty = textThat('text that is not empty', (written) =>
  /^[^\r\n\0]+$/.test(written),
);

export function oneOf<const T extends string>(choice: readonly T[]): Reader<T> {
  return (node, path, problems) => {
    const value = node.kind === 'scalar' ? String(node.value) : undefined;
    const match = choice.find((each) => each === value);
    if (match !== undefined) return match;
    problems.add(node.place, `${path} cannot be ${JSON.stringify(shownOf(node)).slice(0, 80)}`, {
      cure: value === undefined ? `write one of ${choice.join(', ')}` : suggest(value, choice),
    });
    return undefined;
  };
}

/** A list, or one value standing for a list of one. */
export function listOf<T>(element: Reader<T>): Reader<readonly T[]> {
  return (node, path, problems) => {
    const items = node.kind === 'list' ? node.items : [node];
    const read = items.map((item, index) => element(item, `${path}[${index}]`, problems));
    const found = read.filter((each) => each !== undefined);
    return found.length === read.length ? found : undefined;
  };
}

/** A map with keys of the user's choice. `checkKey` returns what is wrong with a key. */
export function mapOf<T>(
  element: Reader<T>,
  checkKey: (key: string) => string | undefined = () => undefined,
): Reader<Readonly<Record<string, T>>> {
  return (node, path, problems) => {
    if (node.kind !== 'map') return reject(node, path, 'a map of names and values', problems);
    const found: Record<string, T> = Object.create(null);
    for (const [key, entry] of node.entries) {
      const wrong = checkKey(key);
      if (wrong !== undefined) problems.add(entry.key, `${path}.${key}: ${wrong}`);
      const value = element(entry.value, `${path}.${key}`, problems);
      if (value !== undefined) found[key] = value;
    }
    return found;
  };
}

/** A map with known keys, each with its own reader; an unknown key names the nearest. */
export function shape<S extends Readonly<Record<string, Reader<unknown>>>>(
  fields: S,
): Reader<Partly<S>> {
  return (node, path, problems) => {
    if (node.kind !== 'map') {
      const keys = Object.keys(fields).join(', ');
      return reject(node, path, `a map with keys among ${keys}`, problems);
    }
    const found: Record<string, unknown> = {};
    for (const [key, entry] of node.entries) {
      const reader = Object.hasOwn(fields, key) ? fields[key] : undefined;
      if (reader === undefined) unknownKey(key, path, fields, entry.key, problems);
      else {
        // A value that was refused is left out: spreading it over defaults must not erase them.
        const value = reader(entry.value, join(path, key), problems);
        if (value !== undefined) found[key] = value;
      }
    }
    return found as Partly<S>;
  };
}

/** A scalar stands for the map that has it as its `key`: `freshness: 60s` for `{default: 60s}`. */
export function shorthand<T>(key: string, whole: Reader<T>): Reader<T> {
  return (node, path, problems) => {
    if (node.kind !== 'scalar' || node.value === null) return whole(node, path, problems);
    const entries = new Map([[key, { key: node.place, value: node }]]);
    return whole({ kind: 'map', entries, place: node.place }, path, problems);
  };
}

function unknownKey(
  key: string,
  path: string,
  fields: Readonly<Record<string, unknown>>,
  place: SettingNode['place'],
  problems: ProblemList,
): void {
  problems.add(place, `unknown key ${join(path, key)}`, {
    cure: suggest(key, Object.keys(fields)),
  });
}

const join = (path: string, key: string): string => (path === '' ? key : `${path}.${key}`);

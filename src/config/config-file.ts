/**
 * `millrace.yaml`: a tree of keys, each of which must be a setting or a limit. An unknown key is an
 * error, since a misspelt one would otherwise be a default that nobody chose.
 */
import { suggest } from '../schema/nearest.ts';
import type { ProblemList } from '../schema/problem.ts';
import type { LimitName } from './limits.ts';
import { type Partly, type Reader, reject, shape } from './readers.ts';
import type { SettingNode } from './setting-node.ts';
import { LIMIT_NAMES, limitReader, SETTINGS, type SettingValues } from './settings.ts';
import type { Substitutes } from './substitute.ts';
import { readYaml } from './yaml-file.ts';

export interface ConfigFile {
  readonly values: SettingValues;
  readonly limits: Readonly<Partial<Record<LimitName, number>>>;
}

export interface ConfigFileContext {
  readonly file: string;
  readonly substitutes: Substitutes;
  readonly problems: ProblemList;
}

const READERS: Readonly<Record<string, Reader<unknown>>> = Object.fromEntries(
  Object.entries(SETTINGS).map(([key, setting]) => [key, setting.read]),
);
const KEYS = Object.keys(READERS);

/** `text` is `undefined` when there is no file, which is as good as an empty one. */
export function readConfigFile(text: string | undefined, context: ConfigFileContext): ConfigFile {
  const { file, substitutes, problems } = context;
  const node = text === undefined ? undefined : readYaml(text, file, substitutes, problems);
  const values: Record<string, unknown> = {};
  if (node === undefined) return { values, limits: {} };
  if (node.kind !== 'map') {
    reject(node, file, 'keys and values, such as threads: 2', problems);
    return { values, limits: {} };
  }
  const limits = node.entries.get('limits');
  readTree(node, '', values, problems);
  return { values, limits: limits === undefined ? {} : readLimits(limits.value, problems) };
}

/** Walks down to the keys that are settings; `prefix` is '' or ends in a dot. */
function readTree(
  node: Extract<SettingNode, { kind: 'map' }>,
  prefix: string,
  values: Record<string, unknown>,
  problems: ProblemList,
): void {
  for (const [name, entry] of node.entries) {
    const key = prefix + name;
    const reader = Object.hasOwn(READERS, key) ? READERS[key] : undefined;
    if (reader !== undefined) {
      const value = reader(entry.value, key, problems);
      if (value !== undefined) values[key] = value;
    } else if (key !== 'limits') {
      if (!KEYS.some((each) => each.startsWith(`${key}.`))) {
        const siblings = namesBelow(prefix);
        problems.add(entry.key, `unknown key ${key}`, { cure: suggest(name, siblings, prefix) });
      } else if (entry.value.kind === 'map') readTree(entry.value, `${key}.`, values, problems);
      else if (entry.value.kind !== 'scalar' || entry.value.value !== null) {
        const inside = namesBelow(`${key}.`).join(', ');
        reject(entry.value, key, `a map with keys among ${inside}`, problems);
      }
    }
  }
}

function namesBelow(prefix: string): readonly string[] {
  const below = KEYS.filter((key) => key.startsWith(prefix));
  const names = below.map((key) => key.slice(prefix.length).split('.')[0] ?? '');
  return [...new Set(prefix === '' ? [...names, 'limits'] : names)];
}

const LIMIT_READERS: Readonly<Record<string, Reader<number>>> = Object.fromEntries(
  LIMIT_NAMES.map((name) => [name, limitReader(name)]),
);
const readLimitMap: Reader<Partly<typeof LIMIT_READERS>> = shape(LIMIT_READERS);

function readLimits(node: SettingNode, problems: ProblemList): ConfigFile['limits'] {
  return readLimitMap(node, 'limits', problems) ?? {};
}

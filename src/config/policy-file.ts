/**
 * Cache policies as people write them (`cache-policies/NAME.yaml`, and the overrides of `@cache`) →
 * `PolicySettings`. A policy says only what differs: the rest is inherited, section by section and
 * key by key; `negative` and `rules` replace the whole map and list. A rule says what differs from
 * its policy for some pages.
 *
 * A scalar may stand for a section's main key (`freshness: 60s`), and two words of the field for
 * theirs: `staleWhileRevalidate: 10m`, `staleIfError: 1d`.
 */
import type { DurationMs } from '../base/brands.ts';
import { definePolicy } from '../cache/default-policy.ts';
import { WITHOUT_END } from '../cache/freshness.ts';
import type { PolicyRule, PolicySettings, SettingsOverride } from '../cache/policy.ts';
import type { SourcePlace } from '../schema/definition.ts';
import type { ProblemList } from '../schema/problem.ts';
import { LIMITS } from './limits.ts';
import {
  count,
  flag,
  listOf,
  mapOf,
  nonEmpty,
  oneOf,
  type Partly,
  positive,
  type Reader,
  reject,
  scalar,
  shape,
  share,
  shorthand,
  size,
  text,
} from './readers.ts';
import { nodeOf, type SettingNode } from './setting-node.ts';
import type { Substitutes } from './substitute.ts';
import { parseDuration } from './units.ts';
import { readYaml } from './yaml-file.ts';

/** `forever`: until evicted. */
const duration: Reader<DurationMs> = scalar(
  'a number with a unit (250ms, 10s, 5m, 2h, 1d) or forever',
  (value) => (value === 'forever' ? WITHOUT_END : parseDuration(value)),
);

const fieldName: Reader<string> = scalar('the name of a header field', (value) =>
  typeof value === 'string' && /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(value)
    ? value.toLowerCase()
    : undefined,
);

const method: Reader<string> = scalar('an HTTP method', (value) =>
  typeof value === 'string' && /^[A-Za-z]+$/.test(value) ? value.toUpperCase() : undefined,
);

/** A field value that cannot break out of its line. */
const fieldValue: Reader<string> = scalar('a header value, or "" for none', (value) =>
  typeof value === 'string' && /^[\x20-\x7e]*$/.test(value) ? value : undefined,
);

/** GraphQL names cannot begin with a digit, so `@cache(negative: {_404: "10s"})` is taken too. */
const statusKey = (key: string): string => key.replace(/^_/, '');

function wrongStatus(key: string): string | undefined {
  return /^_?([45]xx|[2-5]\d\d)$/.test(key) ? undefined : 'write a status such as 404, 4xx or 5xx';
}

const negativeMap: Reader<Readonly<Record<string, DurationMs>>> = (node, path, problems) => {
  const map = mapOf(duration, wrongStatus)(node, path, problems);
  if (map === undefined) return undefined;
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [statusKey(key), value]));
};

const staleSection = shape({ whileRevalidate: duration, ifError: duration });

const SECTIONS = {
  freshness: shorthand(
    'default',
    shape({
      default: duration,
      origin: oneOf(['respect', 'ignore', 'cap']),
      max: duration,
      heuristic: flag,
      jitter: share,
    }),
  ),
  stale: shorthand('whileRevalidate', staleSection),
  staleWhileRevalidate: duration,
  staleIfError: duration,
  negative: negativeMap,
  key: shape({
    method: listOf(method),
    query: shape({ ignore: listOf(nonEmpty), sort: flag }),
    headers: listOf(fieldName),
    cookies: listOf(nonEmpty),
    forward: oneOf(['listed', 'all']),
  }),
  vary: shape({ allow: listOf(fieldName), variantsMax: positive }),
  groups: shape({ from: listOf(fieldName), tables: flag }),
  store: shorthand(
    'enabled',
    shape({
      bodyMax: size,
      compress: listOf(oneOf(['br', 'gzip'])),
      minBytesToCompress: size,
      setCookie: oneOf(['refuse', 'keep']),
      enabled: flag,
    }),
  ),
  collapse: shape({ waitersMax: count, wait: duration, passFor: duration }),
  retention: shorthand('keepStale', shape({ keepStale: duration })),
  client: shorthand(
    'cacheControl',
    shape({
      cacheControl: fieldValue,
      cdnCacheControl: fieldValue,
      mayForceRevalidation: flag,
      signedUrls: flag,
    }),
  ),
} as const;

const readOverrides = shape(SECTIONS);

/** Of a path, `*` standing for any run of characters. */
const glob: Reader<string> = scalar('a path such as /account/* or *.css', (value) =>
  typeof value === 'string' && /^[/*][\x21-\x3e\x40-\x7e]*$/.test(value) && !value.includes('#')
    ? value
    : undefined,
);

const readRuleFields = shape({ ...SECTIONS, match: listOf(glob), pass: flag });

const rule: Reader<PolicyRule> = (node, path, problems) => {
  const written = readRuleFields(node, path, problems);
  if (written === undefined) return undefined;
  const { match, pass = false, ...sections } = written;
  const isWritten = node.kind === 'map' && node.entries.has('match');
  if (!isWritten) return reject(node, path, 'match: the paths which the rule is for', problems);
  if (match === undefined) return undefined;
  return { match, isPass: pass, override: overrideOf(sections) };
};

const rules: Reader<readonly PolicyRule[]> = (node, path, problems) => {
  const found = listOf(rule)(node, path, problems);
  if (found === undefined || found.length <= LIMITS.policyRulesMax) return found;
  return reject(node, path, `at most ${LIMITS.policyRulesMax} rules`, problems);
};

const readFile = shape({ ...SECTIONS, description: text, rules });

/** Reads a policy's YAML. What is wrong goes to `problems`; the sound rest is still returned. */
export function parsePolicy(
  source: { readonly name: string; readonly text: string; readonly file: string },
  base: PolicySettings,
  substitutes: Substitutes,
  problems: ProblemList,
): PolicySettings {
  const node = readYaml(source.text, source.file, substitutes, problems);
  const written = node === undefined ? {} : (readFile(node, '', problems) ?? {});
  return merge(base, written, source.name);
}

/** What `@cache(…)` says besides the policy's name, and where. */
export interface Overrides {
  readonly overrides: Readonly<Record<string, unknown>>;
  readonly place: SourcePlace;
  readonly places?: Readonly<Record<string, SourcePlace>> | undefined;
}

/** `base` under the inline overrides of a directive. */
export function applyOverrides(
  base: PolicySettings,
  { overrides, place, places }: Overrides,
  problems: ProblemList,
): PolicySettings {
  const entries = Object.entries(overrides).map(([name, value]) => {
    const at = places?.[name] ?? place;
    return [name, { key: at, value: nodeOf(value, at) }] as const;
  });
  const node: SettingNode = { kind: 'map', entries: new Map(entries), place };
  return merge(base, readOverrides(node, '', problems) ?? {}, base.name);
}

function merge(
  base: PolicySettings,
  written: Partly<typeof SECTIONS> & Pick<SettingsOverride, 'rules'>,
  name: string,
): PolicySettings {
  const { rules, ...sections } = written;
  const override = { ...overrideOf(sections), name, rules };
  return Object.freeze(definePolicy(override, { settings: base, hooks: {} }).settings);
}

function overrideOf(written: Partly<typeof SECTIONS>): SettingsOverride {
  const { staleWhileRevalidate, staleIfError, stale, ...sections } = written;
  return {
    ...sections,
    stale: {
      ...stale,
      ...(staleWhileRevalidate === undefined ? {} : { whileRevalidate: staleWhileRevalidate }),
      ...(staleIfError === undefined ? {} : { ifError: staleIfError }),
    },
  };
}

/**
 * What a reply's header fields say about it, parsed once: fields → `ReplyFacts`. Tolerant where RFC
 * 9110 and 9111 ask for it; what cannot be read is left out, except `Expires`, which then means
 * "already expired".
 */
import {
  type DurationMs,
  durationMs,
  type EntityTag,
  type EpochMs,
  entityTag,
} from '../base/brands.ts';
import { parseHttpDate } from '../base/http-date.ts';
import { parseResponseDirectives } from './directives.ts';
import { NEVER } from './entry.ts';
import type { ReplyFacts } from './ports.ts';

export interface ReplyTimes {
  readonly requestedAt: EpochMs;
  readonly receivedAt: EpochMs;
}

/** Which fields name groups, and how many of their names are kept. */
export interface GroupRules {
  readonly from: readonly string[];
  readonly max: number;
}

/** The facts of a reply over HTTP; `field` gives the lines of a name joined by commas. */
export function factsOfFields(
  status: number,
  field: (name: string) => string | undefined,
  times: ReplyTimes,
  groupRules: GroupRules,
): ReplyFacts {
  const expires = field('expires');
  const vary = field('vary');
  const groups = groupsOfFields(field, groupRules);
  return {
    status,
    ...times,
    directives: parseResponseDirectives(field('cache-control')),
    age: ageOf(field('age')),
    date: dateOf(field('date')),
    // [RFC9111 §5.3] An invalid date, "0" above all, means a time in the past.
    expires: expires === undefined ? undefined : (dateOf(expires) ?? NEVER),
    lastModified: dateOf(field('last-modified')),
    entityTag: parseEntityTag(field('etag')),
    vary: vary === undefined ? undefined : listOf(vary.toLowerCase()),
    groups: groups.length === 0 ? undefined : groups,
    contentType: field('content-type'),
  };
}

const dateOf = (field: string | undefined): EpochMs | undefined =>
  field === undefined ? undefined : parseHttpDate(field.trim());

/** The greatest age told apart; an older reply is stale under any lifetime [RFC9111 §1.2.2]. */
const AGE_SECONDS_MAX = 2 ** 31;

/** [RFC9111 §5.1] Non-negative whole seconds; of several values the first; else 0. */
function ageOf(field: string | undefined): DurationMs {
  const match = /^\s*(\d+)\s*(?:,|$)/.exec(field ?? '');
  return durationMs(match === null ? 0 : Math.min(Number(match[1]), AGE_SECONDS_MAX) * 1000);
}

const ENTITY_TAG = /^(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"$/;

/** [RFC9110 §8.8.3] */
export function parseEntityTag(field: string | undefined): EntityTag | undefined {
  const text = field?.trim();
  return text !== undefined && ENTITY_TAG.test(text) ? entityTag(text) : undefined;
}

const listOf = (value: string): string[] =>
  value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');

function groupsOfFields(
  field: (name: string) => string | undefined,
  { from, max }: GroupRules,
): readonly string[] {
  const groups: string[] = [];
  for (const name of from) {
    const value = field(name);
    if (value !== undefined) groups.push(...groupsOfField(name, value));
  }
  return [...new Set(groups)].slice(0, max);
}

/** `Cache-Groups` is a list of strings, tags go by commas, keys by spaces. */
function groupsOfField(name: string, value: string): readonly string[] {
  if (name === 'cache-groups') return parseCacheGroups(value);
  if (name === 'cache-tag') return listOf(value);
  return value.split(/\s+/).filter((key) => key !== '');
}

/** The strings of `Cache-Groups` [RFC9875 §2]; what else stands in the field is passed over. */
export function parseCacheGroups(value: string): readonly string[] {
  const quoted = value.matchAll(/"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"/g);
  return [...quoted].map((match) => (match[1] ?? '').replace(/\\(["\\])/g, '$1'));
}

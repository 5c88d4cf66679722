/**
 * What an origin's reply says about itself, parsed once: header fields → `ReplyFacts`, then what
 * the origin's code set on its context on top. Tolerant where RFC 9110 and 9111 ask for it; what
 * cannot be read is left out, except `Expires`, which then means "already expired".
 */
import {
  type DurationMs,
  durationMs,
  type EntityTag,
  type EpochMs,
  entityTag,
  epochMs,
} from '../base/brands.ts';
import {
  NO_RESPONSE_DIRECTIVES,
  parseResponseDirectives,
  type ResponseDirectives,
} from '../cache/directives.ts';
import { NEVER } from '../cache/entry.ts';
import type { ReplyFacts } from '../cache/ports.ts';
import { LIMITS } from '../config/limits.ts';
import type { GetContext, Instant } from './definition.ts';

export interface ReplyTimes {
  readonly requestedAt: EpochMs;
  readonly receivedAt: EpochMs;
}

type Fields = ReadonlyMap<string, string>;

/** The facts of a reply over HTTP. `groupsFrom`: the header fields that name groups. */
export function factsOfFields(
  status: number,
  fields: Fields,
  times: ReplyTimes,
  groupsFrom: readonly string[],
): ReplyFacts {
  const expires = fields.get('expires');
  const vary = fields.get('vary');
  const groups = groupsOfFields(fields, groupsFrom);
  return {
    status,
    ...times,
    directives: directivesOf(fields.get('cache-control')),
    age: ageOf(fields.get('age')),
    date: parseHttpDate(fields.get('date')),
    // [RFC9111 §5.3] An invalid date, "0" above all, means a time in the past.
    expires: expires === undefined ? undefined : (parseHttpDate(expires) ?? NEVER),
    lastModified: parseHttpDate(fields.get('last-modified')),
    entityTag: parseEntityTag(fields.get('etag')),
    vary: vary === undefined ? undefined : listOf(vary.toLowerCase()),
    groups: groups.length === 0 ? undefined : groups,
    contentType: fields.get('content-type'),
  };
}

/** The facts of a record that came without header fields. */
export const factsOfCode = (status: number, times: ReplyTimes): ReplyFacts => ({
  status,
  ...times,
  directives: NO_RESPONSE_DIRECTIVES,
  age: durationMs(0),
});

/** `facts` with what the origin's code said on its context, which beats the header fields. */
export function withContext(facts: ReplyFacts, context: GetContext): ReplyFacts {
  const lastModified = instantOf(context.lastModified);
  const freshUntil = instantOf(context.freshUntil);
  return {
    ...facts,
    ...(context.noStore
      ? { noStore: true, directives: { ...facts.directives, noStore: true } }
      : {}),
    ...(lastModified === undefined ? {} : { lastModified }),
    ...(freshUntil === undefined ? {} : { freshUntil }),
    ...(context.entityTag === undefined ? {} : { entityTag: quotedTag(context.entityTag) }),
    ...(context.groups === undefined ? {} : { groups: bounded(context.groups) }),
  };
}

function directivesOf(field: string | undefined): ResponseDirectives {
  return field === undefined ? NO_RESPONSE_DIRECTIVES : parseResponseDirectives(field);
}

/** [RFC9111 §5.1] Non-negative whole seconds; of several values the first; else 0. */
function ageOf(field: string | undefined): DurationMs {
  const match = /^\s*(\d{1,10})\s*(?:,|$)/.exec(field ?? '');
  return durationMs(match === null ? 0 : Number(match[1]) * 1000);
}

const IMF_FIXDATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;
const RFC850_DATE = /^[A-Z][a-z]{5,8}, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT$/;
const ASCTIME_DATE = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/;

/** One of the three forms of a date, or `undefined`. [RFC9110 §5.6.7] */
export function parseHttpDate(field: string | undefined): EpochMs | undefined {
  const text = field?.trim();
  if (text === undefined) return undefined;
  let at = Number.NaN;
  if (IMF_FIXDATE.test(text)) at = Date.parse(text);
  else if (RFC850_DATE.test(text)) at = Date.parse(text.replace(/-/g, ' '));
  else if (ASCTIME_DATE.test(text)) at = Date.parse(`${text} GMT`);
  return Number.isNaN(at) ? undefined : epochMs(at);
}

const ENTITY_TAG = /^(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"$/;

/** [RFC9110 §8.8.3] */
function parseEntityTag(field: string | undefined): EntityTag | undefined {
  const text = field?.trim();
  return text !== undefined && ENTITY_TAG.test(text) ? entityTag(text) : undefined;
}

/** A tag given by code, which may leave the quotes out. */
function quotedTag(tag: string): EntityTag {
  return parseEntityTag(tag) ?? entityTag(`"${tag.replace(/[^\x21\x23-\x7e]/g, '_')}"`);
}

const listOf = (value: string): string[] =>
  value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');

function groupsOfFields(fields: Fields, groupsFrom: readonly string[]): readonly string[] {
  const groups: string[] = [];
  for (const name of groupsFrom) {
    const value = fields.get(name);
    if (value !== undefined) groups.push(...groupsOfField(name, value));
  }
  return bounded(groups);
}

/** `Cache-Groups` is a list of strings [RFC9875 §2], tags go by commas, keys by spaces. */
function groupsOfField(name: string, value: string): readonly string[] {
  if (name === 'cache-groups') {
    const quoted = value.matchAll(/"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"/g);
    return [...quoted].map((match) => (match[1] ?? '').replace(/\\(["\\])/g, '$1'));
  }
  if (name === 'cache-tag') return listOf(value);
  return value.split(/\s+/).filter((key) => key !== '');
}

const bounded = (groups: readonly string[]): readonly string[] =>
  [...new Set(groups)].slice(0, LIMITS.groupsPerEntryMax);

/** An instant given by code; an unreadable one is left out. */
export function instantOf(instant: Instant | undefined): EpochMs | undefined {
  if (instant === undefined) return undefined;
  const at =
    typeof instant === 'number'
      ? instant
      : instant instanceof Date
        ? instant.getTime()
        : Date.parse(instant);
  return Number.isFinite(at) ? epochMs(at) : undefined;
}

/**
 * What an origin's code says about its reply, on top of what the header fields said
 * (`cache/reply-fields.ts`).
 */
import { durationMs, type EntityTag, type EpochMs, entityTag, epochMs } from '../base/brands.ts';
import { NO_RESPONSE_DIRECTIVES } from '../cache/directives.ts';
import type { ReplyFacts } from '../cache/ports.ts';
import { parseEntityTag, type ReplyTimes } from '../cache/reply-fields.ts';
import { LIMITS } from '../config/limits.ts';
import type { GetContext, Instant } from './definition.ts';

/** The facts of a record that came without header fields. */
export const factsOfCode = (status: number, times: ReplyTimes): ReplyFacts => ({
  status,
  ...times,
  directives: NO_RESPONSE_DIRECTIVES,
  age: durationMs(0),
});

/** `facts` with what the origin's code said on its context, which beats the header fields. */
export function withContext(facts: ReplyFacts, context: GetContext): ReplyFacts {
  if (saysNothing(context)) return facts;
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

const saysNothing = (context: GetContext): boolean =>
  !context.noStore &&
  context.lastModified === undefined &&
  context.freshUntil === undefined &&
  context.entityTag === undefined &&
  context.groups === undefined;

/** A tag given by code, which may leave the quotes out. */
function quotedTag(tag: string): EntityTag {
  return parseEntityTag(tag) ?? entityTag(`"${tag.replace(/[^\x21\x23-\x7e]/g, '_')}"`);
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

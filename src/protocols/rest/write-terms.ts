/**
 * What the fields of a request say of its write: preconditions, the record's own lifetime, and the
 * groups that it names.
 */
import type { DeltaSeconds, EntityTag } from '../../base/brands.ts';
import { NodeError } from '../../base/errors.ts';
import { parseHttpDate } from '../../base/http-date.ts';
import { parseRequestDirectives } from '../../cache/directives.ts';
import { parseCacheGroups } from '../../cache/reply-fields.ts';
import { LIMITS } from '../../config/limits.ts';
import type { WriteCondition } from '../../table/store-port.ts';
import { parseEntityTags } from '../http/conditional.ts';
import type { Exchange } from '../http/port.ts';
import { withStoredForms } from './representation.ts';

/** [RFC9110 §13.1] `If-Unmodified-Since` counts only without `If-Match`. */
export function preconditions(exchange: Exchange): WriteCondition {
  const { request } = exchange;
  const ifMatch = request.header('if-match');
  const ifNoneMatch = request.header('if-none-match');
  const since = request.header('if-unmodified-since');
  return {
    ...(ifMatch === undefined ? {} : { ifMatch: tags(ifMatch) }),
    ...(ifNoneMatch === undefined ? {} : { ifNoneMatch: tags(ifNoneMatch) }),
    ...(since === undefined || ifMatch !== undefined
      ? {}
      : { ifUnmodifiedSince: parseHttpDate(since) }),
  };
}

function tags(field: string): readonly EntityTag[] | '*' {
  const given = parseEntityTags(field);
  return given === '*' ? given : withStoredForms(given);
}

/** `Cache-Control: max-age` on a write sets the record's own lifetime. */
export function clientMaxAge(exchange: Exchange): DeltaSeconds | undefined {
  return parseRequestDirectives(exchange.request.header('cache-control'), undefined).maxAge;
}

/**
 * `Cache-Groups` on a write [RFC9875 §2]: what the record was made from. It is gone as soon as one
 * of the records named is another than it was then.
 */
export function namedGroups({ request }: Exchange): readonly string[] | undefined {
  const field = request.header('cache-groups');
  if (field === undefined) return undefined;
  const groups = [...new Set(parseCacheGroups(field))];
  if (groups.length <= LIMITS.groupsPerEntryMax) return groups.length === 0 ? undefined : groups;
  throw new NodeError(
    'USAGE',
    `Cache-Groups names ${groups.length} groups, a record may name ${LIMITS.groupsPerEntryMax}: ` +
      'name a table in place of its records',
    { blame: 'client' },
  );
}

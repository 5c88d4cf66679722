/** What the fields of a request say of its write: preconditions, and the record's own lifetime. */
import type { DeltaSeconds, EntityTag } from '../../base/brands.ts';
import { parseHttpDate } from '../../base/http-date.ts';
import { parseRequestDirectives } from '../../cache/directives.ts';
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

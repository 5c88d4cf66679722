/**
 * Looks at every field of a frame before anything is done with it: kinds, lengths, ranges. What is
 * not as it must be is refused as a whole, with the field's name. Fields nobody knows are left
 * alone, so that a newer node may say more. States of rows are looked at in `state-check.ts`.
 */
import { SHARED_FAILURES } from '../cache/peer-reply.ts';
import { BOUNDS } from './bounds.ts';
import {
  anyOf,
  bytes,
  digest,
  exactly,
  type FieldCheck,
  flag,
  id,
  instant,
  listOf,
  natural,
  optional,
  pairOf,
  shape,
  span,
  text,
  version,
} from './field-check.ts';
import type { Frame } from './frames.ts';
import { rowState } from './state-check.ts';

const NAME_MAX = BOUNDS.nameChars;
const name = text(NAME_MAX);
const author = version;
const cursors = listOf(pairOf(author, natural), BOUNDS.cursors);
const origin = shape({ author, sequence: natural, after: natural });

const table = shape({
  ...{ name, database: name, mode: exactly('rows', 'invalidations') },
  sharesEntries: optional(flag),
});
const rule = shape({
  database: optional(name),
  table: optional(name),
  prefix: optional(text(BOUNDS.keyChars)),
  direction: exactly('both', 'send', 'receive', 'none'),
});
const member = shape({
  name,
  urls: listOf(text(BOUNDS.urlChars), BOUNDS.urls),
  version,
  isLeft: flag,
});
const members = listOf(member, BOUNDS.names);

const scope = anyOf(
  shape({ kind: exactly('key'), id }),
  shape({ kind: exactly('prefix'), prefix: text(BOUNDS.keyChars) }),
  shape({ kind: exactly('group'), group: text(BOUNDS.keyChars) }),
  shape({ kind: exactly('table') }),
);
const invalidation = shape({
  kind: exactly('invalidation'),
  ...{ table: name, scope, soft: flag, reason: exactly('purge', 'invalidate'), version, origin },
});
const row = shape({
  ...{ kind: exactly('row'), table: name, id, state: rowState, origin },
  isJoined: optional(flag),
});
const message = shape({
  kind: exactly('message'),
  ...{ table: name, id, body: bytes, contentType: optional(name) },
  ...{ publication: optional(bytes), version, origin },
});
/** What is wrong with an entry of a cache. */
export const entryProblem: FieldCheck = shape({
  ...{
    status: natural,
    contentType: name,
    tag: text(BOUNDS.reasonChars),
    body: bytes,
    staleForbidden: flag,
  },
  ...{ originTag: optional(text(BOUNDS.reasonChars)), lastModified: optional(instant) },
  groups: optional(listOf(text(BOUNDS.keyChars), BOUNDS.groups)),
  ...{ sinceMs: span, initialAgeMs: span, freshMs: span, evictMs: span },
  ...{ whileRevalidateMs: span, ifErrorMs: span },
});
const cached = shape({ kind: exactly('entry'), table: name, id, entry: entryProblem, origin });
const item = anyOf(row, invalidation, cached, message);

/** What is wrong with news of the backbone. */
export const newsProblem: FieldCheck = shape({
  ...{ author, name, since: natural, after: natural, upTo: natural, at: instant },
  ...{ isOmitted: flag, items: listOf(item, BOUNDS.items) },
});

const line = text(BOUNDS.fieldLinesChars);
const page = shape({
  ...{ target: text(BOUNDS.keyChars), host: name, scheme: exactly('http', 'https') },
  ...{ address: name, fields: listOf(line, BOUNDS.fieldLines) },
});

const reply = anyOf(
  shape({ kind: exactly('none', 'unshared') }),
  shape({
    ...{ kind: exactly('failed'), code: exactly(...SHARED_FAILURES) },
    ...{ message: text(BOUNDS.reasonChars), status: optional(natural) },
  }),
  shape({
    ...{ kind: exactly('found', 'absent', 'unchanged'), status: natural },
    ...{ body: optional(bytes), tag: optional(name), contentType: optional(name) },
    ...{ originTag: optional(text(BOUNDS.reasonChars)), lastModified: optional(instant) },
    groups: optional(listOf(text(BOUNDS.keyChars), BOUNDS.groups)),
    fieldLines: optional(line),
    ...{ ageMs: span, freshMs: span, whileRevalidateMs: span, ifErrorMs: span },
    staleForbidden: flag,
  }),
);

const stream = natural;
const request = natural;
const pulse = { nonce: natural, now: instant };

const CHECKS: Readonly<Record<Frame['kind'], FieldCheck>> = {
  hello: shape({
    ...{ protocol: natural, oldest: natural, cluster: name, name, author, instance: name },
    now: instant,
    tables: listOf(table, BOUNDS.tables),
    selection: listOf(rule, BOUNDS.rules),
    ...{ members, joining: flag, published: optional(natural) },
  }),
  bye: shape({ code: name, message: text(BOUNDS.reasonChars), retryMs: span }),
  open: shape({
    ...{ stream, scope: exactly('all', 'own'), cursors, window: natural },
    direct: listOf(author, BOUNDS.cursors),
  }),
  begin: shape({
    ...{ stream, mode: exactly('stream', 'snapshot', 'later'), last: natural },
    ...{ covers: cursors, retryMs: span },
  }),
  batch: shape({
    ...{ stream, ordinal: natural, cursors, at: natural, last: natural },
    items: listOf(item, BOUNDS.items),
    ...{ now: optional(instant), obeyed: optional(cursors) },
  }),
  ack: shape({ stream, ordinal: natural, cursor: natural }),
  restart: shape({ stream }),
  pageRequest: shape({
    ...{ request, table: name, after: optional(id) },
    buckets: optional(listOf(natural, BOUNDS.buckets)),
  }),
  page: shape({
    ...{ request, next: optional(id) },
    rows: listOf(shape({ id, state: rowState }), BOUNDS.rows),
  }),
  digestRequest: shape({ request, table: optional(name) }),
  digests: shape({
    request,
    tables: listOf(digestOf, BOUNDS.tables),
    buckets: optional(bytes),
  }),
  bodyRequest: shape({ request, table: name, id, digest, from: natural }),
  body: shape({ request, bytes }),
  purge: shape({ item: invalidation }),
  purged: shape({ author, sequence: natural }),
  members: shape({ members }),
  miss: shape({
    ...{ request, table: name, id, page: optional(page), tag: optional(name), isPeek: flag },
    without: listOf(name, BOUNDS.names),
    ...{ known: cursors, ahead: cursors },
  }),
  missHeard: shape({ request }),
  record: shape({ request, reply }),
  heartbeat: shape({
    ...{ ...pulse, last: natural, cursor: natural, joining: flag },
    published: optional(natural),
  }),
  echo: shape(pulse),
};

function digestOf(value: unknown): string | undefined {
  if (!Array.isArray(value) || value.length !== 3) return 'is no digest of a table';
  return name(value[0]) ?? natural(value[1]) ?? natural(value[2]);
}

export type CheckedFrame =
  | { readonly kind: 'valid'; readonly frame: Frame }
  | { readonly kind: 'invalid'; readonly problem: string };

export function checkFrame(value: unknown): CheckedFrame {
  const kind = (value as { readonly kind?: unknown } | null | undefined)?.kind;
  if (typeof kind !== 'string' || !Object.hasOwn(CHECKS, kind)) {
    return { kind: 'invalid', problem: 'a frame is of no kind that is known' };
  }
  const problem = CHECKS[kind as Frame['kind']](value);
  if (problem !== undefined) return { kind: 'invalid', problem: `a ${kind}: ${problem}` };
  return { kind: 'valid', frame: value as Frame };
}

/**
 * `GET` and `HEAD` of one record: asks the table and prints the result. This is the hot path: on a
 * hit everything from here to the socket is synchronous, and the stored bytes go out as they are.
 */
import { refusalOf } from '../../access/authorise.ts';
import type { DeltaSeconds, EntityTag, RecordId, RecordVersion } from '../../base/brands.ts';
import { NodeError } from '../../base/errors.ts';
import { formatHttpDate } from '../../base/http-date.ts';
import type { StopSignal } from '../../base/stop.ts';
import { parseRequestDirectives, type RequestDirectives } from '../../cache/directives.ts';
import type { Entry, StoredBlob } from '../../cache/entry.ts';
import { isOwnOnly, REPLICATE_FROM } from '../../cache/peer-reply.ts';
import type { ReadRequest, ReadResult, Served } from '../../cache/read-request.ts';
import { holdsRecord } from '../../cache/record-json.ts';
import { barsBytes } from '../../table/bytes-draft.ts';
import type { RowView } from '../../table/query/row-view.ts';
import { formatCacheGroups, NO_RECORD, recordGroup } from '../../table/record-groups.ts';
import { recordIdFromUrl } from '../../table/record-key.ts';
import { formatCacheStatus } from '../http/cache-status.ts';
import { notModified } from '../http/conditional.ts';
import { codingFor } from '../http/encodings.ts';
import type { Exchange } from '../http/port.ts';
import { problemStatus, replyProblem } from '../http/problem.ts';
import { noSniff } from '../http/security-headers.ts';
import { blobPart } from './blob-attributes.ts';
import { type DerivedAnswer, NOT_MODIFIED, replyDerived } from './derived-part.ts';
import { JSON_FORMAT } from './formats/json.ts';
import {
  contentTypeOf,
  JSON_OFFER,
  negotiate,
  notAcceptable,
  type Offer,
} from './formats/negotiate.ts';
import { type Projection, recordTarget } from './projection.ts';
import { blobEntry, isStreamed, type SentBytes, sendEntryBytes } from './read-bytes.ts';
import { absentRecord, replyPart, replyUnseen, seenEntry } from './read-limited.ts';
import { representationTag } from './representation.ts';
import { namesGroups, type RestCall, refuse, seenParts } from './rest-call.ts';

/** A read on behalf of an exchange. The signal is made only if somebody waits. */
class RecordRead implements ReadRequest {
  readonly id: RecordId;
  readonly variant = '';
  readonly directives: RequestDirectives;
  readonly mayForce: boolean;
  readonly #call: RestCall;

  constructor(id: RecordId, directives: RequestDirectives, mayForce: boolean, call: RestCall) {
    this.id = id;
    this.directives = directives;
    this.mayForce = mayForce;
    this.#call = call;
  }

  get signal(): StopSignal {
    return this.#call.exchange.signal;
  }

  get isOwnOnly(): boolean {
    return isOwnOnly(this.#call.exchange.request.header(REPLICATE_FROM));
  }

  get requestId(): string | undefined {
    return this.#call.exchange.request.fetchId;
  }

  get source(): string {
    const { principal, exchange } = this.#call;
    return 'name' in principal ? `user ${principal.name}` : exchange.request.remoteAddress;
  }
}

/** `view`: what of the table is seen; absent where that is all of it. */
export function readRecord(call: RestCall, view?: RowView): void | Promise<void> {
  const { exchange, resource, principal } = call;
  const startedAt = resource.monotonic();
  const { request } = exchange;
  const { table } = resource;
  const offer = negotiate(exchange);
  const target = recordTarget(call);
  const { key } = target;
  let { part } = target;
  // Bytes have the one type in which they came, so what they are decides whether it will do.
  const isRecord = part === undefined && barsBytes(table.definition) !== undefined;
  if (offer === undefined && isRecord) throw notAcceptable();
  if (part !== undefined) {
    const views = seenParts(call, { select: part.select, filter: undefined, sort: [] });
    if (views === undefined) return;
    part = { ...part, views };
  }
  const id = recordIdFromUrl(table.definition, key);
  if (view?.coversKey(id) === false) {
    return refuse(exchange, table.definition, 'read', refusalOf(principal));
  }
  const directives = parseRequestDirectives(
    request.header('cache-control'),
    request.header('pragma'),
  );
  const mayForce =
    principal.kind !== 'anonymous' || table.policy.settings.client.mayForceRevalidation;
  return table.read(new RecordRead(id, directives, mayForce, call), (result) =>
    answer(call, result, startedAt, { offer, part, view }),
  );
}

/** What is to be answered with. */
interface Wanted {
  readonly offer: Offer | undefined;
  readonly part: Projection | undefined;
  readonly view: RowView | undefined;
}

function answer(
  call: RestCall,
  result: ReadResult,
  startedAt: number,
  { offer, part, view }: Wanted,
): Promise<void> | undefined {
  const { exchange, resource } = call;
  const cacheStatus = formatCacheStatus(result.cacheStatus);
  let status: number;
  let bytes = 0;
  let sending: Promise<void> | undefined;
  let served: string = result.kind;
  switch (result.kind) {
    case 'found': {
      served = result.served;
      const seen = view && seenEntry(call, view, result.entry, part);
      if (seen?.kind === 'nothing') {
        status = 404;
        served = 'absent';
        replyUnseen(call);
        break;
      }
      const blob = blobPart(call, result.entry, part);
      if (blob !== undefined || (part === undefined && isStreamed(exchange, result.entry))) {
        const streamed = sendStored(call, result, cacheStatus, blob);
        ({ status, bytes } = streamed);
        sending = streamed.sent;
        break;
      }
      if (offer === undefined && (part !== undefined || holdsRecord(result.entry))) {
        status = 406;
        replyProblem(exchange, notAcceptable(), problemHeaders(cacheStatus, undefined));
        break;
      }
      const answering = { cacheStatus, offer: offer ?? JSON_OFFER, part };
      const sent =
        seen?.kind === 'part'
          ? replyPart(call, result.entry, seen.json, answering)
          : replyFound(call, result, answering);
      status = sent === NOT_MODIFIED ? 304 : 200;
      bytes = Math.max(0, sent);
      break;
    }
    case 'absent':
      status = result.status === 410 && view === undefined ? 410 : 404;
      if (view === undefined) replyAbsent(call, cacheStatus, result.age, status);
      else replyUnseen(call);
      break;
    case 'refused':
      status = 504;
      replyProblem(exchange, notCached(), problemHeaders(cacheStatus, undefined));
      break;
    case 'failed':
      status = problemStatus(result.error.code);
      replyProblem(exchange, result.error, problemHeaders(cacheStatus, undefined));
      break;
  }
  const { method, path } = exchange.request;
  resource.meter.answered(method, status, served, startedAt, bytes);
  if (resource.onVerdict !== undefined) {
    const durationMs = resource.monotonic() - startedAt;
    resource.onVerdict({ method, path, status, cacheStatus, durationMs });
  }
  return sending;
}

/** What the representation says of itself; the entry itself for the form in which it is stored. */
type Form = Pick<Entry, 'entityTag' | 'contentType'>;

/** What is stored as another type than JSON is served as it came, whatever was asked for. */
function formOf(offer: Offer, entry: Entry, part: Projection | undefined): Form {
  const isStored = offer.format === JSON_FORMAT || entry.contentType !== 'application/json';
  if (part === undefined && isStored) return entry;
  const suffix = `${part?.tagSuffix ?? ''}${offer.format.tagSuffix}`;
  const entityTag = representationTag(entry.entityTag, suffix);
  return { entityTag, contentType: contentTypeOf(offer) };
}

function bodyOf(
  call: RestCall,
  offer: Offer,
  form: Form,
  entry: Entry,
  part: Projection | undefined,
): Uint8Array {
  if (form === entry) return entry.body;
  const { table } = call.resource;
  const { definition } = table;
  const json = part === undefined ? entry.body : table.part(entry, part.select, part.views);
  return offer.format.encodeRecord(json, {
    definition,
    columns: part?.select.selections.map((selection) => selection.name),
  });
}

function sendStored(
  call: RestCall,
  result: Found,
  cacheStatus: string,
  blob: StoredBlob | undefined,
): SentBytes {
  const sent = blob === undefined ? result.entry : blobEntry(result.entry, blob);
  const [, , ...headers] = foundHeaders(call, result, cacheStatus, sent);
  if (blob !== undefined) headers.push(...RANGES);
  return sendEntryBytes(call.exchange, call.resource.bodies, sent, headers);
}

/** Of bytes that a client or an origin made. */
const RANGES = ['accept-ranges', 'bytes', ...noSniff];

type Found = Extract<ReadResult, { kind: 'found' }>;

/** Answers 200 and yields the bytes of the body, or answers 304 and yields `NOT_MODIFIED`. */
function replyFound(
  call: RestCall,
  result: Found,
  { cacheStatus, offer, part }: DerivedAnswer,
): number {
  const { exchange } = call;
  const { entry } = result;
  if (part?.isDerived === true) {
    return replyDerived(call, entry, { cacheStatus, offer, part });
  }
  const form = formOf(offer, entry, part);
  if (isNotModified(exchange, entry, form.entityTag)) {
    exchange.reply(304, foundHeaders(call, result, cacheStatus, form));
    return NOT_MODIFIED;
  }
  if (form === entry) return replyStored(call, result, cacheStatus);
  const body = bodyOf(call, offer, form, entry, part);
  exchange.reply(200, foundHeaders(call, result, cacheStatus, form), body);
  return body.length;
}

/** The stored bytes; compressed when they are kept so, and the client takes them so. */
function replyStored(call: RestCall, result: Found, cacheStatus: string): number {
  const { exchange, resource } = call;
  const { entry } = result;
  const { body, contentType } = entry;
  const coding = codingFor(resource.encodings, exchange, contentType, body.length);
  if (coding === undefined || resource.encodings === undefined) {
    exchange.reply(200, foundHeaders(call, result, cacheStatus, entry), body);
    return body.length;
  }
  const form = { contentType, entityTag: representationTag(entry.entityTag, `+${coding}`) };
  if (isNotModified(exchange, entry, form.entityTag)) {
    exchange.reply(304, foundHeaders(call, result, cacheStatus, form));
    return NOT_MODIFIED;
  }
  return resource.encodings.bodies.withBody(entry, coding, (encoded) => {
    const isKept = encoded !== undefined && encoded.length < body.length;
    const headers = foundHeaders(call, result, cacheStatus, isKept ? form : entry);
    exchange.reply(
      200,
      isKept ? [...headers, 'content-encoding', coding] : headers,
      isKept ? encoded : body,
    );
    return isKept ? encoded.length : body.length;
  });
}

/** [RFC9110 §13.1.2, §13.1.3] */
function isNotModified(exchange: Exchange, entry: Entry, tag: EntityTag): boolean {
  const ifNoneMatch = exchange.request.header('if-none-match');
  const ifModifiedSince = exchange.request.header('if-modified-since');
  if (ifNoneMatch === undefined && ifModifiedSince === undefined) return false;
  return notModified({ ifNoneMatch, ifModifiedSince }, tag, entry.lastModified);
}

const SERVER_TIMING: Readonly<Record<Served, string>> = {
  fresh: 'cache;desc=fresh',
  stale: 'cache;desc=stale',
  validated: 'cache;desc=validated',
  fetched: 'cache;desc=fetched',
};

function foundHeaders(
  call: RestCall,
  result: Found,
  cacheStatus: string,
  form: Form,
): readonly string[] {
  const { entry } = result;
  const { headers } = call.resource;
  const anonymous = call.principal.kind === 'anonymous';
  const list = [
    'content-type',
    form.contentType,
    'etag',
    form.entityTag,
    'last-modified',
    formatHttpDate(entry.lastModified),
    'age',
    String(result.age),
    'cache-status',
    cacheStatus,
    'cache-control',
    anonymous ? headers.publicCacheControl : headers.privateCacheControl,
    'vary',
    anonymous ? headers.publicVary : headers.privateVary,
    'server-timing',
    SERVER_TIMING[result.served],
  ];
  if (!holdsRecord(entry)) list.push(...RANGES);
  if (headers.cdnCacheControl !== '') list.push('cdn-cache-control', headers.cdnCacheControl);
  if (namesGroups(call)) list.push('cache-groups', groupsOf(call, entry.id, entry.version));
  return list;
}

const problemHeaders = (cacheStatus: string, age: DeltaSeconds | undefined): readonly string[] =>
  age === undefined
    ? ['cache-status', cacheStatus]
    : ['cache-status', cacheStatus, 'age', String(age)];

function groupsOf(call: RestCall, id: RecordId, version: RecordVersion): string {
  return formatCacheGroups([recordGroup(call.resource.table.definition.typeName, id, version)]);
}

/** A page that says "not found" is to be told when the record appears. */
function replyAbsent(call: RestCall, cacheStatus: string, age: DeltaSeconds, status: number): void {
  const headers = [...problemHeaders(cacheStatus, age)];
  if (namesGroups(call)) {
    const id = recordIdFromUrl(call.resource.table.definition, recordTarget(call).key);
    headers.push('cache-groups', groupsOf(call, id, NO_RECORD));
  }
  replyProblem(call.exchange, absentRecord(call, status), headers, status);
}

function notCached(): NodeError {
  return new NodeError(
    'NOT_CACHED',
    'the request said only-if-cached, and nothing stored here may answer it',
    { blame: 'client' },
  );
}

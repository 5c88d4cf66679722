/**
 * From whatever a kind's `get` returned (a record, a fetch `Response`, a reply over HTTP, nothing,
 * or "not modified") to the one `OriginReply` the read path understands.
 */
import { must } from '../base/assert.ts';
import { parseHttpDate } from '../base/http-date.ts';
import type { OriginReply, ReplyFacts } from '../cache/ports.ts';
import { isJsonType } from '../cache/record-json.ts';
import { factsOfFields, type ReplyTimes } from '../cache/reply-fields.ts';
import { LIMITS } from '../config/limits.ts';
import { type GetContext, type GetResult, isNotModified, type JsonRecord } from './definition.ts';
import { originError, statusError } from './failures.ts';
import { ownBytes, type RecordPlace, recordOfBytes, recordOfObject } from './record-bytes.ts';
import { factsOfCode, withContext } from './reply-facts.ts';
import { isOriginResponse, type OriginResponse, originResponse } from './response.ts';

export interface ReplyRules {
  /** Header fields that name groups, lower case. */
  readonly groupsFrom: readonly string[];
  readonly bodyMax: number;
}

/** Throws a `NodeError` of blame `origin` for a status or body that is no answer. */
export async function replyOf(
  result: GetResult,
  context: GetContext,
  place: RecordPlace,
  times: ReplyTimes,
  rules: ReplyRules,
): Promise<OriginReply> {
  if (isNotModified(result)) return confirmed(factsOfCode(304, times), context, place);
  if (result === undefined || result === null) return absent(factsOfCode(404, times), context);
  if (isOriginResponse(result)) return ofResponse(result, context, place, times, rules);
  if (isFetchResponse(result)) {
    const response = await readFetchResponse(result, place.origin, rules.bodyMax);
    return ofResponse(response, context, place, times, rules);
  }
  const body = recordOfObject(result, place);
  return { kind: 'found', body, facts: withContext(factsOfCode(200, times), context) };
}

const absent = (facts: ReplyFacts, context: GetContext): OriginReply => ({
  kind: 'absent',
  facts: withContext(facts, context),
});

/** A confirmation of nothing would leave the read path without a record. */
function confirmed(facts: ReplyFacts, context: GetContext, place: RecordPlace): OriginReply {
  if (context.replacing === undefined) {
    const message = `origin ${place.origin} answered "not modified" to an unconditional request`;
    throw originError('ORIGIN_BODY_INVALID', message, { details: { origin: place.origin } });
  }
  return { kind: 'notModified', facts: withContext(facts, context) };
}

function ofResponse(
  response: OriginResponse,
  context: GetContext,
  place: RecordPlace,
  times: ReplyTimes,
  rules: ReplyRules,
): OriginReply {
  const { status, headers } = response;
  const facts = factsOfFields(status, (name) => headers.get(name), times, {
    from: rules.groupsFrom,
    max: LIMITS.groupsPerEntryMax,
  });
  if (status === 304) return confirmed(facts, context, place);
  if (status === 404 || status === 410) return absent(facts, context);
  if (status === 204) return absent({ ...facts, status: 404 }, context);
  // 206 would be a part taken for the whole, 202 a promise taken for a record.
  if (![200, 201, 203].includes(status)) {
    const wait = retryAfterMs(headers.get('retry-after'), times);
    throw statusError(place.origin, status, wait, `for ${JSON.stringify(place.id)}`);
  }
  const { body, contentType } = contentOf(response, facts, place);
  const found = { ...facts, status: 200, contentType };
  return { kind: 'found', body, facts: withContext(found, context) };
}

/**
 * Bytes as they came where the table has nothing to ask of them. Elsewhere only a record will do,
 * whatever its type is said to be: an error page in its place must not be cached.
 */
function contentOf(response: OriginResponse, { contentType }: ReplyFacts, place: RecordPlace) {
  const isJson = contentType === undefined || isJsonType(contentType);
  if (place.takesBytes === true && !isJson) return { body: ownBytes(response.body), contentType };
  const body = recordOfBytes(response.body, place);
  return { body, contentType: isJson ? contentType : undefined };
}

/** Seconds or a date. [RFC9110 §10.2.3] */
export function retryAfterMs(field: string | undefined, times: ReplyTimes): number | undefined {
  if (field === undefined) return undefined;
  if (/^\d{1,9}$/.test(field.trim())) return Number(field) * 1000;
  const at = parseHttpDate(field.trim());
  return at === undefined ? undefined : Math.max(0, at - times.receivedAt);
}

const isFetchResponse = (value: Response | JsonRecord): value is Response =>
  typeof value.status === 'number' &&
  typeof value.arrayBuffer === 'function' &&
  typeof value.headers === 'object';

/** Reads a fetch `Response` up to `bodyMax`; fetch itself has already decompressed it. */
async function readFetchResponse(
  response: Response,
  origin: string,
  bodyMax: number,
): Promise<OriginResponse> {
  const headers = new Map(response.headers);
  if (response.body === null) return originResponse(response.status, headers, new Uint8Array());
  const reader = response.body.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const chunk = must(part.value, 'chunk');
    size += chunk.byteLength;
    if (size > bodyMax) {
      void reader.cancel().catch(() => undefined);
      const message = `origin ${origin} sent more than ${bodyMax} bytes (bodyMax)`;
      throw originError('ORIGIN_BODY_TOO_LARGE', message, { details: { origin, limit: bodyMax } });
    }
    chunks.push(chunk);
  }
  return originResponse(response.status, headers, Buffer.concat(chunks, size));
}

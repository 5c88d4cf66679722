/**
 * From a PUBLISH (or a will) to a write: with retain a record, without a message. A table without
 * attributes keeps the payload as it came; others take records only. The outcome is a reason code,
 * since that is all a publisher is told.
 */
import type { DeltaSeconds, EpochMs, RecordId, TableName } from '../../base/brands.ts';
import { asNodeError, NodeError } from '../../base/errors.ts';
import { LIMITS } from '../../config/limits.ts';
import type { TableDefinition } from '../../schema/definition.ts';
import { barsBytes } from '../../table/bytes-draft.ts';
import { guardedDelete, guardedPut, type WriteGuard } from '../../table/guarded-write.ts';
import type { JsonRecord } from '../../table/record-draft.ts';
import type { Table } from '../../table/table.ts';
import { checkJsonStructure } from '../http/json-structure.ts';
import { type Guest, mayNot } from './access.ts';
import { spokenIn } from './code-message.ts';
import type { CodeTopic } from './code-topic.ts';
import { formatNamed } from './payload-format.ts';
import { type MessageProperties, packPublication, type QoS } from './publication.ts';
import { REASON, REASONS, type Reason } from './reasons.ts';
import type { Topics } from './topics.ts';

export interface PublishRequest {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly expirySeconds: number | undefined;
  readonly properties: MessageProperties;
}

export interface Publisher {
  readonly guest: Guest;
  readonly sessionKey: string;
  /** Says it to a stream which the publisher follows; false: it follows none there. */
  readonly sayToCode?: ((topic: string, message: unknown) => boolean) | undefined;
}

export interface PublishOutcome {
  readonly reason: Reason;
  /** For the client of 5.0; '' when it was published. */
  readonly text: string;
  /** The limit that refused it. */
  readonly limit?: string | undefined;
}

export type TableNamed = (name: TableName) => Table | undefined;

export interface PublishParts {
  readonly topics: Topics;
  readonly tableNamed: TableNamed;
  readonly now: () => EpochMs;
}

export async function publish(
  parts: PublishParts,
  publisher: Publisher,
  request: PublishRequest,
): Promise<PublishOutcome> {
  // The server's own [MQTT5 §4.7.2]; the reason code says it all.
  if (request.topic.startsWith('$')) return { reason: REASON.topicNameInvalid, text: '' };
  const code = publisher.guest.codeAt(request.topic);
  const byCode = code && publishToCode(code, publisher, request);
  if (byCode !== undefined) return byCode;
  const located = parts.topics.locate(request.topic);
  const table = located && parts.tableNamed(located.table.name);
  if (located === undefined || table === undefined) {
    const text = `no table takes the topic ${JSON.stringify(request.topic)}`;
    return { reason: REASON.topicNameInvalid, text };
  }
  const { guest } = publisher;
  if (!request.retain && !guest.may('publish', located.table, located.id)) {
    return { reason: REASON.notAuthorized, text: mayNot(guest, 'publish', request.topic) };
  }
  try {
    const properties = propertiesKept(table, request);
    const publication = publicationOf(parts, publisher, { ...request, properties });
    await write({ table, id: located.id, guard: guest.guard(located.table) }, request, publication);
    return { reason: REASON.success, text: '' };
  } catch (error) {
    return outcomeOf(asNodeError(error));
  }
}

/** `undefined`: the class leaves it to the table of its path. */
function publishToCode(
  code: CodeTopic,
  { sayToCode }: Publisher,
  { topic, payload, retain, properties: { contentType } }: PublishRequest,
): Promise<PublishOutcome> | PublishOutcome | undefined {
  const stored = payload.length === 0 ? 'delete' : 'put';
  const verb = retain ? stored : 'message';
  const isTaken = code.takes.has(verb);
  const otherwise = code.isOverTable ? undefined : NOT_TAKEN;
  if (!isTaken && (retain || !code.hears)) return otherwise;
  try {
    const message = spokenIn(payload, contentType);
    if (!isTaken) return sayToCode?.(topic, message) === true ? PUBLISHED : otherwise;
    return code.publish(verb, message).then(
      () => PUBLISHED,
      (error) => outcomeOf(asNodeError(error)),
    );
  } catch (error) {
    return outcomeOf(asNodeError(error));
  }
}

const PUBLISHED: PublishOutcome = { reason: REASON.success, text: '' };
const NOT_TAKEN: PublishOutcome = {
  reason: REASON.topicNameInvalid,
  text: 'the class at this topic takes no such message: it has no method for it',
};

/** What a publisher is told of an error. */
export function outcomeOf({ code, message, details: { limit } }: NodeError): PublishOutcome {
  const named = typeof limit === 'string' ? limit : undefined;
  return { reason: REASONS[code], text: message, limit: named };
}

/** A record is kept and told as JSON, in whatever format it came. */
function propertiesKept(table: Table, { retain, properties }: PublishRequest): MessageProperties {
  const isDecoded = retain && !keepsBytes(table) && formatNamed(properties.contentType);
  if (!isDecoded) return properties;
  return { ...properties, contentType: undefined, payloadFormatIndicator: undefined };
}

function publicationOf(
  { now }: PublishParts,
  { sessionKey }: Publisher,
  { qos, properties, expirySeconds }: PublishRequest,
): Uint8Array {
  const expiresAt =
    expirySeconds === undefined ? undefined : ((now() + expirySeconds * 1000) as EpochMs);
  return packPublication({ qos, publisher: sessionKey, properties, expiresAt });
}

interface Target {
  readonly table: Table;
  readonly id: RecordId;
  readonly guard: WriteGuard | undefined;
}

async function write(
  { table, id, guard }: Target,
  { payload, retain, properties, expirySeconds }: PublishRequest,
  publication: Uint8Array,
): Promise<void> {
  // The packet's bytes are a piece of the socket's buffer.
  const body = new Uint8Array(payload);
  const { contentType } = properties;
  if (!retain) {
    await table.publish(id, body, { contentType, publication });
    return;
  }
  const options = { publication, maxAge: expirySeconds as DeltaSeconds | undefined };
  if (body.length === 0) {
    if (guard === undefined) await table.delete(id, { publication });
    else await guardedDelete(table, guard, id, { publication });
  } else if (keepsBytes(table)) {
    if (guard !== undefined) guard.putBytes(id, (await table.held(id))?.row);
    await table.putBytes(id, { body, contentType: contentType ?? typeOf(body) }, options);
  } else {
    const record = recordOf(body, table, contentType);
    if (guard === undefined) await table.put(id, record, options);
    else await guardedPut(table, guard, id, record, options);
  }
}

/** Whether the table's records are what was published, byte for byte. */
const keepsBytes = (table: Table): boolean =>
  table.definition.attributes.every(({ primaryKey }) => primaryKey) &&
  !table.writesThrough &&
  barsBytes(table.definition) === undefined;

const decoder = new TextDecoder('utf-8', { fatal: true });

function recordOf(
  body: Uint8Array,
  { definition }: Table,
  contentType: string | undefined,
): JsonRecord {
  const format = formatNamed(contentType);
  const record = format === undefined ? jsonOf(body, definition) : format.decode(body);
  if (typeof record !== 'object' || record === null || Array.isArray(record)) {
    const text = `${definition.typeName} takes records: the payload is no object`;
    throw new NodeError('RECORD_INVALID', text, { blame: 'client' });
  }
  return record as JsonRecord;
}

function jsonOf(body: Uint8Array, { typeName }: TableDefinition): unknown {
  checkJsonStructure(body, { depthMax: LIMITS.jsonDepthMax, keysMax: LIMITS.jsonKeysMax });
  try {
    return JSON.parse(decoder.decode(body));
  } catch (cause) {
    const text = `${typeName} takes records: the payload is no JSON; Content Type names no other`;
    throw new NodeError('BODY_MALFORMED', text, { blame: 'client', cause });
  }
}

/** The media type of a payload whose publisher did not say. */
function typeOf(body: Uint8Array): string {
  let text: string;
  try {
    text = decoder.decode(body);
  } catch {
    return 'application/octet-stream';
  }
  const isObject = /^\s*[[{]/.test(text);
  if (!isObject) return 'text/plain; charset=utf-8';
  try {
    JSON.parse(text);
    return 'application/json';
  } catch {
    return 'text/plain; charset=utf-8';
  }
}

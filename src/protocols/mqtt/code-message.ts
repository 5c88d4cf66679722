/**
 * What application code yields, as messages of MQTT, and what a client publishes, as code sees it.
 * A change (`{ type, id, value }`, as `tables.X.subscribe()` yields them) is its value at the topic
 * of its record; anything else is a payload as it is: bytes and texts as they are, values as JSON
 * or in the format which the client asked for.
 */
import type { EpochMs, RecordVersion } from '../../base/brands.ts';
import { LIMITS } from '../../config/limits.ts';
import { checkJsonStructure } from '../http/json-structure.ts';
import { Message } from './message.ts';
import { formatNamed, type PayloadFormat } from './payload-format.ts';
import { packPublication } from './publication.ts';
import { MQTT_SESSIONS } from './session-table.ts';
import type { Subscription } from './subscription-tree.ts';

/** A payload and where it goes; `undefined` for what MQTT has no word for. */
export interface Yielded {
  readonly topic: string;
  readonly value: unknown;
  readonly isRetained: boolean;
}

const TOLD: ReadonlySet<unknown> = new Set(['put', 'patch', 'delete', 'message', 'enter', 'leave']);
const UNTOLD: ReadonlySet<unknown> = new Set(['reset', 'invalidate']);
const GONE: ReadonlySet<unknown> = new Set(['delete', 'leave']);

const isWild = (filter: string): boolean => /[+#]/.test(filter);

/** `path`: of the class. Under a wildcard what names no record goes to the class's own topic. */
export function yieldedAs(
  item: unknown,
  { filter }: Subscription,
  path: string,
): Yielded | undefined {
  const change = changeOf(item);
  if (change === undefined) {
    return { topic: isWild(filter) ? path : filter, value: item, isRetained: false };
  }
  if (UNTOLD.has(change.type)) return undefined;
  const { id, type, retained } = change;
  const own = id === undefined || id === null ? path : `${path}/${String(id)}`;
  return {
    topic: isWild(filter) ? own : filter,
    value: GONE.has(type) ? undefined : change.value,
    isRetained: retained === true,
  };
}

interface ChangeLike {
  readonly type: unknown;
  readonly id?: unknown;
  readonly value?: unknown;
  readonly retained?: unknown;
}

function changeOf(item: unknown): ChangeLike | undefined {
  if (typeof item !== 'object' || item === null || !('type' in item)) return undefined;
  if (!('id' in item || 'value' in item)) return undefined;
  return TOLD.has(item.type) || UNTOLD.has(item.type) ? item : undefined;
}

/** A topic that a PUBLISH may name [MQTT5-3.3.2-2, 4.7.3]. */
export const isTopicName = (topic: string): boolean =>
  topic !== '' && !/[+#\0]/.test(topic) && Buffer.byteLength(topic) <= TOPIC_BYTES_MAX;
const TOPIC_BYTES_MAX = 65_535;

export function codeMessage(
  { topic, value }: Yielded,
  { qos }: Subscription,
  { format, now }: { readonly format: PayloadFormat | undefined; readonly now: EpochMs },
): Message {
  const isValue =
    value !== undefined && typeof value !== 'string' && !(value instanceof Uint8Array);
  const formed = isValue ? format : undefined;
  const properties = formed === undefined ? {} : { contentType: formed.contentType };
  return new Message({
    ...{ topic, table: MQTT_SESSIONS, id: topic, at: now, sequence: undefined },
    payload: payloadOf(value, formed),
    ...{ isState: false, isOfCode: true, version: 0 as RecordVersion },
    publication: packPublication({ qos, publisher: '', properties }),
  });
}

function payloadOf(value: unknown, format: PayloadFormat | undefined): Uint8Array {
  if (value === undefined) return new Uint8Array(0);
  if (value instanceof Uint8Array) return value;
  if (typeof value === 'string') return Buffer.from(value);
  return format?.encode(value) ?? Buffer.from(JSON.stringify(value) ?? '');
}

const decoder = new TextDecoder('utf-8', { fatal: true });

/** A value where the payload is one, its text or its bytes where it is not. */
export function spokenIn(payload: Uint8Array, contentType: string | undefined): unknown {
  const format = formatNamed(contentType);
  if (format !== undefined) return format.decode(payload);
  let text: string;
  try {
    text = decoder.decode(payload);
  } catch {
    // The packet's bytes are a piece of the socket's buffer.
    return Buffer.from(payload);
  }
  checkJsonStructure(payload, { depthMax: LIMITS.jsonDepthMax, keysMax: LIMITS.jsonKeysMax });
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

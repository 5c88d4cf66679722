/**
 * `publish`: a message to those who follow a record, or with `retain` the record itself, as MQTT
 * has it. `broadcast`: a message to whoever is connected over WebSocket or an event stream, which
 * belongs to no record and is kept nowhere.
 */
import type { RecordId } from '../../base/brands.ts';
import { NodeError } from '../../base/errors.ts';
import { LIMITS } from '../../config/limits.ts';
import type { JsonRecord } from '../../table/record-draft.ts';
import { recordIdFrom } from '../../table/record-key.ts';
import type { Table } from '../../table/table.ts';
import { type Arguments, type Operation, tableArgument, usage } from '../operation.ts';
import { whomArgument } from './list-live.ts';

export const publish: Operation = {
  name: 'publish',
  takes: ['table', 'id', 'value', 'retain', 'content_type'],
  async run(args, context) {
    const { retain = false } = args;
    if (typeof retain !== 'boolean') throw usage('retain: true or false');
    const table = tableArgument(args, context);
    if (table.definition.pages !== undefined) {
      throw usage(`table: ${table.definition.typeName} holds pages, which nobody publishes to`);
    }
    const { id, value } = args;
    if (typeof id !== 'string' && typeof id !== 'number') throw usage('id: the key of a record');
    const key = recordIdFrom(table.definition, id);
    if (retain) return stored(table, key, value);
    const bytes = bytesOf(args);
    const outcome = await table.publish(key, bytes, { contentType: contentTypeOf(args) });
    return { published: true, ...('sequence' in outcome ? { sequence: outcome.sequence } : {}) };
  },
};

async function stored(table: Table, key: RecordId, value: unknown): Promise<object> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw usage('value: with retain: true it is the record, an object');
  }
  const outcome = await table.put(key, value as JsonRecord);
  if (outcome.kind !== 'stored') throw new NodeError('STORE_FAILED', `not stored: ${outcome.kind}`);
  return { published: true, created: outcome.created, sequence: outcome.sequence };
}

function contentTypeOf({ content_type: type = 'application/json' }: Arguments): string {
  if (typeof type === 'string' && /^[\x20-\x7e]{1,256}$/.test(type)) return type;
  throw usage('content_type: a media type');
}

/** As JSON, unless it is a text of another type. */
function bytesOf(args: Arguments): Uint8Array {
  const { value } = args;
  if (value === undefined) throw usage('value: the message, any JSON');
  const isOwnText = typeof value === 'string' && !/json/i.test(contentTypeOf(args));
  const bytes = Buffer.from(isOwnText ? value : JSON.stringify(value));
  if (bytes.byteLength <= LIMITS.requestBodyBytesMax) return bytes;
  throw usage(`value: at most ${LIMITS.requestBodyBytesMax} bytes (limits.requestBodyBytesMax)`);
}

export const broadcast: Operation = {
  name: 'broadcast',
  takes: ['value', 'user', 'session', 'address', 'protocol'],
  async run(args, { live }) {
    const { value } = args;
    if (value === undefined) throw usage('value: the message, any JSON');
    if (args.protocol === 'mqtt') {
      throw usage('protocol: MQTT clients hear of topics only; publish to one they follow');
    }
    const json = JSON.stringify(value);
    if (Buffer.byteLength(json) > LIMITS.broadcastBytesMax) {
      throw usage(`value: at most ${LIMITS.broadcastBytesMax} bytes (limits.broadcastBytesMax)`);
    }
    return { ...(await live.broadcast(whomArgument(args), json)) };
  },
};

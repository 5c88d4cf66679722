/**
 * A change as it stands in the log and in the ring: a msgpack sequence, plain and
 * self-describing, so that an old log is readable after an upgrade. The log carries a body only
 * for messages, for what was published over MQTT and for tables with history; the ring carries the
 * rows before and after beside it.
 */
import type {
  EpochMs,
  NodeId,
  RecordId,
  RecordVersion,
  Sequence,
  TableName,
} from '../base/brands.ts';
import type { Change, Relay } from '../table/store-port.ts';
import { packPlain, unpackPlain } from './entry-format.ts';

type Packed = readonly [
  version: RecordVersion,
  author: NodeId,
  at: EpochMs,
  table: TableName,
  op: Change['op'],
  id: RecordId | null,
  size: number,
  body?: Uint8Array | null,
  properties?: Uint8Array | null,
  payload?: Uint8Array | null,
  relay?: Relay | PackedOrigin,
];

/** Nearly all that came from another node has a place in its author's log, and nothing more. */
type PackedOrigin = readonly [sequence: Sequence, after: Sequence];

function packedRelay(relay: Relay): Relay | PackedOrigin {
  const { origin, scope, soft, reason, isQuiet, isClients, isLocal, isJoined } = relay;
  const isMore = isQuiet ?? isClients ?? isLocal ?? isJoined ?? scope ?? soft ?? reason;
  return isMore === undefined && origin ? [origin.sequence, origin.after] : relay;
}

function unpackedRelay(packed: Relay | PackedOrigin): Relay {
  if (!Array.isArray(packed)) return packed as Relay;
  const [sequence, after] = packed as PackedOrigin;
  return { origin: { sequence, after } };
}

/** The log's value for a change; `keepBody` puts the row after (or the message) into it. */
export function encodeChange(change: Change, keepBody: boolean): Buffer {
  const size = change.after?.length ?? 0;
  const { version, author, at, table, op } = change;
  const head: Packed = [version, author, at, table, op, change.id ?? null, size];
  const body = keepBody ? (change.after ?? null) : null;
  const { publication, relay } = change;
  if (relay !== undefined) {
    const { properties = null, payload = null } = publication ?? {};
    return packPlain([...head, body, properties, payload, packedRelay(relay)]);
  }
  if (publication !== undefined) {
    const { properties, payload } = publication;
    return packPlain([...head, body, properties, ...(payload === undefined ? [] : [payload])]);
  }
  return packPlain(body === null ? head : [...head, body]);
}

export function decodeChange(sequence: Sequence, bytes: Uint8Array): Change {
  const packed = unpackPlain(bytes) as Packed;
  const [version, author, at, table, op, id, , body, properties, payload, relay] = packed;
  const whole = { sequence, version, author, at, table, op, id: id ?? undefined };
  const change = relay === undefined ? whole : { ...whole, relay: unpackedRelay(relay) };
  const after = body === undefined || body === null ? undefined : new Uint8Array(body);
  if (properties === undefined || properties === null) return { ...change, after };
  const publication = {
    properties: new Uint8Array(properties),
    payload: payload === undefined || payload === null ? undefined : new Uint8Array(payload),
  };
  return { ...change, after, publication };
}

/**
 * The formats in which a client may publish records and have them sent: JSON, in which they are
 * kept, MessagePack and CBOR. A client of 5.0 names that of what it publishes by Content Type
 * [MQTT5 §3.3.2.3.9], and that of what it gets by the user property `content-type` of its CONNECT.
 */
import { LIMITS } from '../../config/limits.ts';
import { decodeCbor, encodeCbor } from '../http/cbor.ts';
import { checkJsonStructure } from '../http/json-structure.ts';
import { decodeMsgpack, encodeMsgpack } from '../http/msgpack.ts';
import type { Message } from './message.ts';

export interface PayloadFormat {
  readonly contentType: string;
  readonly encode: (value: unknown) => Uint8Array;
  /** Throws `BODY_MALFORMED`. */
  readonly decode: (bytes: Uint8Array) => unknown;
}

const limits = () => ({ depthMax: LIMITS.jsonDepthMax, keysMax: LIMITS.jsonKeysMax });

const MSGPACK: PayloadFormat = {
  contentType: 'application/x-msgpack',
  encode: encodeMsgpack,
  decode: (bytes) => decodeMsgpack(bytes, limits()),
};

const CBOR: PayloadFormat = {
  contentType: 'application/cbor',
  encode: encodeCbor,
  decode: (bytes) => decodeCbor(bytes, limits()),
};

const BY_TYPE: ReadonlyMap<string, PayloadFormat> = new Map([
  ['application/x-msgpack', MSGPACK],
  ['application/msgpack', MSGPACK],
  ['application/vnd.msgpack', MSGPACK],
  ['application/cbor', CBOR],
]);

/** `undefined` for JSON, and for what is not known: then JSON is what there is. */
export function formatNamed(contentType: string | undefined): PayloadFormat | undefined {
  const [type = ''] = contentType?.split(';') ?? [];
  return BY_TYPE.get(type.trim().toLowerCase());
}

/**
 * The payload of a message in the format; `undefined` when it is not a record that is kept as JSON:
 * what was published as something else goes on as it came.
 */
export function inFormat(message: Message, format: PayloadFormat): Buffer | undefined {
  const { payload, isState, table } = message.parts;
  const isRecord = isState && payload.length > 0 && table?.export?.name !== '*';
  if (!isRecord || message.facts?.properties.contentType !== undefined) return undefined;
  try {
    checkJsonStructure(payload, limits());
    return Buffer.from(format.encode(JSON.parse(Buffer.from(payload).toString())));
  } catch {
    return undefined;
  }
}

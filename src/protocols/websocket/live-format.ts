/**
 * In which encoding a socket speaks: JSON in text messages, or MessagePack or CBOR in binary ones,
 * as the sub-protocol says that the client offers. Events are encoded once for each format and
 * shared by all sockets; the name of a subscription on `/live` is put before what is shared.
 */
import { NodeError } from '../../base/errors.ts';
import { LIMITS } from '../../config/limits.ts';
import type { EncodedEvent, EventForm } from '../../feed/event.ts';
import { decodeCbor, encodeCbor } from '../http/cbor.ts';
import { checkJsonStructure } from '../http/json-structure.ts';
import { decodeMsgpack, encodeMsgpack } from '../http/msgpack.ts';
import { offeredProtocols } from '../http/upgrade-checks.ts';
import type { SubscriptionName } from './connection.ts';

export interface LiveFormat {
  /** The sub-protocol that stands for it. */
  readonly protocol: string;
  /** Whether its messages are binary. */
  readonly isBinary: boolean;
  /** Throws `BODY_MALFORMED`. */
  decode(bytes: Uint8Array): unknown;
  encode(message: unknown): Uint8Array;
  /** An event as it is sent to the subscription of that name; without one, as it is. */
  event(event: EncodedEvent, name: SubscriptionName | undefined): Uint8Array;
}

const structure = () => ({ depthMax: LIMITS.jsonDepthMax, keysMax: LIMITS.jsonKeysMax });

export const JSON_FORMAT: LiveFormat = {
  protocol: 'millrace.json',
  isBinary: false,
  decode(bytes) {
    checkJsonStructure(bytes, structure());
    try {
      return JSON.parse(Buffer.from(bytes).toString('utf8'));
    } catch (cause) {
      throw new NodeError('BODY_MALFORMED', 'not JSON', { blame: 'client', cause });
    }
  },
  encode: (message) => Buffer.from(JSON.stringify(message) ?? 'null'),
  event: (event, name) => event.bytes(name === undefined ? '' : jsonPrefix(name)),
};

/** What stands before the fields of an event: `{"sub":NAME,`. */
export const jsonPrefix = (name: SubscriptionName): string => `{"sub":${JSON.stringify(name)},`;

/** A map's first byte in its shortest form (fewer than 15 members), less their number. */
const SHORT_MAP: Readonly<Record<EventForm, number>> = { msgpack: 0x80, cbor: 0xa0 };
/** The first byte of a map whose members are counted in the two bytes behind it. */
const MAP_16: Readonly<Record<EventForm, number>> = { msgpack: 0xde, cbor: 0xb9 };

/** [MessagePack "map format family"; RFC8949 §3.1]: what both codecs write for a small object. */
function membersOf(form: EventForm, map: Uint8Array): { count: number; body: Uint8Array } {
  const [first = 0, high = 0, low = 0] = map;
  if (first === MAP_16[form]) return { count: high * 256 + low, body: map.subarray(3) };
  return { count: first - SHORT_MAP[form], body: map.subarray(1) };
}

function binaryFormat(
  form: EventForm,
  encode: (value: unknown) => Uint8Array,
  decode: (bytes: Uint8Array, limits: ReturnType<typeof structure>) => unknown,
): LiveFormat {
  return {
    protocol: `millrace.${form}`,
    isBinary: true,
    decode: (bytes) => decode(bytes, structure()),
    // A copy: the encoder hands out a view of its own memory.
    encode: (message) => Uint8Array.from(encode(message)),
    event(event, name) {
      const whole = event.form(form, (json) => Uint8Array.from(encode(JSON.parse(json))));
      if (name === undefined) return whole;
      const { count, body } = membersOf(form, whole);
      const head = Buffer.of(SHORT_MAP[form] + count + 1);
      return Buffer.concat([head, Uint8Array.from(encode('sub')), encode(name), body]);
    },
  };
}

const MSGPACK_FORMAT = binaryFormat('msgpack', encodeMsgpack, decodeMsgpack);
/** Made when it is asked for: its codec is loaded with it. */
const cborFormat = () => binaryFormat('cbor', encodeCbor, decodeCbor);

/** The first of the client's offers that is spoken here; JSON without a sub-protocol otherwise. */
export function chosenFormat(offer: string | undefined): {
  readonly format: LiveFormat;
  readonly protocol: string | undefined;
} {
  for (const protocol of offeredProtocols(offer)) {
    if (protocol === JSON_FORMAT.protocol) return { format: JSON_FORMAT, protocol };
    if (protocol === MSGPACK_FORMAT.protocol) return { format: MSGPACK_FORMAT, protocol };
    if (protocol === 'millrace.cbor') return { format: cborFormat(), protocol };
  }
  return { format: JSON_FORMAT, protocol: undefined };
}

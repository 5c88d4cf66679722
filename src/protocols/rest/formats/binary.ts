/**
 * The binary formats. A CBOR collection is one array without a count, a MessagePack collection is a
 * sequence of records one after another (its arrays need their count first, and the answer begins
 * before the last row is known). `Bytes` attributes, base64 in JSON, are bytes in both.
 */
import { CBOR_ARRAY_END, CBOR_ARRAY_START, decodeCbor, encodeCbor } from '../../http/cbor.ts';
import { decodeMsgpack, encodeMsgpack } from '../../http/msgpack.ts';
import {
  asRecord,
  asRecords,
  type Format,
  forList,
  NO_BYTES,
  parseStored,
  type RowShape,
  type RowWriter,
} from './format.ts';

export const CBOR_FORMAT: Format = {
  name: 'cbor',
  mediaTypes: ['application/cbor'],
  tagSuffix: '+cbor',
  encodeRecord: (json, shape) => encodeCbor(withBytes(shape)(json)),
  rowWriter: (shape) => new CborRows(shape),
  decodeRecord: (bytes, limits) => asRecord(decodeCbor(bytes, limits)),
  decodeRecords: (bytes, limits) => asRecords(decodeCbor(bytes, forList(limits))),
};

/** An indefinite-length array [RFC8949 §3.2.2]. */
class CborRows implements RowWriter {
  readonly #decoded: (row: Uint8Array) => unknown;
  #begun = false;

  constructor(shape: RowShape) {
    this.#decoded = withBytes(shape);
  }

  rows(rows: readonly Uint8Array[]): Uint8Array {
    const encoded = rows.map((row) => encodeCbor(this.#decoded(row)));
    return Buffer.concat([this.#beginning(), ...encoded]);
  }

  end(): Uint8Array {
    return Buffer.concat([this.#beginning(), CBOR_ARRAY_END]);
  }

  #beginning(): Uint8Array {
    if (this.#begun) return NO_BYTES;
    this.#begun = true;
    return CBOR_ARRAY_START;
  }
}

export const MSGPACK_FORMAT: Format = {
  name: 'msgpack',
  mediaTypes: ['application/x-msgpack', 'application/msgpack', 'application/vnd.msgpack'],
  tagSuffix: '+msgpack',
  encodeRecord: (json, shape) => encodeMsgpack(withBytes(shape)(json)),
  rowWriter: (shape) => msgpackSequence(withBytes(shape)),
  decodeRecord: (bytes, limits) => asRecord(decodeMsgpack(bytes, limits)),
  decodeRecords: (bytes, limits) => asRecords(decodeMsgpack(bytes, forList(limits))),
};

const msgpackSequence = (decoded: (row: Uint8Array) => unknown): RowWriter => ({
  rows: (rows) => Buffer.concat(rows.map((row) => encodeMsgpack(decoded(row)))),
  end: () => NO_BYTES,
});

/** Decodes rows of this shape, with the bytes that base64 stands for in JSON. */
function withBytes({ definition, columns }: RowShape): (row: Uint8Array) => unknown {
  const names = (definition?.attributes ?? [])
    .filter(({ type, list }) => type === 'Bytes' && !list)
    .map(({ name }) => name);
  if (names.length === 0) return parseStored;
  const [only = '', ...others] = columns ?? [];
  const isBareBytes = others.length === 0 && names.includes(only);
  return (row) => {
    const value = parseStored(row);
    if (typeof value === 'string') return isBareBytes ? rawBytes(value) : value;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    const record = value as Record<string, unknown>;
    for (const name of names) {
      if (Object.hasOwn(record, name)) record[name] = rawBytes(record[name]);
    }
    return record;
  };
}

/** Text which is not base64 as it would be written here stays text, so that nothing is lost. */
function rawBytes(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  const bytes = Buffer.from(value, 'base64');
  return bytes.toString('base64') === value ? bytes : value;
}

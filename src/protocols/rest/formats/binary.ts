/**
 * The binary formats. A CBOR collection is one array without a count, a MessagePack collection is a
 * sequence of records one after another (its arrays need their count first, and the answer begins
 * before the last row is known).
 */
import { CBOR_ARRAY_END, CBOR_ARRAY_START, decodeCbor, encodeCbor } from '../../http/cbor.ts';
import { decodeMsgpack, encodeMsgpack } from '../../http/msgpack.ts';
import {
  asRecord,
  asRecords,
  type Format,
  NO_BYTES,
  parseStored,
  type RowWriter,
} from './format.ts';

export const CBOR_FORMAT: Format = {
  name: 'cbor',
  mediaTypes: ['application/cbor'],
  tagSuffix: '+cbor',
  encodeRecord: (json) => encodeCbor(parseStored(json)),
  rowWriter: () => new CborRows(),
  decodeRecord: (bytes, limits) => asRecord(decodeCbor(bytes, limits.depthMax)),
  decodeRecords: (bytes, limits) => asRecords(decodeCbor(bytes, limits.depthMax + 1)),
};

/** An indefinite-length array [RFC8949 §3.2.2]. */
class CborRows implements RowWriter {
  #begun = false;

  rows(rows: readonly Uint8Array[]): Uint8Array {
    const encoded = rows.map((row) => encodeCbor(parseStored(row)));
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
  encodeRecord: (json) => encodeMsgpack(parseStored(json)),
  rowWriter: () => MSGPACK_SEQUENCE,
  decodeRecord: (bytes, limits) => asRecord(decodeMsgpack(bytes, limits.depthMax)),
  decodeRecords: (bytes, limits) => asRecords(decodeMsgpack(bytes, limits.depthMax + 1)),
};

const MSGPACK_SEQUENCE: RowWriter = {
  rows: (rows) => Buffer.concat(rows.map((row) => encodeMsgpack(parseStored(row)))),
  end: () => NO_BYTES,
};

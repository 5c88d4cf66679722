/**
 * What a representation of records must be able to do. Records are kept as JSON bytes, and every
 * format begins from those: JSON and NDJSON pass them on, the others decode each record once.
 */
import { NodeError } from '../../../base/errors.ts';
import type { TableDefinition } from '../../../schema/definition.ts';
import type { JsonRecord } from '../../../table/record-draft.ts';
import type { StructureLimits } from '../../http/json-structure.ts';

/** What a format needs to know of the rows it writes. */
export interface RowShape {
  /** Absent for rows that code made: then `columns` are given. */
  readonly definition?: TableDefinition | undefined;
  /** The properties of every row when a `select` names them; else the declared attributes. */
  readonly columns?: readonly string[] | undefined;
}

/** Writes the rows of one answer, batch by batch; the parts in order are the body. */
export interface RowWriter {
  /** What is to be sent for these rows (JSON bytes each), with the beginning if they are first. */
  rows(rows: readonly Uint8Array[]): Uint8Array;
  /** What ends the body; the beginning too when there were no rows. */
  end(): Uint8Array;
}

export interface DecodeLimits extends StructureLimits {
  readonly definition: TableDefinition;
}

export interface Format {
  readonly name: 'json' | 'ndjson' | 'cbor' | 'msgpack' | 'csv' | 'custom';
  /** Media types by which clients ask for it and send it; the first is the preferred one. */
  readonly mediaTypes: readonly string[];
  /** Appended to the entity tag of a record, so that tags differ by representation. */
  readonly tagSuffix: string;
  /** A record, given as its JSON bytes. */
  encodeRecord(json: Uint8Array, shape: RowShape): Uint8Array;
  rowWriter(shape: RowShape): RowWriter;
  /** The one record of a request body. Throws `BODY_MALFORMED`. */
  decodeRecord(bytes: Uint8Array, limits: DecodeLimits): JsonRecord;
  /** The records of a request body that may be a list. Throws `BODY_MALFORMED` naming the row. */
  decodeRecords(bytes: Uint8Array, limits: DecodeLimits): DecodedRecords;
  /** For formats whose records can be read one after the other while the body comes. */
  readonly rowReader?: ((limits: RowLimits) => RowReader) | undefined;
}

export interface RowLimits extends DecodeLimits {
  /** Greatest size of one row, bytes. */
  readonly bytesMax: number;
}

/** A row of a body, and the line of the body at which it begins; both are counted from 1. */
export interface BodyRow {
  readonly row: number;
  readonly line: number;
  /** The record, or what keeps the row from being one. */
  readonly record: JsonRecord | NodeError;
}

/** Reads a body piece by piece. Both calls throw `BODY_TOO_LARGE`, and `BODY_MALFORMED` at once. */
export interface RowReader {
  /** The rows which this piece completes. */
  read(piece: Uint8Array): readonly BodyRow[];
  /** The last row, when nothing ended it. */
  end(): readonly BodyRow[];
}

/** `isList`: the body is a list, be it of one record. */
export interface DecodedRecords {
  readonly isList: boolean;
  readonly records: readonly JsonRecord[];
}

const decoder = new TextDecoder();

export const parseStored = (json: Uint8Array): unknown => JSON.parse(decoder.decode(json));

/** Throws `BODY_MALFORMED` for what is no record. */
export function asRecord(value: unknown): JsonRecord {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as JsonRecord;
  }
  throw new NodeError('BODY_MALFORMED', 'the request body is not a record but another value', {
    blame: 'client',
  });
}

/** The brackets of a list are one level more than a record has. */
export const forList = ({ depthMax, keysMax }: StructureLimits): StructureLimits => ({
  depthMax: depthMax + 1,
  keysMax,
});

/** The records of a decoded value: of a list, or of the one record that it is. */
export function asRecords(value: unknown): DecodedRecords {
  if (!Array.isArray(value)) return { isList: false, records: [asRecord(value)] };
  return { isList: true, records: value.map((each, index) => inRow(index + 1, asRecord, each)) };
}

/** Says of what is malformed in which row it stands; rows are counted from 1. */
export function inRow<T>(row: number, decode: (given: T) => JsonRecord, given: T): JsonRecord {
  try {
    return decode(given);
  } catch (error) {
    if (!(error instanceof NodeError)) throw error;
    const { code, message, blame, details } = error;
    throw new NodeError(code, `row ${row}: ${message}`, {
      blame,
      cause: error,
      details: { ...details, row },
    });
  }
}

/** The record, or the client's mistake that it is. */
export function recordOrProblem(decode: () => JsonRecord): JsonRecord | NodeError {
  try {
    return decode();
  } catch (error) {
    if (error instanceof NodeError) return error;
    throw error;
  }
}

export const NO_BYTES = new Uint8Array(0);

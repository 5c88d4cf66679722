/**
 * NDJSON: a JSON value a line. A stored record is a line as it is unless its origin broke it. A
 * body is read as a whole, or line by line while it comes; empty lines are no rows in either.
 */

import type { JsonRecord } from '../../../table/record-draft.ts';
import { parseJsonObject } from '../json-body.ts';
import {
  type BodyRow,
  type DecodedRecords,
  type DecodeLimits,
  type Format,
  inRow,
  NO_BYTES,
  parseStored,
  type RowLimits,
  type RowReader,
  type RowWriter,
  recordOrProblem,
} from './format.ts';
import { type Line, LineSplitter } from './split-lines.ts';

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const END_OF_LINE = Buffer.from('\n');

export const NDJSON_FORMAT: Format = {
  name: 'ndjson',
  mediaTypes: ['application/x-ndjson', 'application/ndjson', 'application/jsonl'],
  tagSuffix: '+ndjson',
  encodeRecord: (json) => Buffer.concat([asLine(json), END_OF_LINE]),
  rowWriter: () => LINES,
  decodeRecord: (bytes, limits) => parseJsonObject(bytes, limits),
  decodeRecords,
  rowReader: (limits) => new LineReader(limits),
};

class LineReader implements RowReader {
  readonly #lines: LineSplitter;
  readonly #limits: RowLimits;
  #rows = 0;

  constructor(limits: RowLimits) {
    this.#lines = new LineSplitter({ quotes: false, bytesMax: limits.bytesMax });
    this.#limits = limits;
  }

  read(piece: Uint8Array): readonly BodyRow[] {
    return this.#lines.push(piece).map((line) => this.#row(line));
  }

  end(): readonly BodyRow[] {
    return this.#lines.end().map((line) => this.#row(line));
  }

  #row({ bytes, line }: Line): BodyRow {
    this.#rows += 1;
    const record = recordOrProblem(() => parseJsonObject(bytes, this.#limits));
    return { row: this.#rows, line, record };
  }
}

/** A line a record; empty lines are no rows. One line alone is a record, not a list. */
function decodeRecords(bytes: Uint8Array, limits: DecodeLimits): DecodedRecords {
  const records: JsonRecord[] = [];
  const decode = (line: Uint8Array) => parseJsonObject(line, limits);
  for (let at = 0; at < bytes.length; ) {
    const newline = bytes.indexOf(NEWLINE, at);
    const end = newline === -1 ? bytes.length : newline;
    const line = bytes.subarray(at, bytes[end - 1] === CARRIAGE_RETURN ? end - 1 : end);
    if (line.length > 0) records.push(inRow(records.length + 1, decode, line));
    at = end + 1;
  }
  return { isList: records.length !== 1, records };
}

const LINES: RowWriter = {
  rows: (rows) => Buffer.concat(rows.flatMap((row) => [asLine(row), END_OF_LINE])),
  end: () => NO_BYTES,
};

/** An origin may have sent its record over several lines: those bytes are kept as they came. */
function asLine(json: Uint8Array): Uint8Array {
  if (!json.includes(NEWLINE) && !json.includes(CARRIAGE_RETURN)) return json;
  return Buffer.from(JSON.stringify(parseStored(json)));
}

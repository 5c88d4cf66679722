/** NDJSON: a JSON value a line. A stored record is a line as it is unless its origin broke it. */
import { parseJsonObject } from '../json-body.ts';
import { type Format, NO_BYTES, parseStored, type RowWriter } from './format.ts';

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const END_OF_LINE = Buffer.from('\n');

export const NDJSON_FORMAT: Format = {
  name: 'ndjson',
  mediaTypes: ['application/x-ndjson', 'application/ndjson', 'application/jsonl'],
  tagSuffix: '+ndjson',
  encodeRecord: (json) => Buffer.concat([asLine(json), END_OF_LINE]),
  rowWriter: () => LINES,
  decodeRecord: (bytes, limits) => parseJsonObject(bytes, limits.depthMax),
};

const LINES: RowWriter = {
  rows: (rows) => Buffer.concat(rows.flatMap((row) => [asLine(row), END_OF_LINE])),
  end: () => NO_BYTES,
};

/** An origin may have sent its record over several lines: those bytes are kept as they came. */
function asLine(json: Uint8Array): Uint8Array {
  if (!json.includes(NEWLINE) && !json.includes(CARRIAGE_RETURN)) return json;
  return Buffer.from(JSON.stringify(parseStored(json)));
}

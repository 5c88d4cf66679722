/** JSON: a record is sent as it is stored, a collection is an array of them, nothing is decoded. */
import { parseJson, parseJsonObject } from '../json-body.ts';
import { asRecords, type Format, forList, type RowWriter } from './format.ts';

const OPEN = Buffer.from('[');
const COMMA = Buffer.from(',');
const CLOSE = Buffer.from(']');
const EMPTY = Buffer.from('[]');

export const JSON_FORMAT: Format = {
  name: 'json',
  mediaTypes: ['application/json'],
  tagSuffix: '',
  encodeRecord: (json) => json,
  rowWriter: () => new JsonRows(),
  decodeRecord: (bytes, limits) => parseJsonObject(bytes, limits),
  decodeRecords: (bytes, limits) =>
    asRecords(parseJson(bytes, { ...forList(limits), definition: limits.definition })),
};

class JsonRows implements RowWriter {
  #before: Uint8Array = OPEN;

  rows(rows: readonly Uint8Array[]): Uint8Array {
    const parts: Uint8Array[] = [];
    for (const row of rows) {
      parts.push(this.#before, row);
      this.#before = COMMA;
    }
    return Buffer.concat(parts);
  }

  end(): Uint8Array {
    return this.#before === OPEN ? EMPTY : CLOSE;
  }
}

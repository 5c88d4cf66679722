/**
 * CSV (RFC 4180): a line of names, then a line a record. The columns must be known before the first
 * row: they are what a `select` names, or the declared attributes, or else (a table that declares
 * none) the properties of the first rows. Objects and lists stand in a field as JSON.
 */
import { createRequire } from 'node:module';
import type * as CsvParse from 'csv-parse/sync';
import type * as CsvStringify from 'csv-stringify/sync';
import { NodeError } from '../../../base/errors.ts';
import { lazy } from '../../../base/lazy.ts';
import { LIMITS } from '../../../config/limits.ts';
import type { AttributeDefinition } from '../../../schema/definition.ts';
import { describeValue } from '../../../schema/record.ts';
import type { JsonRecord } from '../../../table/record-draft.ts';
import { checkJsonStructure, tooManyKeys } from '../../http/json-structure.ts';
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
  type RowShape,
  type RowWriter,
  recordOrProblem,
} from './format.ts';
import { type Line, LineSplitter } from './split-lines.ts';

const END_OF_LINE = '\r\n'; // [RFC4180 §2]
const NEWLINE = Buffer.from('\n');

const require = createRequire(import.meta.url);
/** Loaded with the first CSV: most nodes never see one. */
const parser = lazy((): typeof CsvParse => require('csv-parse/sync'));
const writer = lazy((): typeof CsvStringify => require('csv-stringify/sync'));

export const CSV_FORMAT: Format = {
  name: 'csv',
  mediaTypes: ['text/csv'],
  tagSuffix: '+csv',
  encodeRecord: (json, shape) => new CsvRows(shape).rows([json]),
  rowWriter: (shape) => new CsvRows(shape),
  decodeRecord,
  decodeRecords,
  rowReader: (limits) => new CsvRowReader(limits),
};

class CsvRowReader implements RowReader {
  readonly #lines: LineSplitter;
  readonly #limits: RowLimits;
  #names: readonly string[] | undefined;
  #rows = 0;

  constructor(limits: RowLimits) {
    this.#limits = limits;
    this.#lines = new LineSplitter({ quotes: true, bytesMax: limits.bytesMax });
  }

  read(piece: Uint8Array): readonly BodyRow[] {
    return this.#decode(this.#lines.push(piece));
  }

  end(): readonly BodyRow[] {
    const rows = this.#decode(this.#lines.end());
    if (this.#names === undefined) throw malformed('there is no line of names');
    return rows;
  }

  #decode(lines: readonly Line[]): readonly BodyRow[] {
    const [first] = lines;
    if (first === undefined) return [];
    if (this.#names !== undefined) return this.#records(this.#names, lines);
    const [names = []] = parseRows(first.bytes);
    this.#names = names;
    return this.#records(names, lines.slice(1));
  }

  /** Lines are parsed together, which is fast; one after the other where one of them is broken. */
  #records(names: readonly string[], lines: readonly Line[]): readonly BodyRow[] {
    const parsed = together(lines);
    return lines.map(({ bytes, line }, index) => {
      this.#rows += 1;
      const record = recordOrProblem(() => {
        const fields = parsed?.[index] ?? parseRows(bytes)[0] ?? [];
        if (fields.length === names.length) return recordOf(names, fields, this.#limits);
        throw malformed(`${fields.length} fields under ${names.length} names`);
      });
      return { row: this.#rows, line, record };
    });
  }
}

/** The fields of each line; `undefined` when they cannot be told apart all at once. */
function together(lines: readonly Line[]): string[][] | undefined {
  try {
    const text = Buffer.concat(lines.flatMap(({ bytes }) => [bytes, NEWLINE]));
    const rows = parser().parse(text, { relax_column_count: true, record_delimiter: '\n' });
    return rows.length === lines.length ? rows : undefined;
  } catch {
    return undefined;
  }
}

class CsvRows implements RowWriter {
  readonly #shape: RowShape;
  #columns: readonly string[] | undefined;

  constructor(shape: RowShape) {
    this.#shape = shape;
  }

  rows(rows: readonly Uint8Array[]): Uint8Array {
    const records = rows.map(parseStored);
    let lines = '';
    if (this.#columns === undefined) {
      this.#columns = columnsOf(this.#shape, records);
      lines = line(this.#columns);
    }
    const columns = this.#columns;
    for (const record of records) lines += line(fieldsOf(record, columns));
    return Buffer.from(lines);
  }

  end(): Uint8Array {
    return this.#columns === undefined ? this.rows([]) : NO_BYTES;
  }
}

const line = (fields: readonly string[]): string =>
  writer().stringify([fields as string[]], { record_delimiter: END_OF_LINE });

function columnsOf({ columns, definition }: RowShape, first: readonly unknown[]): string[] {
  if (columns !== undefined || definition === undefined) return [...(columns ?? [])];
  const declared = definition.attributes.filter(isColumn).map((attribute) => attribute.name);
  if (definition.sealed) return declared;
  const names = new Set(declared);
  for (const record of first) {
    if (isObject(record)) for (const name of Object.keys(record)) names.add(name);
  }
  return [...names];
}

const isColumn = (attribute: AttributeDefinition): boolean =>
  !attribute.hidden && attribute.relationship === undefined && attribute.computed === undefined;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A row may also be a list (`select([a,b])`) or a bare value (`select(a)`). */
function fieldsOf(record: unknown, columns: readonly string[]): readonly string[] {
  if (isObject(record)) return columns.map((name) => field(record[name]));
  return Array.isArray(record) ? record.map(field) : [field(record)];
}

function field(value: unknown): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function decodeRecord(bytes: Uint8Array, limits: DecodeLimits): JsonRecord {
  const rows = parseRows(bytes);
  const [names, fields] = rows;
  if (names === undefined || fields === undefined || rows.length !== 2) {
    throw malformed(`a record is a line of names and a line of values, not ${rows.length} lines`);
  }
  return recordOf(names, fields, limits);
}

/** A line of names, then a line a record; one record alone is no list. */
function decodeRecords(bytes: Uint8Array, limits: DecodeLimits): DecodedRecords {
  const [names, ...rows] = parseRows(bytes);
  if (names === undefined) throw malformed('there is no line of names');
  const decode = (fields: string[]) => recordOf(names, fields, limits);
  const records = rows.map((fields, index) => inRow(index + 1, decode, fields));
  return { isList: records.length !== 1, records };
}

function recordOf(
  names: readonly string[],
  fields: readonly string[],
  limits: DecodeLimits,
): JsonRecord {
  const keysMax = limits.keysMax ?? LIMITS.jsonKeysMax;
  if (names.length > keysMax) throw tooManyKeys(keysMax);
  const properties = names.map((name, index) => [name, fields[index] ?? ''] as const);
  // An empty field says nothing: null is not a word of CSV.
  const given = properties.filter(([, text]) => text !== '');
  return Object.fromEntries(given.map(([name, text]) => [name, typed(text, name, limits)]));
}

function parseRows(bytes: Uint8Array): string[][] {
  try {
    return parser().parse(Buffer.from(bytes), { bom: true, skip_empty_lines: true });
  } catch (cause) {
    throw malformed(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

const NUMBERS: readonly unknown[] = ['Int', 'Long', 'Float'];
const TEXTS: readonly unknown[] = ['ID', 'String', 'Date', 'Bytes', 'Blob', 'BigInt'];

/** By the attribute's type; an undeclared property is text. */
function typed(text: string, name: string, limits: DecodeLimits): unknown {
  const { definition } = limits;
  const attribute = definition.attributes.find((known) => known.name === name);
  if (attribute === undefined) return text;
  if (attribute.primaryKey) return definition.primaryKeyType === 'number' ? Number(text) : text;
  if (attribute.list || !isScalar(attribute)) return jsonField(text, name, limits);
  if (NUMBERS.includes(attribute.type)) return numberField(text, name);
  if (attribute.type === 'Boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}

const isScalar = ({ type }: AttributeDefinition): boolean =>
  NUMBERS.includes(type) || TEXTS.includes(type) || type === 'Boolean' || type === 'Any';

function numberField(text: string, name: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) {
    throw malformed(`${name}: expected a number, got ${describeValue(text)}`, undefined, name);
  }
  return value;
}

function jsonField(text: string, name: string, { depthMax, keysMax }: DecodeLimits): unknown {
  // The record around the field is a level too.
  checkJsonStructure(Buffer.from(text), { depthMax: depthMax - 1, keysMax });
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw malformed(`${name} holds a list or an object, written as JSON`, cause, name);
  }
}

function malformed(why: string, cause?: unknown, attribute?: string): NodeError {
  return new NodeError('BODY_MALFORMED', `the request body is not a CSV record: ${why}`, {
    blame: 'client',
    cause,
    details: attribute === undefined ? {} : { attribute },
  });
}

/**
 * A part of one record: `/Table/id?select(a,b)`, or `/Table/id.property` for a declared attribute.
 * It is a representation of its own, with an entity tag of its own.
 */
import { isKeyProblem, parseRecordId } from '../../schema/key.ts';
import { fingerprint } from '../../table/query/cursor.ts';
import { attributeNamed } from '../../table/query/fields.ts';
import { parseQuery } from '../../table/query/parse-query.ts';
import { selectionOf } from '../../table/query/parse-select.ts';
import { isDerived } from '../../table/query/project.ts';
import type { Select } from '../../table/query/query.ts';
import type { RowViews } from '../../table/query/row-view.ts';
import type { RestCall } from './rest-call.ts';

export interface Projection {
  readonly select: Select;
  /** Appended to the record's entity tag. */
  readonly tagSuffix: string;
  /** It says more than the record's own bytes: it changes when the record does not. */
  readonly isDerived: boolean;
  /** What whoever asks sees of the tables that it reaches; absent: everything. */
  readonly views?: RowViews | undefined;
}

/** The record that the URL means and the part of it; the whole when `part` is `undefined`. */
export interface RecordTarget {
  /** Percent-encoded. */
  readonly key: string;
  readonly part: Projection | undefined;
}

export function recordTarget(call: RestCall): RecordTarget {
  const key = call.rest.slice(1);
  const { query } = call.exchange.request;
  if (query === '' && !key.includes('.')) return { key, part: undefined };
  return { ...propertyTarget(call, key), ...selected(call, key) };
}

/** A query which does not begin with `select(` is not ours: it may serve to bypass other caches. */
function selected(call: RestCall, key: string): RecordTarget | undefined {
  const { query } = call.exchange.request;
  if (!query.startsWith('select(')) return undefined;
  const { select } = parseQuery(query, call.resource.table.scope, call.limits);
  return select && { key, part: projectionBy(select, query) };
}

/** The property after the last dot, unless a record is stored under the whole. */
function propertyTarget(call: RestCall, key: string): RecordTarget {
  const { table } = call.resource;
  const dot = key.lastIndexOf('.');
  const name = key.slice(dot + 1);
  const whole = { key, part: undefined };
  if (dot <= 0 || key[dot - 1] === '/') return whole;
  const attribute = attributeNamed(table.definition, name);
  if (attribute === undefined) return whole;
  const id = parseRecordId(table.definition, key);
  if (!isKeyProblem(id) && table.holds(id)) return whole;
  const selection = selectionOf(table.scope, attribute, dot);
  const select: Select = { shape: 'value', selections: [selection] };
  return { key: key.slice(0, dot), part: projectionBy(select, name) };
}

const projectionBy = (select: Select, text: string): Projection => ({
  select,
  tagSuffix: `+${letters(fingerprint(text))}`,
  isDerived: isDerived(select.selections),
});

/** Letters only, so that the tag's suffix is told apart from its digest. */
export const letters = (number: number | bigint): string =>
  number.toString(26).replace(/[0-9a-p]/g, (digit) => LETTERS[Number.parseInt(digit, 26)] ?? 'a');

const LETTERS = 'abcdefghijklmnopqrstuvwxyz';

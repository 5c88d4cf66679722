/**
 * A part of one record: `/Table/id?select(a,b)`, or `/Table/id.property` for a declared attribute.
 * It is a representation of its own, with an entity tag of its own.
 */
import type { Entry } from '../../cache/entry.ts';
import { recordJson } from '../../cache/record-json.ts';
import { isKeyProblem, parseRecordId } from '../../schema/key.ts';
import { fingerprint } from '../../table/query/cursor.ts';
import { attributeNamed } from '../../table/query/fields.ts';
import { parseQuery } from '../../table/query/parse-query.ts';
import { factsOf, projectRow } from '../../table/query/project.ts';
import type { Select } from '../../table/query/query.ts';
import { parseRow } from '../../table/query/sources.ts';
import type { RestCall } from './rest-call.ts';

export interface Projection {
  readonly select: Select;
  /** Appended to the record's entity tag. */
  readonly tagSuffix: string;
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
  const { select } = parseQuery(query, call.resource.table.definition, call.limits);
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
  if (attribute === undefined || attribute.relationship !== undefined) return whole;
  const id = parseRecordId(table.definition, key);
  if (!isKeyProblem(id) && table.holds(id)) return whole;
  const select: Select = { shape: 'value', selections: [{ name }] };
  return { key: key.slice(0, dot), part: projectionBy(select, name) };
}

/** Letters only, so that the tag's suffix is told apart from its digest. */
function projectionBy(select: Select, text: string): Projection {
  const letters = fingerprint(text)
    .toString(26)
    .replace(/[0-9a-p]/g, (digit) => LETTERS[Number.parseInt(digit, 26)] ?? 'a');
  return { select, tagSuffix: `+${letters}` };
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyz';

export const partOf = (entry: Entry, { select }: Projection, primaryKey: string): Uint8Array =>
  projectRow(select, parseRow(recordJson(entry, primaryKey)), factsOf(entry));

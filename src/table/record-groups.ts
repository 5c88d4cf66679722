/**
 * Names of groups that stand for records: what a renderer is told about the records it read, what
 * it passes on with its page, and what a change of a record invalidates [RFC9875].
 *
 *   Flight/AA100;v=3721…   the record AA100 of Flight as it was at that version
 *   Flight/ZZ99;v=0        that there was no such record
 *   Flight;v=3721…         every record of Flight as of that version (the answer to a query)
 *
 * A group is meant without its version: the version only lets a cache find out that a page was made
 * from something older than it has itself. In the key, `%`, `;`, quotes, backslashes and all that
 * is not printable ASCII are percent-encoded, so that any key fits into a structured field's string
 * and no key looks like a version. Pure.
 */
import { type EpochMs, type RecordId, type RecordVersion, recordVersion } from '../base/brands.ts';
import { versionAt } from '../base/hlc.ts';

export interface RecordGroup {
  /** The type's name, as the schema writes it. */
  readonly table: string;
  /** The key as text, decoded; `undefined` when the group is all records of the table. */
  readonly id: string | undefined;
  /** 0: there was no record; `undefined`: not told. */
  readonly version: RecordVersion | undefined;
}

/** The version that says "there was no such record". */
export const NO_RECORD: RecordVersion = recordVersion(0);

const VERSION_MARK = ';v=';
const UNSAFE = /[^\x21\x23\x24\x26-\x3a\x3c-\x5b\x5d-\x7e]/;
const UNSAFE_PARTS = /[^\x21\x23\x24\x26-\x3a\x3c-\x5b\x5d-\x7e]+/gu;
const HALF_PAIR = /\p{Surrogate}/gu;
const GROUP = /^([A-Za-z_]\w*)(?:\/([^;]+))?(?:;v=(\d{1,16}))?$/;
const VERSIONED = /;v=\d{1,16}$/;

/** The group of one record. */
export function recordGroup(table: string, id: RecordId, version?: RecordVersion): string {
  const key = typeof id === 'number' ? String(id) : encodedKey(id);
  const group = `${table}/${key}`;
  return version === undefined ? group : group + VERSION_MARK + version;
}

/** What a query which began at `now` has seen all of: older than any change of that instant. */
export const versionBefore = (now: EpochMs): RecordVersion =>
  recordVersion(Math.max(0, versionAt(now) - 1));

/** The group of all records of a table. */
export const tableGroup = (table: string, version?: RecordVersion): string =>
  version === undefined ? table : table + VERSION_MARK + version;

/** What a group's name says; `undefined` when it does not have the form of a record's group. */
export function parseRecordGroup(text: string): RecordGroup | undefined {
  const match = GROUP.exec(text);
  if (match === null) return undefined;
  const [, table = '', key, digits] = match;
  const id = key === undefined ? undefined : decodedKey(key);
  if (key !== undefined && id === undefined) return undefined;
  const version = digits === undefined ? undefined : Number(digits);
  if (version !== undefined && !Number.isSafeInteger(version)) return undefined;
  return { table, id, version: version === undefined ? undefined : recordVersion(version) };
}

/** The group itself: its name without a version. */
export function groupScope(group: string): string {
  const at = group.lastIndexOf(VERSION_MARK);
  return at > 0 && VERSIONED.test(group) ? group.slice(0, at) : group;
}

/** The field `Cache-Groups`: a list of strings [RFC9875 §2]. Names are printable ASCII. */
export const formatCacheGroups = (groups: readonly string[]): string =>
  groups.map(quoted).join(', ');

const quoted = (group: string): string => `"${group.replace(/["\\]/g, '\\$&')}"`;

function encodedKey(key: string): string {
  if (!UNSAFE.test(key)) return key;
  return key.replace(UNSAFE_PARTS, (part) => encodeURIComponent(part.replace(HALF_PAIR, '\ufffd')));
}

function decodedKey(key: string): string | undefined {
  if (!key.includes('%')) return key;
  try {
    return decodeURIComponent(key);
  } catch {
    return undefined;
  }
}

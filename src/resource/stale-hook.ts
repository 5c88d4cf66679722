/**
 * `allowStaleWhileRevalidate(entry, id)` of a class over a cache table: whether a record that has
 * become stale may answer while its source is asked behind. Where a class has it, it decides
 * instead of the policy's window; what it throws is "no", and is told to the log.
 */
import { type Entry, FOREVER } from '../cache/entry.ts';
import type { PolicyHooks } from '../cache/policy.ts';
import { recordJson } from '../cache/record-json.ts';
import type { TableDefinition } from '../schema/definition.ts';
import { extendedTable } from './application-table.ts';
import { type Method, ownMethod, type Resource } from './resource.ts';
import { threadScope } from './thread-scope.ts';

const NAME = 'allowStaleWhileRevalidate';

/** What such a method is told. Instants are milliseconds since 1970. */
export interface StaleEntry {
  /** When the record was changed at its source, as far as that is known. */
  readonly version: number;
  /** When it was stored here. */
  readonly localTime: number;
  /** When it became stale; `undefined` for a record that was invalidated before its time. */
  readonly expiresAt: number | undefined;
  readonly value: Readonly<Record<string, unknown>>;
}

/** The hook of a table, `undefined` where no class has the method. */
export function staleHook(
  types: readonly (typeof Resource)[],
  definition: TableDefinition,
): PolicyHooks['staleWhileRevalidate'] {
  const own = types.filter((type) => extendedTable(type)?.name === definition.name);
  const found = own.flatMap((type) => methodOf(type) ?? [])[0];
  if (found === undefined) return undefined;
  const { method, holder } = found;
  return (facts) => {
    const entry = facts as Entry;
    try {
      return method.call(holder, staleEntry(entry, definition), entry.id) === true;
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      threadScope().writeLog?.('error', { table: definition.typeName, id: entry.id }, text);
      return false;
    }
  };
}

function methodOf(type: typeof Resource): { method: Method; holder: unknown } | undefined {
  for (const holder of [type.prototype, type]) {
    const method = ownMethod(holder, NAME);
    if (method !== undefined) return { method, holder };
  }
  return undefined;
}

const decoder = new TextDecoder();

function staleEntry(entry: Entry, { primaryKey }: TableDefinition): StaleEntry {
  const { freshUntil, storedAt, lastModified } = entry;
  // Valid during the call only, and seldom looked at: copied when it is.
  const body = recordJson(entry, primaryKey);
  return {
    version: lastModified,
    localTime: storedAt,
    expiresAt: freshUntil === FOREVER ? undefined : freshUntil,
    get value() {
      return JSON.parse(decoder.decode(body)) as StaleEntry['value'];
    },
  };
}

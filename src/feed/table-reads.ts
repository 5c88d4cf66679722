/**
 * The first value of a record subscription, read as a client's `GET` would read it: from the store
 * when that may be reused, otherwise from the origin. A read that fails leaves the record unknown;
 * the subscription stands and hears of it when it changes.
 */
import type { TableName } from '../base/brands.ts';
import type { RequestDirectives } from '../cache/directives.ts';
import type { ReadRequest } from '../cache/read-request.ts';
import type { Table } from '../table/table.ts';
import type { ChangeSource } from './change-source.ts';
import { type ReadRecord, stateOfRead, storedState } from './record-state.ts';

/** A subscriber asks for nothing special. */
const directives: RequestDirectives = Object.freeze({
  noCache: false,
  noStore: false,
  onlyIfCached: false,
  mustRevalidate: false,
});

export function readThrough(
  source: ChangeSource,
  tableNamed: (name: TableName) => Pick<Table, 'read'> | undefined,
): ReadRecord {
  return (definition, id, answer) => {
    const table = tableNamed(definition.name);
    if (table === undefined) {
      answer({ kind: 'unknown' });
      return;
    }
    // Nobody asks the renderer for a page because somebody follows it.
    if (definition.pages !== undefined) {
      answer(storedState(source, definition, id, true));
      return;
    }
    const request: ReadRequest = { id, variant: '', directives, mayForce: false };
    const reading = table.read(request, (result) => answer(stateOfRead(result, definition)));
    reading?.catch(() => answer({ kind: 'unknown' }));
  };
}

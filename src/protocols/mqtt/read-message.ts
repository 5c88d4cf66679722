/**
 * Messages as the store has them: a change of the log, with the bytes it carries or else what the
 * record is now; and a record as the retained message of its topic.
 */
import type { RecordId, RecordVersion } from '../../base/brands.ts';
import type { Entry } from '../../cache/entry.ts';
import { recordJson } from '../../cache/record-json.ts';
import type { ChangeSource } from '../../feed/change-source.ts';
import { isEvictable } from '../../feed/record-state.ts';
import type { TableDefinition } from '../../schema/definition.ts';
import type { Change } from '../../table/store-port.ts';
import { Message } from './message.ts';
import type { Topics } from './topics.ts';

const EMPTY = new Uint8Array(0);

/** `undefined`: nothing to tell (what the record is now is not known). */
export function changeMessage(
  change: Change,
  topic: string,
  source: ChangeSource,
  topics: Topics,
): Message | undefined {
  const table = topics.definition(change.table);
  const { id, op, sequence, version, at, publication, before } = change;
  if (table === undefined || id === undefined) return undefined;
  const properties = publication?.properties;
  const common = { topic, table, id, sequence, at, before, publication: properties };
  if (op === 'message') {
    const payload = change.after ?? EMPTY;
    return new Message({ ...common, payload, isState: false, version });
  }
  if (op === 'delete') {
    return new Message({ ...common, payload: EMPTY, isState: true, version });
  }
  const own = publication?.payload ?? change.after;
  if (own !== undefined) {
    return new Message({ ...common, payload: own, isState: true, version });
  }
  return source.withEntry(table.name, id, '', (entry) => {
    const state = presentOf(entry, source, table);
    if (state === undefined) return undefined;
    return new Message({ ...common, ...state, isState: true });
  });
}

/**
 * What a record is now; an empty payload when there is none, `undefined` when that is not known.
 */
function presentOf(
  entry: Entry | undefined,
  source: ChangeSource,
  table: TableDefinition,
):
  | { payload: Uint8Array; version: RecordVersion; publication: Uint8Array | undefined }
  | undefined {
  if (entry === undefined) {
    const version = 0 as RecordVersion;
    return isEvictable(table) ? undefined : { payload: EMPTY, version, publication: undefined };
  }
  const { version } = entry;
  if (entry.kind === 'tombstone' || entry.kind === 'negative') {
    return { payload: EMPTY, version, publication: undefined };
  }
  if (entry.kind !== 'record' || source.invalidations(table.name).judge(entry).kind === 'hard') {
    return undefined;
  }
  return { payload: payloadOf(entry, table), version, publication: entry.meta.publication };
}

/** A stored record as the retained message of its topic; `undefined` when it is none. */
export function retainedMessage(
  entry: Entry | undefined,
  topic: string,
  table: TableDefinition,
  source: ChangeSource,
): Message | undefined {
  const state = presentOf(entry, source, table);
  if (entry === undefined || state === undefined || state.payload.length === 0) return undefined;
  return new Message({
    ...{ topic, table, id: entry.id as RecordId, at: entry.storedAt, sequence: undefined },
    ...state,
    isState: true,
  });
}

/** The bytes as they are served, in a copy; a reference to those that lie in a file. */
const payloadOf = (entry: Entry, { primaryKey }: TableDefinition): Uint8Array =>
  new Uint8Array(entry.storedBody === undefined ? entry.body : recordJson(entry, primaryKey));

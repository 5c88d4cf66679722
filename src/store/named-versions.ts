/**
 * Whether a record has changed since something was made from it, on any thread: by the version that
 * its group names (`../table/record-groups.ts`). The commit compares what is stored in its own way
 * (`commit/named-records.ts`); this is for what is handed on before it is stored.
 */
import type { EpochMs, RecordId, RecordVersion } from '../base/brands.ts';
import { versionTime } from '../base/hlc.ts';
import type { Entry } from '../cache/entry.ts';
import { checkRecordId, isKeyProblem } from '../schema/key.ts';
import { NO_RECORD, parseRecordGroup } from '../table/record-groups.ts';
import type { StoreReader } from '../table/store-port.ts';
import { type SharedState, TABLE } from './shared-state.ts';
import type { TableTrees, Trees } from './tables.ts';

export class NamedVersions {
  readonly #sources = new Map<string, TableTrees>();
  readonly #shared: SharedState;
  readonly #reader: Pick<StoreReader, 'withEntry'>;

  constructor(trees: Trees, shared: SharedState, reader: Pick<StoreReader, 'withEntry'>) {
    for (const table of trees.tables.values()) {
      this.#sources.set(table.definition.typeName, table);
    }
    this.#shared = shared;
    this.#reader = reader;
  }

  /** False for a group that names no record of this node, or no version. */
  isNewer(own: TableTrees, group: string, at: EpochMs): boolean {
    const named = parseRecordGroup(group);
    const source = named && this.#sources.get(named.table);
    // What an upper node calls its copy of this very row is no record of this node.
    if (source === undefined || source === own || named?.version === undefined) return false;
    const { version } = named;
    const now =
      named.id === undefined
        ? this.#newestOf(source)
        : this.#versionOf(source, checkRecordId(source.definition, named.id), version);
    return now > version && versionTime(now) <= at;
  }

  #newestOf({ index }: TableTrees): RecordVersion {
    return (this.#shared.tables[index * TABLE.stride + TABLE.changed] ?? 0) as RecordVersion;
  }

  #versionOf(
    { name }: TableTrees,
    id: ReturnType<typeof checkRecordId>,
    named: RecordVersion,
  ): RecordVersion {
    if (isKeyProblem(id)) return NO_RECORD;
    return this.#reader.withEntry(name, id satisfies RecordId, '', (entry) => newsOf(entry, named));
  }
}

/** The version of a row, as news to what was made from the record as of `named`; else none. */
export function newsOf(entry: Entry | undefined, named: RecordVersion): RecordVersion {
  if (entry === undefined || entry.kind === 'pass') return NO_RECORD;
  // That there is no record is no news to a page made without one.
  return entry.kind !== 'record' && named === NO_RECORD ? NO_RECORD : entry.version;
}

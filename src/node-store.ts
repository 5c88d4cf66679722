/**
 * Opens the store of a node with the tables of its application, and the lists beside those that
 * are caches; counts what it reports, and logs what it cannot mend.
 */
import { SYSTEM_TABLES, WATCHED_TABLES } from './access/identity/system-tables.ts';
import { must } from './base/assert.ts';
import type { RecordId, TableName } from './base/brands.ts';
import type { Clock } from './base/clock.ts';
import type { Application } from './config/application.ts';
import type { Config } from './config/config.ts';
import { isClustered } from './node-link.ts';
import type { Seed } from './node-seeds.ts';
import type { Counted } from './observe/app-metrics.ts';
import type { Log } from './observe/log.ts';
import { countDuration, type DurationCounts, durationCounts } from './observe/request-meter.ts';
import { MQTT_SESSIONS } from './protocols/mqtt/session-table.ts';
import type { ComputedAttributes } from './schema/computed.ts';
import { type LmdbStoreOptions, openLmdbStore } from './store/lmdb/open.ts';
import type { Store } from './store/store-options.ts';
import { connectionTo, type StoreConnection } from './store/threads/messages.ts';
import { seedDefinition } from './table/seed-state.ts';
import { listDefinition } from './table/table-list.ts';
import { recordRules } from './worker-tables.ts';

const NO_VALUES = Object.freeze({});

export interface StoreParts {
  readonly application: Application;
  readonly computed: ComputedAttributes;
  readonly seeds: readonly Seed[];
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
}

export interface OpenStore {
  readonly store: Store;
  /** What a worker needs to read and write it. */
  readonly connection: StoreConnection;
  readonly commitDurations: DurationCounts;
  evictions(): Iterable<Counted>;
}

export async function openStore(parts: StoreParts): Promise<OpenStore> {
  const { application, computed, config, clock, log } = parts;
  const { tables } = application.schema;
  // A cache has a list beside it, should its origin be able to say what the collection is.
  const lists = tables.filter(({ sourcedFrom }) => sourcedFrom !== undefined).map(listDefinition);
  const seeded = [...new Set(parts.seeds.map(({ definition }) => definition))];
  const own = [...seeded.map(seedDefinition), ...SYSTEM_TABLES, MQTT_SESSIONS];
  const all = [...tables, ...lists, ...own];
  const rules = new Map(
    all.map((table) => [table.name, recordRules(table, application, computed)]),
  );
  const rulesOf = (table: TableName) => must(rules.get(table), `table ${table}`);
  const commitDurations = durationCounts();
  const evicted = new Map<string, { table: string; reason: string; value: number }>();
  const options: LmdbStoreOptions = {
    path: config.dataFolder,
    definitions: all,
    isReplicated: isClustered(config),
    watched: WATCHED_TABLES,
    clock,
    limits: config.limits,
    checkRecord: (table, record) => rulesOf(table).check(record, 'put'),
    indexedValues: (table, record) => rulesOf(table).indexed(record) ?? NO_VALUES,
    events: {
      committed: (seconds) => countDuration(commitDurations, seconds),
      undecodable: (table: TableName, key: RecordId) =>
        log.error({ table, key }, 'an entry cannot be decoded; it is not served'),
      evicted(table, reason, count) {
        const key = `${table} ${reason}`;
        const known = evicted.get(key) ?? { table, reason, value: 0 };
        evicted.set(key, { ...known, value: known.value + count });
      },
      bodyDamaged: (body) =>
        log.error({ body }, 'a stored body is not what was written; it is not served whole'),
      orphanSearchFailed: (error) =>
        log.error({ error: String(error) }, 'looking for bodies that nothing names failed'),
      indexBuildFailed: (error) => log.error({ error: String(error) }, 'building an index failed'),
    },
  };
  const store = await openLmdbStore(options);
  return {
    store,
    connection: connectionTo(store, options),
    commitDurations,
    *evictions() {
      for (const { table, reason, value } of evicted.values()) {
        yield { labels: { table, reason }, value };
      }
    },
  };
}

/**
 * Builds the tables of one thread from an application: policies with their hooks, origins, read
 * paths, record rules. Used by the store thread (operations, feeds) and by every app thread.
 */
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { must } from './base/assert.ts';
import type { TableName } from './base/brands.ts';
import type { Clock } from './base/clock.ts';
import { DEFAULT_POLICY, withTableTimes } from './cache/default-policy.ts';
import type { CacheEvents } from './cache/events.ts';
import type { CachePolicy } from './cache/policy.ts';
import type { Leases } from './cache/ports.ts';
import { createReadPath } from './cache/read-path.ts';
import type { Application, OriginSource, TablePolicy } from './config/application.ts';
import type { Config } from './config/config.ts';
import { applyOverrides } from './config/policy-file.ts';
import type { Surroundings } from './origin/attempts.ts';
import type { OriginObserver } from './origin/counters.ts';
import type { TableBinding } from './origin/definition.ts';
import { openCodeOrigin, openOrigin } from './origin/open-origin.ts';
import type { OriginRuntime } from './origin/runtime.ts';
import { loadOriginCode, loadPolicyCode } from './resource/load-code.ts';
import type { ComputedAttributes } from './schema/computed.ts';
import type { TableDefinition } from './schema/definition.ts';
import {
  compileComputeCheck,
  compileIndexedValues,
  indexedAttributes,
} from './schema/indexed-values.ts';
import { ProblemList } from './schema/problem.ts';
import { compileRecordCheck, formatRecordProblem } from './schema/record.ts';
import { entityTagOf } from './store/entity-tag.ts';
import { recordOfDraft, tableEntries } from './table/entries.ts';
import { LiveSource } from './table/live-source.ts';
import { createNewIds } from './table/new-ids.ts';
import { createScopes, type QueryScope } from './table/query/scope.ts';
import type { DraftContext, RecordRules } from './table/record-draft.ts';
import type { StoreReader, StoreWriter } from './table/store-port.ts';
import { Table } from './table/table.ts';
import { listDefinition, listOrigin, TableList } from './table/table-list.ts';
import { Tables } from './table/tables.ts';
import { WriteThrough } from './table/write-through.ts';
import type { PreparedApplication } from './worker-resources.ts';

export interface TableSurroundings {
  readonly application: Application;
  /** What the application's code brings: its tables are opened to it. */
  readonly prepared: Pick<PreparedApplication, 'codeOrigins' | 'computed' | 'open'>;
  readonly config: Config;
  readonly reader: StoreReader;
  readonly writer: StoreWriter;
  readonly leases: Leases;
  readonly clock: Clock;
  readonly events: CacheEvents;
  readonly originObserver: OriginObserver;
  /** Shared by all threads: the state of the live feeds. */
  readonly liveMemory: SharedArrayBuffer;
}

export interface ThreadTables {
  readonly tables: Tables;
  readonly origins: ReadonlyMap<string, OriginRuntime>;
  readonly live: ReadonlyMap<TableName, LiveSource>;
  /** What page tables share with the read paths of the others. */
  readonly leases: Leases;
  readonly events: CacheEvents;
}

/** Throws the errors of origins and application code (`CONFIG_INVALID`, `APPLICATION_INVALID`). */
export async function buildTables(around: TableSurroundings): Promise<ThreadTables> {
  const { application } = around;
  const origins = await openOrigins(around);
  const tables = new Tables();
  const live = new Map<TableName, LiveSource>();
  const scopeOf = createScopes(application.schema.tables, around.prepared.computed);
  for (const [index, definition] of application.schema.tables.entries()) {
    const policy = await tablePolicy(definition, application);
    const source = new LiveSource(around.liveMemory, index, policy.settings.freshness.default);
    live.set(definition.name, source);
    const scope = scopeOf(definition);
    tables.add(buildTable(scope, policy, origins, source, around));
  }
  around.prepared.open(tables);
  return { tables, origins, live, leases: around.leases, events: around.events };
}

function buildTable(
  scope: QueryScope,
  policy: CachePolicy,
  origins: ReadonlyMap<string, OriginRuntime>,
  source: LiveSource,
  around: TableSurroundings,
): Table {
  const { reader, writer, clock, config } = around;
  const { definition } = scope;
  const rules = recordRules(definition, around.application, around.prepared.computed);
  const entries = tableEntries(definition.name, reader, writer, (draft) =>
    rules.indexed(recordOfDraft(draft, definition.primaryKey)),
  );
  const origin = tableOrigin(definition, policy, origins);
  const reads = createReadPath({
    table: definition.name,
    entries,
    invalidations: reader.invalidations(definition.name),
    origin,
    policy,
    leases: around.leases,
    clock,
    random: Math.random,
    tagOf: entityTagOf,
    events: around.events,
    ...(definition.sourcedFrom === undefined
      ? {}
      : { fedSince: () => source.fedSince(clock.now()), fedUntil: () => source.fedUntil() }),
    limits: {
      fetchMsMax: config.limits.fetchMsMax,
      failureMarkersBytes: config.limits.failureMarkersBytes,
    },
  });
  const list = tableList(scope, policy, origins, around, () => table.draftContext());
  const { durability } = config.store;
  const isThrough = definition.sourcedFrom?.write === 'through';
  const table: Table = new Table({
    definition,
    scope,
    policy,
    reads,
    rows: origin === undefined ? undefined : reads,
    reader,
    writer,
    rules,
    clock,
    durability,
    ...(isThrough && origin !== undefined
      ? {
          through: new WriteThrough({
            definition,
            source: origin,
            reads,
            reader,
            writer,
            clock,
            durability,
          }),
        }
      : {}),
    list,
    newId: createNewIds(definition, writer, randomUUID),
  });
  return table;
}

/** The list of a cache whose origin can list; with a read path of its own. */
function tableList(
  { definition }: QueryScope,
  policy: CachePolicy,
  origins: ReadonlyMap<string, OriginRuntime>,
  around: TableSurroundings,
  draftContext: () => DraftContext,
): TableList | undefined {
  const { reader, writer, clock, config } = around;
  const { sourcedFrom } = definition;
  const runtime = sourcedFrom === undefined ? undefined : origins.get(sourcedFrom.origin);
  const list = runtime?.lister(tableBinding(definition));
  if (runtime === undefined || list === undefined) return undefined;
  const held = listDefinition(definition);
  const reads = createReadPath({
    table: held.name,
    entries: tableEntries(held.name, reader, writer, () => undefined),
    invalidations: reader.invalidations(held.name),
    origin: listOrigin(runtime.name, { definition, list, reader, writer, clock, draftContext }),
    policy,
    leases: around.leases,
    clock,
    random: Math.random,
    tagOf: entityTagOf,
    events: around.events,
    limits: {
      fetchMsMax: config.limits.fetchMsMax,
      failureMarkersBytes: config.limits.failureMarkersBytes,
    },
  });
  return new TableList(held, (request, answer) => reads.read(request, answer));
}

function tableOrigin(
  definition: TableDefinition,
  policy: CachePolicy,
  origins: ReadonlyMap<string, OriginRuntime>,
) {
  const { sourcedFrom } = definition;
  if (sourcedFrom === undefined) return undefined;
  const runtime = must(origins.get(sourcedFrom.origin), `origin ${sourcedFrom.origin}`);
  return runtime.table(tableBinding(definition), policy.settings.groups.from);
}

/** What an origin is told of a table over it. */
export const tableBinding = (definition: TableDefinition): TableBinding => ({
  table: definition.typeName,
  primaryKey: definition.primaryKey,
  path: definition.sourcedFrom?.path,
  takesBytes: definition.attributes.every((attribute) => attribute.primaryKey),
});

/** What the store and the tables ask about records of a table. */
export function recordRules(
  definition: TableDefinition,
  application: Application,
  computed: ComputedAttributes,
): RecordRules {
  const check = compileRecordCheck(definition, application.schema.objects);
  const compute = (attribute: string) => computed.get(definition.name, attribute);
  const values = compileIndexedValues(definition, compute);
  const computeProblem = compileComputeCheck(definition, compute);
  const hasIndexes = indexedAttributes(definition).length > 0;
  return {
    check(record, mode) {
      const problem = check(record, mode);
      if (problem !== undefined) return formatRecordProblem(problem);
      return mode === 'put' ? computeProblem(record) : undefined;
    },
    indexed: (record) => (hasIndexes ? values(record) : undefined),
  };
}

async function openOrigins(around: TableSurroundings): Promise<Map<string, OriginRuntime>> {
  const opened = new Map<string, OriginRuntime>();
  const surroundings = {
    clock: around.clock,
    random: Math.random,
    threads: around.config.threads,
    observer: around.originObserver,
  };
  const { application } = around;
  for (const [name, source] of application.origins) {
    opened.set(name, await openSource(name, source, application.folder, surroundings));
  }
  for (const [name, definition] of around.prepared.codeOrigins) {
    opened.set(name, openCodeOrigin(definition, name, surroundings));
  }
  return opened;
}

/** An origin of settings, of code, or of code with settings (`kind: module`). */
async function openSource(
  name: string,
  source: OriginSource,
  folder: string,
  surroundings: Surroundings,
): Promise<OriginRuntime> {
  if (source.kind === 'code') {
    return openCodeOrigin(await loadOriginCode(source.file), name, surroundings);
  }
  const { settings } = source;
  if (settings.kind !== 'module' || settings.module === undefined) {
    return openOrigin(settings, surroundings);
  }
  const code = await loadOriginCode(path.resolve(folder, settings.module), folder);
  return openCodeOrigin(code, name, surroundings, settings);
}

async function tablePolicy(
  definition: TableDefinition,
  application: Application,
): Promise<CachePolicy> {
  const source = application.tablePolicies.get(definition.name);
  const policy =
    source === undefined
      ? DEFAULT_POLICY
      : source.kind === 'settings'
        ? { settings: source.settings, hooks: {} }
        : await codePolicy(source);
  return definition.sourcedFrom === undefined ? policy : withDeclaredTimes(policy, definition);
}

/** `@table(expiration, eviction)` hold where `@cache` does not say the same thing itself. */
function withDeclaredTimes(policy: CachePolicy, definition: TableDefinition): CachePolicy {
  const said = definition.cache?.overrides ?? {};
  const { expiration, eviction } = definition;
  return withTableTimes(policy, {
    expiration: 'freshness' in said ? undefined : expiration,
    eviction: 'retention' in said ? undefined : eviction,
  });
}

async function codePolicy(source: Extract<TablePolicy, { kind: 'code' }>): Promise<CachePolicy> {
  const policy = await loadPolicyCode(source.file);
  const problems = new ProblemList();
  const settings = applyOverrides(policy.settings, source.overrides, problems);
  return { settings, hooks: policy.hooks };
}

/**
 * Builds the tables of one thread from an application: policies with their hooks, origins, read
 * paths, record rules. Used by the store thread (operations, feeds) and by every app thread.
 */
import { randomUUID } from 'node:crypto';
import { must } from './base/assert.ts';
import type { CacheFigures } from './base/bounded-cache.ts';
import type { TableName } from './base/brands.ts';
import type { Clock } from './base/clock.ts';
import { LoopShare } from './base/loop-share.ts';
import { createPace } from './base/pace.ts';
import type { CacheEvents } from './cache/events.ts';
import type { PageReads } from './cache/pages/page-reads.ts';
import { behindPeers } from './cache/peer-reads.ts';
import type { PeerReads } from './cache/peer-reply.ts';
import type { CachePolicy } from './cache/policy.ts';
import type { Leases, Origin } from './cache/ports.ts';
import { createReadPath, type ReadPath } from './cache/read-path.ts';
import type { FetchPace } from './cache/states.ts';
import type { Application } from './config/application.ts';
import type { Config } from './config/config.ts';
import { LIMITS } from './config/limits.ts';
import { breakerBytes, sharedCell } from './origin/breaker-cell.ts';
import type { OriginObserver } from './origin/counters.ts';
import type { TableBinding } from './origin/definition.ts';
import type { OriginRuntime } from './origin/runtime.ts';

import type { GuardMemory } from './protocols/http/guard-memory.ts';
import { threadScope } from './resource/thread-scope.ts';

import type { ComputedAttributes } from './schema/computed.ts';
import type { TableDefinition } from './schema/definition.ts';
import {
  compileComputeCheck,
  compileIndexedValues,
  indexedAttributes,
} from './schema/indexed-values.ts';
import { compileRecordCheck, formatRecordProblem } from './schema/record.ts';
import { entityTagOf } from './store/entity-tag.ts';
import { recordOfDraft, tableEntries } from './table/entries.ts';
import { LiveSource, liveSourceBytes } from './table/live-source.ts';
import { createNewIds } from './table/new-ids.ts';
import { createScopes, type QueryScope } from './table/query/scope.ts';
import type { DraftContext, RecordRules } from './table/record-draft.ts';
import type { StoreReader, StoreWriter } from './table/store-port.ts';
import { Table } from './table/table.ts';
import { listDefinition, listOrigin, TableList } from './table/table-list.ts';
import { Tables } from './table/tables.ts';
import { WriteThrough } from './table/write-through.ts';
import { ThreadOrigins } from './worker-origins.ts';
import { ThreadPolicies } from './worker-policies.ts';
import type { PreparedApplication } from './worker-resources.ts';

export interface TableSurroundings {
  readonly application: Application;
  /** What the application's code brings: its tables are opened to it. */
  readonly prepared: Pick<PreparedApplication, 'codeOrigins' | 'computed' | 'open' | 'staleHook'>;
  readonly config: Config;
  readonly reader: StoreReader;
  readonly writer: StoreWriter;
  readonly leases: Leases;
  /** Caches of other nodes that are asked before an origin. */
  readonly peers?: PeerReads | undefined;
  readonly clock: Clock;
  readonly events: CacheEvents;
  readonly originObserver: OriginObserver;
  /** Shared by all threads: the state of the live feeds. */
  readonly liveMemory: SharedArrayBuffer;
  readonly guard: GuardMemory;
}

export interface ThreadTables {
  readonly tables: Tables;
  readonly origins: ReadonlyMap<string, OriginRuntime>;
  readonly live: ReadonlyMap<TableName, LiveSource>;
  /** What page tables share with the read paths of the others. */
  readonly leases: Leases;
  readonly events: CacheEvents;
  /** Caches of other nodes that are asked before an origin. */
  readonly peers: PeerReads | undefined;
  /** Of page tables, as soon as one of them is asked for; see `worker-page-reads.ts`. */
  readonly pageReads: Map<TableName, PageReads>;
  /** What the thread does of fetches in one turn, for page tables too. */
  readonly pace: FetchPace;
  /** What a crowd of fetches leaves to others; told of those who are answered at once. */
  readonly share: LoopShare;
  /** Caches in memory beside the store; page tables add theirs. */
  readonly memory: CacheFigures[];
  /** What follows the application's files while the thread runs. */
  readonly followed: { readonly policies: ThreadPolicies; readonly origins: ThreadOrigins };
}

/** Throws the errors of origins and application code (`CONFIG_INVALID`, `APPLICATION_INVALID`). */
export async function buildTables(around: TableSurroundings): Promise<ThreadTables> {
  const { application, prepared, reader, clock } = around;
  threadScope().newFillTerms = () => ({
    requestedAt: clock.now(),
    stamp: reader.lastSequence(),
    reader,
  });
  const { fetchesPerTurnMax } = LIMITS;
  const pace = { replies: createPace(fetchesPerTurnMax), answers: createPace(fetchesPerTurnMax) };
  const share = new LoopShare(() => performance.eventLoopUtilization(), clock);
  const followed = {
    origins: await openOrigins(around, pace, share),
    policies: await ThreadPolicies.open(application, prepared.staleHook),
  };
  const origins = followed.origins.runtimes;
  const tables = new Tables();
  const live = new Map<TableName, LiveSource>();
  const memory: CacheFigures[] = [];
  const judges = new Map<TableName, ReadPath>();
  const { computed } = around.prepared;
  const scopeOf = createScopes(application.schema.tables, computed, (table, now) =>
    judges.get(table)?.rowContextAt(now),
  );
  for (const [index, definition] of application.schema.tables.entries()) {
    const policy = followed.policies.of(definition.name);
    const source = new LiveSource(around.liveMemory, index, policy.settings.freshness.default);
    live.set(definition.name, source);
    const scope = scopeOf(definition);
    tables.add(buildTable(scope, policy, origins, source, { ...around, memory, judges, pace }));
  }
  followed.policies.tables = tables;
  around.prepared.open(tables);
  const { leases, events, peers } = around;
  const pageReads = new Map<TableName, PageReads>();
  return {
    ...{ tables, origins, live, leases, events, peers, pageReads, pace, share, memory, followed },
  };
}

async function openOrigins(
  around: TableSurroundings,
  { replies, answers }: FetchPace,
  share: LoopShare,
): Promise<ThreadOrigins> {
  const { application, prepared, config, clock, originObserver: observer } = around;
  const { random } = Math;
  const isPressed = () => around.guard.level > 0;
  const { threads } = config;
  const breakerOf = sharedBreakers(around);
  // What comes back waits for its turn in the order in which it came: only starts are fair.
  const isBehind = () => replies.waiting + answers.waiting >= LIMITS.fetchesPerTurnMax;
  const surroundings = {
    ...{ clock, random, threads, observer, isPressed, isBehind, breakerOf, share },
  };
  const origins = await ThreadOrigins.open(application.origins, application.folder, surroundings);
  for (const [name, definition] of prepared.codeOrigins) origins.addCode(name, definition);
  return origins;
}

/** The breakers of origins from files stand behind the states of the live feeds, by name. */
function sharedBreakers({ application, liveMemory: memory }: TableSurroundings) {
  const names = [...application.origins.keys()].sort();
  const from = liveSourceBytes(application.schema.tables.length);
  const clockOffsetMs = performance.timeOrigin;
  return (name: string) => {
    const index = names.indexOf(name);
    const at = from + breakerBytes(index);
    return index < 0 ? undefined : sharedCell({ memory, at, clockOffsetMs });
  };
}

/** What the tables of a thread have in common, put together while they are built. */
interface Gathered extends Pick<ThreadTables, 'memory' | 'pace'> {
  /** The read paths by whose policies rows of caches are judged, also where another table joins. */
  readonly judges: Map<TableName, ReadPath>;
}

function buildTable(
  scope: QueryScope,
  policy: CachePolicy,
  origins: ReadonlyMap<string, OriginRuntime>,
  source: LiveSource,
  around: TableSurroundings & Gathered,
): Table {
  const { reader, writer, clock, config } = around;
  const { definition } = scope;
  const rules = recordRules(definition, around.application, around.prepared.computed);
  const hasIndexes = indexedAttributes(definition).length > 0;
  const entries = tableEntries(definition.name, reader, writer, (draft) =>
    hasIndexes ? rules.indexed(recordOfDraft(draft, definition.primaryKey)) : undefined,
  );
  const origin = tableOrigin(definition, () => table.policy.settings.groups.from, origins);
  const reads = createReadPath({
    table: definition.name,
    entries,
    invalidations: reader.invalidations(definition.name),
    origin: origin && shielded(definition, origin, around),
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
    pace: around.pace,
  });
  around.memory.push(reads.memory);
  if (origin !== undefined) around.judges.set(definition.name, reads);
  const listed = openList(scope, policy, origins, around, () => table.draftContext());
  const { durability } = config.store;
  const isThrough = definition.sourcedFrom?.write === 'through';
  const through = (source: NonNullable<typeof origin>) =>
    new WriteThrough({ definition, source, reads, reader, writer, clock, durability });
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
    ...(isThrough && origin !== undefined ? { through: through(origin) } : {}),
    list: listed?.list,
    newId: createNewIds(definition, writer, randomUUID),
  });
  table.onPolicy((renewed) => {
    reads.usePolicy(renewed);
    listed?.reads.usePolicy(renewed);
    source.useFreshness(renewed.settings.freshness.default);
  });
  return table;
}

/** The list of a cache whose origin can list; with a read path of its own. */
function openList(
  { definition }: QueryScope,
  policy: CachePolicy,
  origins: ReadonlyMap<string, OriginRuntime>,
  around: TableSurroundings,
  draftContext: () => DraftContext,
): { readonly list: TableList; readonly reads: ReadPath } | undefined {
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
  const read = reads.read.bind(reads);
  return { list: new TableList(held, read, () => runtime.listBy), reads };
}

function tableOrigin(
  definition: TableDefinition,
  groupsFrom: () => readonly string[],
  origins: ReadonlyMap<string, OriginRuntime>,
) {
  const { sourcedFrom } = definition;
  if (sourcedFrom === undefined) return undefined;
  const runtime = must(origins.get(sourcedFrom.origin), `origin ${sourcedFrom.origin}`);
  return runtime.table(tableBinding(definition), groupsFrom);
}

/** With `cluster.shield`, the caches of other nodes stand before the origin. */
function shielded(
  { name: table }: TableDefinition,
  origin: Origin,
  { peers, reader, clock }: TableSurroundings,
): Origin {
  if (peers === undefined) return origin;
  const stamp = () => reader.lastSequence();
  return behindPeers({ origin, table, peers, stamp, now: () => clock.now() });
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

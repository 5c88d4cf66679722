/**
 * Starts the admin port: health, metrics and operations over what the node runs. What they answer
 * is read from the store, the feeds and the counters at the time they are asked.
 */
import { RefusalLog, requestRefusals } from './access/refusal-log.ts';
import type { Clock } from './base/clock.ts';
import { NodeError } from './base/errors.ts';
import { NO_REQUEST_DIRECTIVES } from './cache/directives.ts';
import { toldSchemes } from './cache/pages/cache-key.ts';
import type { Config } from './config/config.ts';
import type { ReloadParts } from './config/reload.ts';
import type { RunningFeeds } from './node-feeds.ts';
import type { HostedOrigins } from './node-hosted.ts';
import type { NodeIdentity } from './node-identity.ts';
import type { RunningMqtt } from './node-mqtt.ts';
import type { Reloading } from './node-reload.ts';
import type { RunningReplication } from './node-replication.ts';
import type { OpenStore } from './node-store.ts';
import { ArrayMetrics } from './observe/array-metrics.ts';
import type { Log } from './observe/log.ts';
import { type AskWorker, createScrape } from './observe/scrape.ts';
import { registerStoreMetrics } from './observe/store-metrics.ts';
import { isOwnOperation, needsOf, runOperation } from './operations/api.ts';
import { type LiveClients, together } from './operations/live/live-clients.ts';
import type { Operation, OperationContext } from './operations/operation.ts';
import type { PurgeLog } from './operations/purge-log.ts';
import { type Asker, createAdminHandler, type HealthReport } from './protocols/http/admin.ts';
import type { ChosenEngine } from './protocols/http/engine.ts';
import { hostCheck } from './protocols/http/host-list.ts';
import type { TlsCertificates } from './protocols/http/tls-files.ts';
import { readForCode } from './resource/record-read.ts';
import type { CallSurroundings } from './resource/run-call.ts';
import { runRegistered } from './resource/run-operation.ts';
import { searchTable } from './resource/search.ts';
import { threadScope } from './resource/thread-scope.ts';
import type { Tables } from './table/tables.ts';
import { httpLimits } from './worker-app.ts';
import { userOf } from './worker-code.ts';
import type { PreparedApplication } from './worker-resources.ts';
import { followUrlKeys } from './worker-url-keys.ts';

export interface AdminAssembly {
  readonly config: Config;
  readonly clock: Clock;
  readonly engine: ChosenEngine;
  readonly tls: TlsCertificates | undefined;
  readonly identity: NodeIdentity;
  /** Number of settings that are less safe than the defaults. */
  readonly insecure: number;
  readonly metrics: ArrayMetrics;
  readonly store: OpenStore;
  readonly tables: Tables;
  readonly feeds: RunningFeeds;
  readonly hosted: HostedOrigins;
  readonly mqtt: RunningMqtt | undefined;
  readonly replication: RunningReplication | undefined;
  /** What follows the files on the store thread: whatever can, adds itself. */
  readonly reload: ReloadParts;
  readonly reloading: Reloading;
  readonly purges: PurgeLog;
  readonly prepared: PreparedApplication;
  readonly log: Log;
  readonly scrapeWorkers: () => readonly AskWorker[];
  readonly clients: () => readonly LiveClients[];
}

export interface RunningAdmin {
  readonly port: number;
  /** From now on the node says that it is not ready. */
  draining(): void;
  stop(): Promise<void>;
}

const WARM_AFTER_MS = 1_000;
const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost']);

export async function startAdmin(parts: AdminAssembly): Promise<RunningAdmin> {
  const { config, engine } = parts;
  connectStoreMetrics(parts);
  const rejected = new Map<string, number>();
  const refused = new Map<string, number>();
  const adminCounts = observeAdmin(rejected, refused, parts);
  const scrape = createScrape(parts.metrics, () => [
    ...parts.scrapeWorkers(),
    async () => adminCounts.documents(),
    async () => parts.mqtt?.metrics.documents() ?? [],
    async () => parts.replication?.metrics.documents() ?? [],
  ]);
  let status: 'ready' | 'stopping' = 'ready';
  const context = operationContext(parts, async () => (await scrape.read()).text);
  threadScope().runOperation = (document, by) =>
    runOperation(document, { ...context, ...ownAsker(by) });
  const listener = await engine.listen({
    host: config.admin.host,
    port: config.admin.port,
    shared: false,
    limits: { ...httpLimits(config), connectionsMax: config.limits.adminConnectionsMax },
    tls: config.admin.tls ? parts.tls : undefined,
    http2: config.http.http2,
    onRefused: (limit) => refused.set(limit, (refused.get(limit) ?? 0) + 1),
    onDenied: deniedTo(parts),
    handler: createAdminHandler({
      ...parts.identity.authenticator,
      runOperation: (document, asker) => runOperation(document, { ...context, ...asker }),
      needsOf: (name) => needsOf(name, context.added),
      answersHost: hostCheck(config.admin.host, config.http.allowedHosts),
      awaitsSetup: () => parts.identity.setup?.isOpen === true,
      metrics: () => scrape.read(),
      health: () => health(status, parts),
      openMetrics: LOOPBACK.has(config.admin.host),
      bodyBytesMax: config.limits.requestBodyBytesMax,
      impersonate: parts.identity.impersonate,
      onRejected: (method) => rejected.set(method, (rejected.get(method) ?? 0) + 1),
    }),
    allowedOrigins: [],
  });
  // Watching the process begins when the start is over.
  setTimeout(() => void scrape.warm(), WARM_AFTER_MS).unref();
  return {
    port: listener.port,
    draining() {
      status = 'stopping';
    },
    stop: () => listener.close(),
  };
}

/** What operations work on; who asks is told beside it. */
function operationContext(
  parts: AdminAssembly,
  metrics: OperationContext['metrics'],
): Omit<OperationContext, keyof Asker> {
  let { urlKeys } = parts.config.auth;
  const useKeys = (keys: typeof urlKeys): void => {
    urlKeys = keys;
  };
  parts.reload.add(followUrlKeys(urlKeys, useKeys));
  return {
    added: addedOperations(parts),
    identity: {
      ...parts.identity,
      auditWritten: () => parts.identity.auditLog.flush(),
      now: () => parts.clock.now(),
    },
    pageSchemes: toldSchemes(parts.config.http.trustedProxies),
    get urlKeys() {
      return urlKeys;
    },
    live: together(() => [...parts.clients(), ...(parts.mqtt ? [parts.mqtt.clients] : [])]),
    tables: parts.tables,
    cluster: parts.replication?.cluster,
    purges: parts.purges,
    metrics,
    reload: (dryRun) => parts.reloading.reload(dryRun),
    backup: (folder) => parts.store.store.backupTo(folder),
    records: {
      search: (table, query, bind) => searchTable(table, query, NO_REQUEST_DIRECTIVES, bind),
      read: async (table, id, isOwnOnly) =>
        (await readForCode(table, id, NO_REQUEST_DIRECTIVES, { isOwnOnly })).found?.record,
    },
  };
}

/** Whoever is not granted something here is remembered. */
function deniedTo({ identity, clock }: AdminAssembly) {
  const refusals = new RefusalLog(identity.audit, () => clock.now());
  return requestRefusals(refusals, identity.authenticator.authenticate, 'operations');
}

/** Code of the application asks in its own name, with all rights. */
const ownAsker = (by: string): Asker => ({
  by,
  principal: { kind: 'admin', name: by },
  address: '',
  authorization: undefined,
  session: undefined,
  setCookie: () => undefined,
});

/** Throws `APPLICATION_INVALID` for one that has the name of the node's own. */
function addedOperations({ prepared, config, clock, log, store }: AdminAssembly): Operation[] {
  const around: CallSurroundings = {
    commit: (ops) => store.store.commit(ops, config.store.durability),
    clock,
    deadlineMs: config.limits.resourceMsMax,
    late: (error) => log.error({ error: stackOf(error) }, 'an operation of the application failed'),
  };
  return prepared.resources.operations.map((added) => {
    const { name, needs } = added;
    if (isOwnOperation(name)) {
      const message = `server.operation: ${name} is an operation of the node; choose another name`;
      throw new NodeError('APPLICATION_INVALID', message);
    }
    return {
      name,
      needs,
      takes: 'anything',
      run: (args, { principal }) =>
        runRegistered(added, { operation: name, ...args }, userOf(principal), around),
    };
  });
}

const stackOf = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? error.message) : String(error);

/** Counted apart and added up at scrape: the app threads have a metric of the same name. */
function observeAdmin(
  rejected: ReadonlyMap<string, number>,
  refused: ReadonlyMap<string, number>,
  { identity, insecure }: AdminAssembly,
): ArrayMetrics {
  const metrics = new ArrayMetrics();
  metrics.counter('millrace_auth_failures_total', 'Credentials rejected', function* () {
    for (const [method, value] of rejected) yield { labels: { method }, value };
  });
  metrics.counter('millrace_limits_hit_total', 'Times a limit refused something', function* () {
    for (const [limit, value] of refused) yield { labels: { limit }, value };
  });
  const help = 'Defaults of safety that the configuration has loosened';
  metrics.gauge('millrace_insecure_settings', help, 'first', () => [
    { labels: {}, value: insecure },
  ]);
  const lost = 'Audit events that were left out for want of room';
  metrics.counter('millrace_audit_events_lost_total', lost, () => [
    { labels: {}, value: identity.auditLog.lost },
  ]);
  return metrics;
}

/** A feed that is down leaves the node ready: its table goes by freshness lifetimes meanwhile. */
function health(
  status: 'ready' | 'stopping',
  { feeds, hosted, replication }: Pick<AdminAssembly, 'feeds' | 'hosted' | 'replication'>,
): HealthReport {
  const renderers = [...hosted.states()];
  const states = [...feeds.states()];
  const report = Object.fromEntries(
    states.map(([origin, state]) => [
      origin,
      state.kind === 'down'
        ? { connected: false, since: state.since, error: state.error?.message }
        : { connected: state.kind === 'connected' },
    ]),
  );
  const isWell =
    states.every(([, state]) => state.kind === 'connected') &&
    renderers.every(([, state]) => state.kind === 'up');
  const cluster = replication?.health();
  // What it does not hold yet it would answer as absent.
  const isJoining = status === 'ready' && cluster?.isCatchingUp === true;
  return {
    status: isJoining ? 'starting' : status === 'ready' && !isWell ? 'degraded' : status,
    feeds: report,
    ...(cluster === undefined ? {} : { cluster }),
    ...(renderers.length === 0 ? {} : { renderers: Object.fromEntries(renderers) }),
  };
}

function connectStoreMetrics(parts: AdminAssembly): void {
  const { store } = parts.store;
  const perTable = (read: (size: { entries: number; bytes: number }) => number) =>
    parts.tables.all().map((table) => ({
      labels: { table: table.definition.typeName },
      value: read(table.size()),
    }));
  registerStoreMetrics(parts.metrics, {
    entries: () => perTable((size) => size.entries),
    bytes: () => perTable((size) => size.bytes),
    evictions: () => parts.store.evictions(),
    purges: () =>
      [...parts.purges.counts()].map(({ table, kind, value }) => ({
        labels: { table, kind },
        value,
      })),
    logEntries: () => store.stats().logEntries,
    logBytes: () => store.stats().logBytes,
    storeBytes: () => store.stats().storeBytes,
    writeQueueDepth: () => store.stats().queueDepth,
    commitDurations: () => [{ labels: {}, counts: parts.store.commitDurations }],
    *feedsConnected() {
      for (const [origin, state] of parts.feeds.states()) {
        yield { labels: { origin }, value: state.kind === 'connected' ? 1 : 0 };
      }
    },
    *renderersUp() {
      for (const [origin, state] of parts.hosted.states()) {
        yield { labels: { origin }, value: state.kind === 'up' ? 1 : 0 };
      }
    },
    *rendererRestarts() {
      for (const [origin, { restarts }] of parts.hosted.states()) {
        yield { labels: { origin }, value: restarts };
      }
    },
    engine: () => ({ labels: { engine: parts.engine.engine }, value: 1 }),
  });
}

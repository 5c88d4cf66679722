/**
 * Entry of an app thread: reads the application itself (hooks and code cannot be sent), connects to
 * the store thread for writes and leases, and serves the app port until it is told to stop.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { must } from './base/assert.ts';
import { systemClock } from './base/clock.ts';
import { asNodeError, type ErrorCode, NodeError } from './base/errors.ts';
import type { Config } from './config/config.ts';
import { adoptLimits } from './config/limits.ts';
import { ReloadParts } from './config/reload.ts';
import type { Roles } from './config/roles-file.ts';
import { ArrayMetrics } from './observe/array-metrics.ts';
import { createCacheCounts } from './observe/cache-counts.ts';
import { createLog, type Log } from './observe/log.ts';
import { logLevelPart } from './observe/log-level.ts';
import { createOriginTimes } from './observe/origin-times.ts';
import type { MetricsJson } from './observe/scrape.ts';
import { selectEngine } from './protocols/http/engine.ts';
import { GuardMemory } from './protocols/http/guard-memory.ts';
import { relayTo } from './protocols/mqtt/relay.ts';
import type { VerdictLine } from './protocols/rest/resource.ts';
import { exitProcess } from './resource/exit-guard.ts';
import { threadScope } from './resource/thread-scope.ts';
import { connectStore } from './store/threads/connect.ts';
import type { StoreConnection } from './store/threads/messages.ts';
import type { PurgeNote } from './table/purge-note.ts';
import type { StoreReader, StoreWriter } from './table/store-port.ts';
import { type RunningApp, startApp } from './worker-app.ts';
import { loadApplication } from './worker-application.ts';
import { serveClients } from './worker-clients-port.ts';
import { type HostedPorts, withHostedOrigins } from './worker-hosted.ts';
import { connectSignIns, type KnownAdmin, threadIdentity } from './worker-identity.ts';
import { connectLeases } from './worker-leases.ts';
import { connectAppMetrics } from './worker-metrics.ts';
import { countCertificateStatus } from './worker-ocsp.ts';
import { connectOperations } from './worker-operations.ts';
import { connectPeerReads } from './worker-peer-reads.ts';
import { connectPresence } from './worker-presence.ts';
import { startPulse } from './worker-pulse.ts';
import { serveReload } from './worker-reload.ts';
import { catchCodeFaults, prepareApplication } from './worker-resources.ts';
import { ThreadRoles } from './worker-roles.ts';
import { buildTables } from './worker-tables.ts';
import { certificatesPart, openCertificates } from './worker-tls.ts';

export interface WorkerData {
  readonly id: number;
  readonly appFolder: string;
  readonly config: Config;
  readonly connection: StoreConnection;
  readonly liveMemory: SharedArrayBuffer;
  readonly guardMemory: SharedArrayBuffer;
  readonly hostedPorts: HostedPorts;
  readonly port: number;
  readonly shared: boolean;
  /** Whether somebody wants to read the verdict of every request. */
  readonly verdicts: boolean;
  readonly storePort: MessagePort;
  readonly leasePort: MessagePort;
  readonly shieldPort: MessagePort;
  readonly signInPort: MessagePort;
  readonly admin: KnownAdmin;
  readonly controlPort: MessagePort;
  readonly reloadPort: MessagePort;
  readonly presencePort: MessagePort;
  readonly clientsPort: MessagePort;
  /** Absent when no table is reached over MQTT. */
  readonly mqttPort: MessagePort | undefined;
}

export type ToWorker =
  | { readonly kind: 'stop' }
  | { readonly kind: 'metrics'; readonly call: number };

export type FromWorker =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string }
  | { readonly kind: 'metrics'; readonly call: number; readonly metrics: MetricsJson }
  | { readonly kind: 'purged'; readonly note: PurgeNote }
  | { readonly kind: 'verdict'; readonly line: VerdictLine };

const DAMAGED_BODY = 'a stored body is not what was written; it is not served whole';

const thread = workerData as WorkerData;
const say = (message: FromWorker) => thread.controlPort.postMessage(message);

async function run(): Promise<void> {
  const metrics = new ArrayMetrics();
  threadScope().runOperation = connectOperations(must(parentPort, 'the store thread'));
  const app = await start(metrics);
  thread.controlPort.on('message', (message: ToWorker) => {
    if (message.kind === 'stop') void stop(app);
    else {
      const { call } = message;
      say({ kind: 'metrics', call, metrics: metrics.documents() });
    }
  });
  startPulse(new GuardMemory(thread.guardMemory), thread.id);
  say({ kind: 'listening', port: app.listener.port });
}

/** What the app port is opened with. */
async function openDoor(config: Config) {
  const engine = await selectEngine(config.http.engine, {
    uwsPath: config.http.uwsPath,
    tls: config.tls !== undefined,
  });
  const tls = openCertificates(config, engine.engine);
  return { engine, tls, certificates: certificatesPart(tls, engine.engine, config.tls?.ocsp) };
}

async function start(metrics: ArrayMetrics): Promise<RunningApp> {
  const { config } = thread;
  adoptLimits(config.limits);
  const log = createLog(config.log.level, `${config.cluster.name}/${thread.id}`);
  const loaded = loadApplication(thread.appFolder);
  if (loaded.application === undefined) {
    throw new NodeError('APPLICATION_INVALID', 'the application changed while the node started');
  }
  const prepared = await prepareApplication(loaded.application, log);
  const application = withHostedOrigins(prepared.application, thread.hostedPorts);
  catchCodeFaults(application.folder, log);
  const { reader, writer, bodies } = connectStore(thread.connection, thread.storePort, {
    clock: systemClock,
    undecodable: (table, key) => log.error({ table, key }, 'an entry cannot be decoded'),
    bodyDamaged: (body) => log.error({ body }, DAMAGED_BODY),
  });
  const guard = new GuardMemory(thread.guardMemory);
  const cacheCounts = createCacheCounts({ complain: (facts, message) => log.warn(facts, message) });
  const originTimes = createOriginTimes();
  const threadTables = await buildTables({
    application,
    prepared,
    config,
    reader,
    writer,
    leases: connectLeases(thread.leasePort),
    peers: config.cluster.shield ? connectPeerReads(thread.shieldPort) : undefined,
    clock: systemClock,
    events: cacheCounts.events,
    originObserver: originTimes.observer,
    liveMemory: thread.liveMemory,
    guard,
  });
  for (const origin of threadTables.origins.values()) origin.start();
  const { followed } = threadTables;
  const identity = identityOf({ reader, writer }, application.roles, log);
  countCertificateStatus(identity.certificateStatus, metrics);
  const roles = new ThreadRoles(identity.identities, application.roles, identity.audit);
  const reload = new ReloadParts();
  const { engine, tls, certificates } = await openDoor(config);
  const level = logLevelPart(log, config.log.level);
  for (const part of [followed.origins, followed.policies, roles, certificates, level]) {
    reload.add(part);
  }
  const app = await startApp({
    ...{ prepared, config, engine, tls, threadTables, identity, reload },
    ...{ reader, writer, bodies },
    onPurged: (note) => say({ kind: 'purged', note }),
    clock: systemClock,
    log,
    guard,
    port: thread.port,
    workerIndex: thread.id - 1,
    shared: thread.shared,
    presence: connectPresence(thread.presencePort, systemClock),
    mqtt: thread.mqttPort && relayTo(thread.mqttPort),
    onVerdict: thread.verdicts ? (line) => say({ kind: 'verdict', line }) : undefined,
  });
  connectAppMetrics(metrics, {
    app,
    origins: threadTables.origins,
    memoryCaches: threadTables.memory,
    cacheCounts,
    originTimes,
  });
  serveReload(reload, thread.reloadPort);
  serveClients(app.clients, thread.clientsPort);
  return app;
}

const identityOf = (
  store: { readonly reader: StoreReader; readonly writer: StoreWriter },
  roles: Roles,
  log: Log,
) =>
  threadIdentity({
    ...{ ...store, roles, log },
    signIns: connectSignIns(thread.signInPort),
    admin: thread.admin,
    config: thread.config,
    clock: systemClock,
    thread: thread.id,
  });

/** The app is closed before the thread ends: an open listener would abort the whole process. */
async function stop(app: RunningApp): Promise<void> {
  await app.stop();
  exitProcess(0);
}

run().catch((error: unknown) => {
  const { code, message } = asNodeError(error);
  say({ kind: 'failed', code, message });
});

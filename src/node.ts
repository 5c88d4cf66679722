/**
 * The composition root: the only file which constructs the adapters and gives them to the core. It
 * makes the store thread, and with one thread also the app that serves from it; with more, the
 * workers that do (`node-workers.ts`).
 *
 *   store ─► tables ─┬─ threads: 1 ─► app on this thread
 *                    └─ threads: N ─► N workers, each: reader + link to this thread's writer
 *         ─► feeds, admin port, sweeping of what has expired
 */
import type { Audit } from './access/audit.ts';
import { durationMs } from './base/brands.ts';
import { type Clock, systemClock } from './base/clock.ts';
import { NodeError } from './base/errors.ts';
import { localLeases } from './cache/collapse.ts';
import { LeaseTable, leasesAt } from './cache/lease-table.ts';
import type { PeerReads } from './cache/peer-reply.ts';
import type { Leases } from './cache/ports.ts';
import type { Application } from './config/application.ts';
import type { Config } from './config/config.ts';
import { insecureSettings } from './config/insecure-settings.ts';
import { type ReloadPart, ReloadParts } from './config/reload.ts';
import { PresenceHub } from './feed/presence.ts';
import { startAdmin } from './node-admin.ts';
import { startFeeds } from './node-feeds.ts';
import { openGuard, startNodeGuard } from './node-guard.ts';
import { type HostedOrigins, startHosted, withKnownPort } from './node-hosted.ts';
import { type NodeIdentity, openIdentity } from './node-identity.ts';
import { type RunningMqtt, startMqtt } from './node-mqtt.ts';
import {
  localThread,
  type ReadConfiguration,
  Reloading,
  type ReloadReport,
  type ReloadThread,
} from './node-reload.ts';
import { type RunningReplication, startReplication } from './node-replication.ts';
import { loadSeeds, readSeeds, type Seed } from './node-seeds.ts';
import { CachesForPeers, LatePeers } from './node-shield.ts';
import { type OpenStore, openStore } from './node-store.ts';
import { startWorkers } from './node-workers.ts';
import { ArrayMetrics } from './observe/array-metrics.ts';
import { createCacheCounts } from './observe/cache-counts.ts';
import type { LevelledLog, Log } from './observe/log.ts';
import { logLevelPart } from './observe/log-level.ts';
import { createOriginTimes } from './observe/origin-times.ts';
import { PurgeLog } from './operations/purge-log.ts';
import { breakerBytes } from './origin/breaker-cell.ts';
import { type ChosenEngine, selectEngine } from './protocols/http/engine.ts';
import type { GuardMemory } from './protocols/http/guard-memory.ts';
import type { TlsCertificates } from './protocols/http/tls-files.ts';
import type { VerdictLine } from './protocols/rest/resource.ts';
import { formatProblem } from './schema/problem.ts';
import { liveSourceBytes } from './table/live-source.ts';
import type { PurgeNote } from './table/purge-note.ts';
import { startApp } from './worker-app.ts';
import { withHostedOrigins } from './worker-hosted.ts';
import { ThreadLimits } from './worker-limits.ts';
import { connectAppMetrics } from './worker-metrics.ts';
import { countCertificateStatus } from './worker-ocsp.ts';
import { localPresence } from './worker-presence.ts';
import {
  catchCodeFaults,
  type PreparedApplication,
  prepareApplication,
} from './worker-resources.ts';
import { ThreadRoles } from './worker-roles.ts';
import { buildTables, type ThreadTables } from './worker-tables.ts';
import { certificatesPart, openCertificates } from './worker-tls.ts';

export interface NodeOptions {
  readonly application: Application;
  readonly config: Config;
  /** Reads application and configuration again, as they were read for this start. */
  readonly read: () => ReadConfiguration;
  readonly log: LevelledLog;
  readonly onVerdict?: ((line: VerdictLine) => void) | undefined;
  /** Called when the node cannot go on (a worker died): the process should end. */
  readonly onFatal: (error: unknown) => void;
}

export interface RunningNode {
  readonly engine: ChosenEngine;
  readonly httpPort: number;
  readonly adminPort: number;
  /** What is less safe than the defaults, a line for each. */
  readonly insecure: readonly string[];
  /** Makes the first administrator; absent when there is one. */
  readonly setupToken: string | undefined;
  /** Takes over what changed in the files; with `dryRun` only says what that would be. */
  reload(dryRun: boolean): Promise<ReloadReport>;
  /** `undefined`: no table is reached over MQTT, or its port was taken. */
  readonly mqttPort: number | undefined;
  /** `ws://host:port` for other nodes; `undefined` outside of a cluster. */
  readonly replicationUrl: string | undefined;
  stop(): Promise<void>;
}

/** What serves the app port: this thread, or workers. */
export interface ServingApp {
  readonly port: number;
  stop(): Promise<void>;
}

/** Workers count from 1. */
const MAIN_THREAD = 0;
const SWEEP_EVERY = durationMs(1_000);
/** Rounds of one sweep, each within the store's own budget. */
const SWEEP_ROUNDS_MAX = 50;

/**
 * Starts a node; resolves once it answers. Throws `NodeError`s that name the cause and the cure.
 */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const { log } = options;
  const clock = systemClock;
  const engine = await selectEngine(options.config.http.engine, {
    uwsPath: options.config.http.uwsPath,
    tls: options.config.tls !== undefined,
  });
  // A changed binary is not loaded; somebody should hear of it all the same.
  const level = engine.reason.includes('SHA-256') ? 'warn' : 'info';
  log[level]({ engine: engine.engine, reason: engine.reason }, 'HTTP engine chosen');
  const prepared = await prepareApplication(options.application, log);
  const seeds = soundSeeds(prepared.application);
  const stopCatching = catchCodeFaults(prepared.application.folder, log);
  const config = await withKnownPort(options.config, prepared.application);
  const { schema, origins } = prepared.application;
  const feedBytes = liveSourceBytes(schema.tables.length);
  const liveMemory = new SharedArrayBuffer(feedBytes + breakerBytes(origins.size));
  const guard = openGuard(config);
  const tls = openCertificates(config, engine.engine);
  const store = await openStore({
    application: prepared.application,
    computed: prepared.computed,
    seeds,
    config,
    clock,
    log,
  });
  const started: (() => Promise<void>)[] = [async () => stopCatching(), () => store.store.close()];
  try {
    // With the store in hand: a second node that waits for it starts no second renderer.
    const hosted = await startHosted(prepared.application, { clock, log, config });
    started.push(() => hosted.stop());
    const application = withHostedOrigins(prepared.application, hosted.ports);
    return await assemble(
      {
        ...{
          ...options,
          config,
          application,
          prepared,
          clock,
          engine,
          liveMemory,
          guard,
          tls,
          store,
        },
        ...{ hosted, seeds, readAt: { application: options.application, config: options.config } },
      },
      started,
    );
  } catch (error) {
    for (const undo of started.reverse()) await undo();
    throw error;
  }
}

/** Throws `APPLICATION_INVALID` when a seed file cannot be what it is for. */
function soundSeeds(application: Application): readonly Seed[] {
  const { seeds, problems } = readSeeds(application);
  if (problems.length === 0) return seeds;
  throw new NodeError('APPLICATION_INVALID', problems.map(formatProblem).join('\n'), {
    details: { problems },
  });
}

interface Assembly extends NodeOptions {
  readonly prepared: PreparedApplication;
  /** As the files had it at the start: without what code or this node added. */
  readonly readAt: Pick<NodeOptions, 'application' | 'config'>;
  readonly seeds: readonly Seed[];
  readonly clock: Clock;
  readonly engine: ChosenEngine;
  readonly liveMemory: SharedArrayBuffer;
  readonly guard: GuardMemory;
  readonly tls: TlsCertificates | undefined;
  readonly store: OpenStore;
  readonly hosted: HostedOrigins;
}

async function assemble(parts: Assembly, started: (() => Promise<void>)[]): Promise<RunningNode> {
  const { config, clock, log, store, engine } = parts;
  const [leaseTable, peers] = [new LeaseTable(), new LatePeers()];
  const metrics = new ArrayMetrics();
  const cacheCounts = createCacheCounts({ complain: (facts, message) => log.warn(facts, message) });
  const originTimes = createOriginTimes();
  const threadTables = await buildTables({
    ...{ ...parts, reader: store.store, writer: store.store },
    ...{ leases: leasesOf(config, leaseTable), peers: config.cluster.shield ? peers : undefined },
    ...{ events: cacheCounts.events, originObserver: originTimes.observer },
  });
  const identity = identityOf(parts, metrics);
  started.push(() => identity.close());
  const { followed, memory: memoryCaches, tables } = threadTables;
  await loadSeeds(parts.seeds, { tables, reader: store.store, writer: store.store, clock, log });
  const roles = new ThreadRoles(identity.identities, parts.application.roles, identity.audit);
  const limits = new ThreadLimits(config);
  const { origins: ownOrigins, policies } = followed;
  const reload = reloadParts([ownOrigins, policies, roles, limits, ...ownFiles(parts)]);
  const origins = startOrigins(threadTables, started);
  const presences = new PresenceHub();
  const mqtt = await startMqtt({
    ...{ ...parts, ...identity, tables, presences, limits, store: store.store },
  });
  if (mqtt !== undefined) started.push(() => mqtt.stop());
  const replication = await joined(parts, { threadTables, peers, reload }, started);
  const purges = new PurgeLog(clock);
  const served = {
    ...parts,
    reload,
    identity,
    mqtt,
    leaseTable,
    peers,
    presences,
    ...noting(purges, identity.audit),
  };
  const serving = await serve(served, threadTables, (app) =>
    connectAppMetrics(metrics, { app, origins, memoryCaches, cacheCounts, originTimes }),
  );
  started.push(() => serving.stop());
  const reloading = startReloading(parts, reload, serving.reloadThreads);
  const feeds = startFeeds({ ...threadTables, writer: store.store, clock, log });
  started.push(() => feeds.stop());
  const insecure = insecureSettings(config, parts.application);
  const admin = await startAdmin({
    ...{ ...parts, tables, identity, metrics, feeds, mqtt, reload, reloading, purges, replication },
    insecure: insecure.length,
    scrapeWorkers: serving.scrapeWorkers,
    clients: serving.clients,
  });
  started.push(() => admin.stop());
  started.push(startNodeGuard({ ...parts, metrics }));
  const stopSweeping = sweepRegularly(store, clock, log);
  return {
    engine,
    httpPort: serving.port,
    adminPort: admin.port,
    insecure,
    setupToken: identity.setup?.token,
    reload: (dryRun) => reloading.reload(dryRun),
    mqttPort: mqtt?.port,
    replicationUrl: replication?.url,
    async stop() {
      admin.draining();
      stopSweeping();
      for (const undo of started.splice(0).reverse()) await undo();
    },
  };
}

const ownFiles = ({ tls, engine, log, config }: Assembly) => [
  certificatesPart(tls, engine.engine, config.tls?.ocsp),
  logLevelPart(log, config.log.level),
];

/** With workers this thread is one more who fetches: for other nodes. */
const leasesOf = ({ threads }: Config, table: LeaseTable): Leases =>
  threads > 1 ? leasesAt(table, MAIN_THREAD) : localLeases();

interface Joined {
  readonly threadTables: ThreadTables;
  readonly peers: LatePeers;
  readonly reload: ReloadParts;
}

/** The node's part in its cluster, if it is in one. */
async function joined(
  { config, clock, log, store }: Assembly,
  { threadTables, peers, reload }: Joined,
  started: (() => Promise<void>)[],
): Promise<RunningReplication | undefined> {
  const { replica } = store.store;
  if (replica === undefined) return undefined;
  const caches = new CachesForPeers({ config, threadTables, clock, store: store.store });
  const replication = await startReplication({ config, clock, log, caches, store: replica });
  peers.use(replication.peers);
  reload.add(replication.trust);
  started.push(() => replication.stop());
  return replication;
}

function reloadParts(parts: readonly ReloadPart[]): ReloadParts {
  const list = new ReloadParts();
  for (const part of parts) list.add(part);
  return list;
}

/** What `parts.application` is here has the ports of hosted origins; what was read has not. */
function startReloading(
  { read, hosted, clock, log, readAt }: Assembly,
  reload: ReloadParts,
  workers: () => readonly ReloadThread[],
): Reloading {
  return new Reloading({
    read,
    running: readAt,
    forThreads: (next) => ({
      ...next,
      application: withHostedOrigins(next.application, hosted.ports),
    }),
    follows: () => reload.settings,
    threads: () => [localThread(reload), ...workers()],
    clock,
    log,
  });
}

function identityOf(
  { store, config, application, clock, log }: Assembly,
  metrics: ArrayMetrics,
): NodeIdentity {
  const own = { config, clock, log, store: store.store, roles: application.roles };
  const identity = openIdentity(own);
  countCertificateStatus(identity.certificateStatus, metrics);
  return identity;
}

function startOrigins({ origins }: ThreadTables, started: (() => Promise<void>)[]) {
  for (const origin of origins.values()) {
    origin.start();
    started.push(() => origin.stop());
  }
  return origins;
}

type ConnectApp = (app: Awaited<ReturnType<typeof startApp>>) => void;

/** A purge by the URL of a page; an operation tells of its own. */
const noting = (purges: PurgeLog, audit: Audit) => ({
  onPurged: (note: PurgeNote) => {
    purges.add(note);
    const { by, address, kind: scope, soft, count } = note;
    for (const table of note.tables) {
      const what = { kind: 'purged', table, scope, soft, count } as const;
      audit({ ...what, by, address, protocol: 'http' });
    }
  },
});

interface Served {
  readonly leaseTable: LeaseTable;
  readonly peers: PeerReads;
  readonly reload: ReloadParts;
  readonly identity: NodeIdentity;
  readonly mqtt: RunningMqtt | undefined;
  readonly presences: PresenceHub;
  readonly onPurged: (note: PurgeNote) => void;
}

/** The app on this thread, or on workers. */
async function serve(parts: Assembly & Served, threadTables: ThreadTables, connect: ConnectApp) {
  const { config, engine, store, presences } = parts;
  if (config.threads > 1) return startWorkers(parts);
  const app = await startApp({
    ...parts,
    reader: store.store,
    writer: store.store,
    bodies: store.store.bodies,
    threadTables,
    presence: localPresence(presences, parts.clock),
    port: config.http.port,
    shared: false,
    engine,
    mqtt: parts.mqtt?.accept,
    onVerdict: parts.onVerdict,
  });
  connect(app);
  return {
    port: app.listener.port,
    scrapeWorkers: () => [],
    reloadThreads: () => [],
    clients: () => [app.clients],
    stop: () => app.stop(),
  };
}

/** Removes what has expired, a little at a time, for as long as the node runs. */
function sweepRegularly({ store }: OpenStore, clock: Clock, log: Log): () => void {
  let cancel = () => {};
  let stopped = false;
  const sweep = async () => {
    try {
      let { more } = await store.sweep();
      for (let round = 1; more && round < SWEEP_ROUNDS_MAX; round += 1) {
        ({ more } = await store.sweep());
      }
    } catch (error) {
      log.error({ error: String(error) }, 'sweeping failed');
    }
    if (!stopped) cancel = clock.after(SWEEP_EVERY, () => void sweep());
  };
  cancel = clock.after(SWEEP_EVERY, () => void sweep());
  return () => {
    stopped = true;
    cancel();
  };
}

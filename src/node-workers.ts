/**
 * The app threads of a node with more than one: starts each, serves its writes and leases, asks it
 * for metrics, and stops all of them. A worker that ends by itself ends the node: its state is in
 * doubt, and the supervisor starts a new one within a second.
 */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { NodeError } from './base/errors.ts';
import type { LeaseTable } from './cache/lease-table.ts';
import type { PeerReads } from './cache/peer-reply.ts';
import type { Config } from './config/config.ts';
import type { PresenceHub } from './feed/presence.ts';
import type { HostedOrigins } from './node-hosted.ts';
import type { NodeIdentity } from './node-identity.ts';
import type { RunningMqtt } from './node-mqtt.ts';
import type { ReloadThread } from './node-reload.ts';
import type { OpenStore } from './node-store.ts';
import type { Log } from './observe/log.ts';
import type { AskWorker, MetricsJson } from './observe/scrape.ts';
import type { LiveClients } from './operations/live/live-clients.ts';
import type { ChosenEngine } from './protocols/http/engine.ts';
import type { GuardMemory } from './protocols/http/guard-memory.ts';
import { probePort } from './protocols/http/port-probe.ts';
import { serveRelayed } from './protocols/mqtt/relay.ts';
import type { VerdictLine } from './protocols/rest/resource.ts';
import { serveWriters } from './store/threads/serve.ts';
import type { PurgeNote } from './table/purge-note.ts';
import type { FromWorker, ToWorker, WorkerData } from './worker.ts';
import { clientsOver } from './worker-clients-port.ts';
import { serveSignIns } from './worker-identity.ts';
import { serveLeases } from './worker-leases.ts';
import { serveOperations } from './worker-operations.ts';
import { servePeerReads } from './worker-peer-reads.ts';
import { servePresence } from './worker-presence.ts';
import { reloadOver } from './worker-reload.ts';

export interface WorkersParts {
  readonly config: Config;
  readonly engine: ChosenEngine;
  readonly store: OpenStore;
  readonly leaseTable: LeaseTable;
  readonly peers: PeerReads;
  readonly liveMemory: SharedArrayBuffer;
  readonly guard: GuardMemory;
  readonly hosted: HostedOrigins;
  readonly presences: PresenceHub;
  readonly identity: NodeIdentity;
  readonly mqtt: RunningMqtt | undefined;
  readonly log: Log;
  readonly onVerdict?: ((line: VerdictLine) => void) | undefined;
  readonly onPurged: (note: PurgeNote) => void;
  readonly onFatal: (error: unknown) => void;
}

export interface RunningWorkers {
  readonly port: number;
  scrapeWorkers(): readonly AskWorker[];
  reloadThreads(): readonly ReloadThread[];
  clients(): readonly LiveClients[];
  stop(): Promise<void>;
}

/** A thread that does not answer in this time is left out of a scrape. */
const SCRAPE_MS = 1_000;

export async function startWorkers(parts: WorkersParts): Promise<RunningWorkers> {
  const { config, engine, log } = parts;
  const count = engine.sharesPorts ? config.threads : 1;
  if (count < config.threads) {
    log.warn({ engine: engine.engine }, 'this engine cannot share a port: one app thread serves');
  }
  // Asked exclusively first: with SO_REUSEPORT another process could join silently. And a free port
  // is chosen here, since uWS shares only ports that it is told.
  const port = await probePort(config.host, config.http.port);
  const workers = await startAll(parts, count, port);
  return {
    port: workers[0]?.port ?? port,
    scrapeWorkers: () => workers.map((worker) => () => worker.metrics()),
    reloadThreads: () => workers.map((worker) => worker.reload),
    clients: () => workers.map((worker) => worker.clients),
    async stop() {
      await Promise.all(workers.map((worker) => worker.stop()));
    },
  };
}

/** The binary of the engine was checked once for the whole process. */
const threadConfig = ({ config, engine }: WorkersParts): Config => ({
  ...config,
  http: { ...config.http, uwsPath: engine.uwsPath },
});

/** All or none: a worker that listens while the process ends would abort it. */
async function startAll(
  parts: WorkersParts,
  count: number,
  port: number,
): Promise<readonly WorkerThread[]> {
  const starts = Array.from({ length: count }, (_, index) =>
    WorkerThread.start(parts, index + 1, port, count > 1),
  );
  const settled = await Promise.allSettled(starts);
  const started = settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const failed = settled.find((each) => each.status === 'rejected');
  if (failed === undefined) return started;
  await Promise.all(started.map((worker) => worker.stop()));
  throw failed.reason;
}

class WorkerThread {
  readonly port: number;
  readonly reload: ReloadThread;
  readonly clients: LiveClients;
  readonly #worker: Worker;
  readonly #control: MessagePort;
  readonly #ended: Promise<void>;
  readonly #waiting = new Map<number, (metrics: MetricsJson) => void>();
  #asked = 0;
  #stopping = false;

  private constructor(
    worker: Worker,
    ports: Readonly<Record<'control' | 'reload' | 'clients', MessagePort>>,
    port: number,
    ended: Promise<void>,
  ) {
    this.#worker = worker;
    this.#control = ports.control;
    this.reload = reloadOver(ports.reload);
    this.clients = clientsOver(ports.clients);
    this.port = port;
    this.#ended = ended;
  }

  static async start(
    parts: WorkersParts,
    id: number,
    port: number,
    shared: boolean,
  ): Promise<WorkerThread> {
    const store = new MessageChannel();
    const leases = new MessageChannel();
    const shield = new MessageChannel();
    const signIns = new MessageChannel();
    const control = new MessageChannel();
    const reload = new MessageChannel();
    const presence = new MessageChannel();
    const clients = new MessageChannel();
    const mqtt = parts.mqtt && new MessageChannel();
    const workerData: WorkerData = {
      id,
      appFolder: parts.config.appFolder,
      config: threadConfig(parts),
      connection: parts.store.connection,
      liveMemory: parts.liveMemory,
      guardMemory: parts.guard.buffer,
      hostedPorts: parts.hosted.ports,
      port,
      shared,
      verdicts: parts.onVerdict !== undefined,
      storePort: store.port2,
      leasePort: leases.port2,
      shieldPort: shield.port2,
      signInPort: signIns.port2,
      admin: parts.identity.admin,
      controlPort: control.port2,
      reloadPort: reload.port2,
      presencePort: presence.port2,
      clientsPort: clients.port2,
      mqttPort: mqtt?.port2,
    };
    if (mqtt !== undefined && parts.mqtt !== undefined) serveRelayed(mqtt.port1, parts.mqtt.accept);
    serveWriters(parts.store.store, store.port1);
    serveLeases(parts.leaseTable, leases.port1, id);
    servePeerReads(parts.peers, shield.port1);
    serveSignIns(parts.identity.signIns, signIns.port1);
    servePresence(parts.presences, presence.port1);
    const worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData,
      transferList: [
        store,
        leases,
        shield,
        signIns,
        control,
        reload,
        presence,
        clients,
        ...(mqtt ? [mqtt] : []),
      ].map((each) => each.port2),
    });
    serveOperations(worker);
    const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    const bound = await listening(worker, control.port1);
    const ports = { control: control.port1, reload: reload.port1, clients: clients.port1 };
    const thread = new WorkerThread(worker, ports, bound, ended);
    thread.#follow(parts);
    return thread;
  }

  metrics(): Promise<MetricsJson | undefined> {
    this.#asked += 1;
    const call = this.#asked;
    return new Promise((resolve) => {
      const late = setTimeout(() => {
        this.#waiting.delete(call);
        resolve(undefined);
      }, SCRAPE_MS);
      this.#waiting.set(call, (metrics) => {
        clearTimeout(late);
        resolve(metrics);
      });
      this.#control.postMessage({ kind: 'metrics', call } satisfies ToWorker);
    });
  }

  /**
   * The worker closes its listener and then ends by itself: ending it from outside would abort the
   * process.
   */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#control.postMessage({ kind: 'stop' } satisfies ToWorker);
    await this.#ended;
  }

  #follow(parts: WorkersParts): void {
    this.#control.on('message', (message: FromWorker) => {
      if (message.kind === 'metrics') {
        this.#waiting.get(message.call)?.(message.metrics);
        this.#waiting.delete(message.call);
      } else if (message.kind === 'verdict') parts.onVerdict?.(message.line);
      else if (message.kind === 'purged') parts.onPurged(message.note);
    });
    this.#worker.on('error', (error) => parts.onFatal(error));
    void this.#ended.then(() => {
      this.#control.close();
      if (!this.#stopping) parts.onFatal(new NodeError('INTERNAL', 'an app thread ended'));
    });
  }
}

/** The port a worker listens on, or the error that kept it from it. */
function listening(worker: Worker, control: MessagePort): Promise<number> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.once('exit', () => reject(new NodeError('INTERNAL', 'an app thread ended at start')));
    control.once('message', (message: FromWorker) => {
      if (message.kind === 'listening') resolve(message.port);
      else if (message.kind === 'failed') {
        reject(new NodeError(message.code, message.message));
      }
    });
  });
}

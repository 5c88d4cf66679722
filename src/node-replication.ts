/**
 * Replication as the node assembles it: the store, the connections and the core put together on the
 * thread that owns the store; what operators are told of it, and what its operations are run on.
 */
import { createHash, randomUUID } from 'node:crypto';
import { tableName } from './base/brands.ts';
import type { Clock } from './base/clock.ts';
import { NO_PEERS, type PeerReads } from './cache/peer-reply.ts';
import type { Config } from './config/config.ts';
import { LIMITS } from './config/limits.ts';
import type { ReloadPart } from './config/reload.ts';
import { type NodeLink, openLink } from './node-link.ts';
import { PurgeRelay } from './node-purge-relay.ts';
import { LagWatch } from './node-replication-lag.ts';
import { replicationMetrics } from './node-replication-metrics.ts';
import { ArrayMetrics } from './observe/array-metrics.ts';
import type { Log } from './observe/log.ts';
import type { ClusterContext } from './operations/cluster/context.ts';
import type { PeerConnection } from './protocols/replication/connection.ts';
import type { OwnCaches } from './replication/answer-misses.ts';
import type { ReplicationEvents } from './replication/options.ts';
import type { LogEntry, ReplicaStore } from './replication/ports.ts';
import { createReplicator, type Replicator } from './replication/replicator.ts';
import { type Selection, travels } from './replication/selection.ts';

export interface ReplicationParts {
  readonly config: Config;
  readonly store: ReplicaStore;
  readonly clock: Clock;
  readonly log: Log;
  /** What this node's caches have for others. */
  readonly caches: OwnCaches;
}

export interface RunningReplication {
  /** The caches of the other nodes. */
  readonly peers: PeerReads;
  /** What was bound: `ws://host:port`. */
  readonly url: string;
  readonly cluster: ClusterContext;
  readonly metrics: ArrayMetrics;
  /** Follows certificates and revocations. */
  readonly trust: ReloadPart;
  health(): ClusterHealth;
  stop(): Promise<void>;
}

export interface ClusterHealth {
  /** Names of other nodes. */
  readonly connected: readonly string[];
  readonly unreachable: readonly string[];
  /** It holds less than the others did when it came, and is on its way. */
  readonly isCatchingUp: boolean;
  readonly clockAheadMs?: number | undefined;
}

const ROUTES_NOTE = 'replication/routes';

/** Rejects with `PORT_IN_USE` or `CONFIG_INVALID`. */
export async function startReplication(parts: ReplicationParts): Promise<RunningReplication> {
  const { config, store, clock, log } = parts;
  let replicator: Replicator | undefined;
  const accept = (connection: PeerConnection) => {
    if (replicator === undefined) connection.close('this node is starting');
    else replicator.accept(connection);
  };
  // The core looks at this list each time it dials.
  const peers = [...config.cluster.peers];
  const heard = (url: string) => {
    if (!peers.includes(url) && peers.length < LIMITS.replicationConnectionsMax) peers.push(url);
  };
  const link = await openLink({ config, log, accept, heard });
  const { name } = config.cluster;
  const routes = storedRoutes(store);
  peers.push(...routes);
  const selection = config.cluster.select.map((rule) => ({
    ...rule,
    table: rule.table === undefined ? undefined : tableName(rule.table),
  }));
  const running: Replicator = createReplicator({
    ...{ store, clock, name, peers, urls: link.urls, dial: link.dial },
    random: Math.random,
    cluster: link.cluster,
    instance: randomUUID(),
    ...{ selection, backbone: link.backbone },
    shield: { caches: parts.caches, newestOwn: () => purges.newestOwn() },
    events: toldTo(log, clock),
  });
  replicator = running;
  const purges: PurgeRelay = new PurgeRelay(store, running, goesOut(store, selection));
  const lag = new LagWatch(running, clock);
  const metrics = new ArrayMetrics();
  replicationMetrics(metrics, { replicator: running, lag, counts: link.counts, store });
  return {
    url: link.local,
    trust: link.trust,
    peers: running.shield ?? NO_PEERS,
    cluster: clusterContext({ running, link, store, lag, purges, routes, peers }),
    metrics,
    health: () => healthOf(running),
    async stop() {
      lag.stop();
      purges.stop();
      running.stop();
      await link.close();
    },
  };
}

/** Whether rules let other nodes hear of a change that was made here. */
const goesOut =
  (store: ReplicaStore, selection: Selection) =>
  (entry: LogEntry): boolean => {
    if (entry.kind !== 'row' && entry.kind !== 'message') return entry.kind === 'invalidation';
    const table = store.tables().find(({ name }) => name === entry.table);
    return table !== undefined && travels(selection, table, entry.id, 'send');
  };

function healthOf(replicator: Replicator): ClusterHealth {
  const { peers, isCaughtUp, clockAheadMs } = replicator.status();
  const members = peers.filter(({ isMember }) => isMember);
  const connected = members.filter(({ isConnected }) => isConnected);
  return {
    connected: connected.map(({ name }) => name),
    unreachable: members.filter(({ isConnected }) => !isConnected).map(({ name }) => name),
    // Alone it serves what it has: nobody could tell it more.
    isCatchingUp: !isCaughtUp && connected.some(({ isJoining }) => isJoining === false),
    ...(clockAheadMs > 0 && { clockAheadMs }),
  };
}

function storedRoutes(store: ReplicaStore): readonly string[] {
  const stored = store.note(ROUTES_NOTE);
  return Array.isArray(stored) ? stored.filter((route) => typeof route === 'string') : [];
}

/** A node that is turned away comes again every few seconds: it is told of once a minute. */
const REFUSAL_TOLD_EVERY_MS = 60_000;
/** Whoever can reach the port chooses names: as many are remembered. */
const REFUSALS_REMEMBERED = 256;

/** Whether something was not told of just now. */
function onceAMinute(clock: Clock): (what: string) => boolean {
  const told = new Map<string, number>();
  return (what) => {
    const now = clock.monotonic();
    const last = told.get(what);
    if (last !== undefined && now - last < REFUSAL_TOLD_EVERY_MS) return false;
    if (told.size >= REFUSALS_REMEMBERED) told.clear();
    told.set(what, now);
    return true;
  };
}

function toldTo(log: Log, clock: Clock): ReplicationEvents {
  const isNews = onceAMinute(clock);
  return {
    connected: (peer) => log.info({ peer }, 'connected to another node'),
    disconnected: (peer, why) => log.info({ peer, why }, 'the connection to another node ended'),
    dismissed(peer, code, message) {
      const told = `a connection between nodes was ended: ${message}`;
      // Of two connections one is too many, and whoever stops says so: nothing is wrong.
      if (code === 'SPARE' || code === 'LEAVING') log.debug({ peer, code }, told);
      else if (isNews(`${peer} ${code}`)) log.warn({ peer, code }, told);
      else log.debug({ peer, code }, told);
    },
    refused(peer, why) {
      const told = 'another node sent a frame that is wrong';
      if (isNews(`${peer} frame`)) log.warn({ peer, why }, told);
      else log.debug({ peer, why }, told);
    },
    held: (peer) =>
      log.error(
        { peer },
        'changes of another node are stamped ahead of the clock, and wait for it',
      ),
    clockAhead: (ms) =>
      ms > 0
        ? log.error(
            { ms },
            'the clock of this machine runs ahead: writes are refused until it is set',
          )
        : log.info({}, 'the clock is right again: writes are taken'),
    nameTaken: (by) =>
      by === undefined
        ? log.info({}, 'no other node has the name of this one any more: writes are taken')
        : log.error(
            { by },
            'another node has the name of this one: writes are refused until it is stopped, or ' +
              'this one has another name (--node-name)',
          ),
    wasAway: (dropped) =>
      dropped === undefined
        ? log.warn(
            {},
            'this node was away for longer than limits.tombstoneRetentionMs: it serves ' +
              'nobody before it has dropped what was deleted meanwhile, by the rows of a ' +
              'node that was there; start one, or raise the limit if there was none',
          )
        : log.info({ dropped }, 'rows that were deleted while this node was away are gone'),
    caughtUp: () => log.info({}, 'this node holds what the others held when it came'),
    removed: () => log.warn({}, 'this node was removed from the cluster by another'),
    failed: (error) => log.error({ error: String(error) }, 'replication failed; it is tried again'),
  };
}

interface ContextParts {
  readonly running: Replicator;
  readonly link: NodeLink;
  readonly store: ReplicaStore;
  readonly lag: LagWatch;
  readonly purges: PurgeRelay;
  readonly routes: readonly string[];
  /** What the core dials. */
  readonly peers: string[];
}

function clusterContext(parts: ContextParts): ClusterContext {
  const { running, link, store, lag, purges, peers } = parts;
  let routes = parts.routes;
  return {
    status() {
      const status = running.status();
      const told = status.peers.map((peer) => ({ ...peer, lagSeconds: lag.secondsOf(peer.name) }));
      return { ...status, urls: link.urls, peers: told };
    },
    async addNode(url) {
      const connection = await link.dial(url);
      connection.close('this was to ask for the name');
      running.addMember(connection.peer, [url]);
      return connection.peer;
    },
    removeNode: (name) => running.removeMember(name),
    get routes() {
      return routes;
    },
    async setRoutes(next) {
      await store.apply({ items: [], cursors: new Map(), notes: { [ROUTES_NOTE]: next } });
      const others = peers.filter((url) => !routes.includes(url));
      peers.splice(0, peers.length, ...others, ...next);
      routes = next;
    },
    digests: () =>
      store.tables().map(({ name }) => ({ table: name, digest: digestText(store, name) })),
    verify: () => running.verify(),
    confirmPurges: () => purges.confirmed(),
    confirmWrites(least, names) {
      const place = store.horizon().sequence;
      const { replicationConfirmMsMax } = LIMITS;
      return names === undefined
        ? running.confirmations(place, least, replicationConfirmMsMax)
        : running.confirmations(place, least, replicationConfirmMsMax, names);
    },
  };
}

function digestText(store: ReplicaStore, table: Parameters<ReplicaStore['digest']>[0]) {
  const buckets = store.digest(table);
  if (buckets === undefined) return undefined;
  return createHash('sha256').update(buckets).digest('hex').slice(0, 32);
}

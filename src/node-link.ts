/**
 * The connections of a node to the others of its cluster: how it proves who it is, the port on
 * which it is dialled, and how it dials. Without a cluster token and without certificates there
 * are none, and no port is opened.
 */
import { createHash } from 'node:crypto';
import { networkInterfaces } from 'node:os';
import type { Duplex } from 'node:stream';
import { NodeError } from './base/errors.ts';
import type { Config } from './config/config.ts';
import type { ReloadPart } from './config/reload.ts';
import { ClusterTrust } from './node-cluster-trust.ts';
import type { ArrayMetrics } from './observe/array-metrics.ts';
import type { Log } from './observe/log.ts';
import { ClusterFolder } from './protocols/replication/cluster-folder.ts';
import type { PeerConnection } from './protocols/replication/connection.ts';
import { LinkCounts } from './protocols/replication/counts.ts';
import { dialPeer } from './protocols/replication/dial.ts';
import { type LinkOptions, switchedAddress } from './protocols/replication/link-options.ts';
import { listenForPeers } from './protocols/replication/listener.ts';
import { ClusterSecret } from './protocols/replication/proof.ts';
import type { Switchboard } from './protocols/replication/switchboard.ts';
import type { Backbone } from './replication/backbone-port.ts';

export interface NodeLink {
  readonly port: number;
  /** What was bound, for whoever is on this machine. */
  readonly local: string;
  /** Where others reach this node, as far as it knows itself; the likeliest first. */
  readonly urls: readonly string[];
  /** Nodes that know another token, or another authority, are of another cluster. */
  readonly cluster: string;
  readonly counts: LinkCounts;
  /** A stream that a server keeps for all nodes. */
  readonly backbone: Backbone | undefined;
  /** Follows certificates and revocations while the node runs. */
  readonly trust: ReloadPart;
  dial(url: string): Promise<PeerConnection>;
  close(): Promise<void>;
}

export interface LinkParts {
  readonly config: Config;
  readonly log: Log;
  readonly accept: (connection: PeerConnection) => void;
  /** There is a node that can be dialled under this address. */
  readonly heard: (url: string) => void;
}

/** Whether other nodes are to be talked to. Throws `CONFIG_INVALID` when they could not be. */
export function isClustered(config: Config): boolean {
  const { cluster, dataFolder } = config;
  if (cluster.nats.embedded) {
    const message = 'cluster.nats.embedded: no node runs a NATS server of its own';
    const cure =
      'run a nats-server beside the nodes and name it in cluster.nats.url, or use --peer';
    throw new NodeError('CONFIG_INVALID', `${message}; ${cure}`);
  }
  const hasToken = cluster.token !== undefined;
  if (hasToken || cluster.tls !== undefined || new ClusterFolder(dataFolder).hasCertificates) {
    return true;
  }
  if (cluster.peers.length === 0 && cluster.nats.url === undefined) return false;
  const key = cluster.nats.url === undefined ? 'cluster.peers' : 'cluster.nats.url';
  const message = `${key} is set, but nothing by which the nodes know one another`;
  const cure = 'give all of them one --cluster-token, or certificates by millrace cluster';
  throw new NodeError('CONFIG_INVALID', `${message}; ${cure}`);
}

/** Of a node that `isClustered`. Rejects with `PORT_IN_USE` or `CONFIG_INVALID`. */
export async function openLink(parts: LinkParts): Promise<NodeLink> {
  const { config, log, accept } = parts;
  const { cluster, host, replication } = config;
  const folder = new ClusterFolder(config.dataFolder);
  const trust = new ClusterTrust(config);
  const { tls } = trust;
  const counts = new LinkCounts();
  const onFault = (error: unknown) =>
    log.error({ error: String(error) }, 'a frame of another node could not be obeyed');
  const secret =
    cluster.token === undefined ? undefined : await ClusterSecret.derive(cluster.token);
  const options: LinkOptions = {
    ...{ name: cluster.name, secret },
    get tls() {
      return trust.tls;
    },
    revoked: () => trust.revoked,
    watch: { counts, onFault },
  };
  const listener = await listenForPeers({
    ...{ ...options, host, port: replication.port },
    accept: (connection) => accept(trust.watch(connection)),
    admit: folder.mayInvite ? (request) => folder.admit(request, Date.now()) : undefined,
  });
  trust.onRenewed = (renewed) => listener.useCertificates(renewed);
  const id = clusterId(tls?.ca ?? cluster.token ?? '');
  const board = await switchboard(parts, {
    ...{ cluster: id, accept: listener.take },
    secret: tls === undefined ? secret : undefined,
  });
  const at = (address: string) =>
    `${tls === undefined ? 'ws' : 'wss'}://${urlHost(address)}:${listener.port}`;
  return {
    port: listener.port,
    local: at(LISTENS_EVERYWHERE.has(host) ? '127.0.0.1' : host),
    urls: cluster.url === undefined ? (board?.urls ?? addressesOf(host).map(at)) : [cluster.url],
    cluster: id,
    counts,
    backbone: board?.backbone,
    trust,
    dial: async (url) => trust.watch(await dialPeer(url, options, board?.dial)),
    async close() {
      await board?.close();
      await listener.close();
    },
  };
}

const clusterId = (shared: string): string =>
  createHash('sha256').update(`millrace cluster ${shared}`).digest('hex').slice(0, 24);

interface Board extends Switchboard {
  /** Where this node is reached over it. */
  readonly urls: readonly string[];
  readonly backbone: Backbone | undefined;
}

interface BoardParts {
  readonly cluster: string;
  readonly accept: (stream: Duplex) => void;
  /** By which messages that a server keeps are sealed: without it there is no backbone. */
  readonly secret: ClusterSecret | undefined;
}

/** The way over a NATS server, where there is one; its library is loaded then only. */
async function switchboard(
  { config, log, heard }: LinkParts,
  { cluster, accept, secret }: BoardParts,
): Promise<Board | undefined> {
  const { name, nats } = config.cluster;
  const { url } = nats;
  if (url === undefined) return undefined;
  const { openBackbone, openSwitchboard } = await import('./protocols/replication/nats.ts');
  const backbone =
    secret && nats.stream.isEnabled
      ? openBackbone({ cluster, secret, settings: nats.stream, told: streamTold(log) })
      : undefined;
  if (backbone === undefined) log.info({}, withoutStream(nats.stream.isEnabled));
  const board = openSwitchboard({
    ...{ url, name, cluster, accept, heard, backbone },
    told(state, detail) {
      if (state === 'connected') log.info({ server: detail }, 'connected to the NATS server');
      else log.warn({ why: detail }, 'no connection to the NATS server; it is tried again');
    },
  });
  return {
    ...{ urls: [switchedAddress(name)], backbone },
    dial: (node) => board.dial(node),
    close: () => board.close(),
  };
}

const withoutStream = (isEnabled: boolean): string =>
  'changes travel over connections between the nodes and not by a stream of the NATS server: ' +
  (isEnabled
    ? 'its messages are sealed with cluster.token, and this node has certificates instead'
    : 'cluster.nats.stream.enabled is false');

const streamTold = (log: Log) => (state: 'attached' | 'detached', detail: string) => {
  if (state === 'attached') log.info({ stream: detail }, 'changes travel by a JetStream stream');
  else {
    const told = 'no JetStream stream: changes travel over connections between the nodes';
    log.warn({ why: detail }, told);
  }
};

const LISTENS_EVERYWHERE: ReadonlySet<string> = new Set(['0.0.0.0', '::']);
const ADDRESSES_MAX = 8;

/** A node that listens everywhere is reached under each address of its machine. */
function addressesOf(host: string): readonly string[] {
  if (!LISTENS_EVERYWHERE.has(host)) return [host];
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const reachable = own.filter(({ internal, address }) => !internal && !/^fe80:/i.test(address));
  const found = reachable.map(({ address }) => address).slice(0, ADDRESSES_MAX);
  return found.length === 0 ? ['127.0.0.1'] : found;
}

const urlHost = (host: string): string => (host.includes(':') ? `[${host}]` : host);

/** What happens on the port and on the connections. */
export function linkMetrics(metrics: ArrayMetrics, counts: LinkCounts): void {
  const bytes = 'Bytes between this node and others';
  metrics.counter('millrace_replication_bytes_total', bytes, function* () {
    for (const [peer, { sent, received }] of counts.bytes) {
      yield { labels: { peer, direction: 'sent' }, value: sent };
      yield { labels: { peer, direction: 'received' }, value: received };
    }
  });
  const refused = 'Connections and frames that were refused, by reason';
  metrics.counter('millrace_replication_refused_total', refused, function* () {
    for (const [reason, value] of counts.refusals) yield { labels: { reason }, value };
  });
}

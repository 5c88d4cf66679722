/**
 * `add_node` (also `set_node`, `update_node`): takes a node in by its address, after asking it for
 * its name. `remove_node`: it is gone for good, or this one leaves. `configure_cluster`: the nodes
 * named are all there are.
 */
import type { Arguments, Operation, OperationContext } from '../operation.ts';
import { usage } from '../operation.ts';
import { clusterOf } from './context.ts';

const PORT = 9933;

const adding = (name: string): Operation => ({
  name,
  takes: ['url', 'hostname', 'node_name'],
  async run(args, context) {
    const added = await add(args, context);
    return { message: `Successfully added '${added}' to the cluster`, node_name: added };
  },
});

export const addNode = adding('add_node');
export const setNode = adding('set_node');
export const updateNode = adding('update_node');

export const removeNode: Operation = {
  name: 'remove_node',
  takes: ['hostname', 'node_name'],
  run(args, context) {
    const cluster = clusterOf(context);
    const status = cluster.status();
    const name = args.node_name ?? args.hostname ?? status.name;
    const known = [status.name, ...status.peers.map((peer) => peer.name)];
    if (typeof name !== 'string' || !known.includes(name)) {
      throw usage(`node_name: ${JSON.stringify(name)} is none of ${known.join(', ')}`);
    }
    cluster.removeNode(name);
    return { message: `'${name}' has left the cluster`, node_name: name };
  },
};

export const configureCluster: Operation = {
  name: 'configure_cluster',
  takes: ['connections'],
  async run({ connections }, context) {
    if (!Array.isArray(connections)) throw usage('connections: a list of { url } or { hostname }');
    const cluster = clusterOf(context);
    const added: string[] = [];
    // All of them answer before any is removed.
    for (const one of connections) added.push(await add(one as Arguments, context));
    const before = cluster.status().peers.filter(({ isMember }) => isMember);
    const removed = before.map(({ name }) => name).filter((name) => !added.includes(name));
    for (const name of removed) cluster.removeNode(name);
    return { message: 'The cluster is configured', added, removed };
  },
};

function add(args: Arguments, context: OperationContext): Promise<string> {
  const { url, hostname } = args;
  const host = hostname ?? args.node_name;
  const told = url ?? (typeof host === 'string' ? `ws://${host}:${PORT}` : undefined);
  if (typeof told !== 'string' || !isAddress(told)) {
    throw usage('url: where the node is dialled, such as ws://10.0.0.2:9933');
  }
  return clusterOf(context).addNode(told);
}

/** Nodes know one another by the token or by certificates: a name and password in it are none. */
export const isAddress = (url: string): boolean =>
  /^wss?:\/\/[^@/]+(\/|$)/.test(url) && URL.canParse(url);

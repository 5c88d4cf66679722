/**
 * `confirm_replication`: waits until so many other nodes hold durably what this node has committed
 * until now. What `X-Replicate-To` asks for, on whatever thread the write came in.
 */
import { type Operation, usage } from '../operation.ts';

const NAMES_MAX = 64;

export const confirmReplication: Operation = {
  name: 'confirm_replication',
  takes: ['least', 'nodes'],
  async run({ least = 1, nodes }, context) {
    if (typeof least !== 'number' || !Number.isInteger(least) || least < 0) {
      throw usage('least: a number of nodes');
    }
    const isList = Array.isArray(nodes) && nodes.length <= NAMES_MAX;
    if (nodes !== undefined && !(isList && nodes.every((name) => typeof name === 'string'))) {
      throw usage(`nodes: a list of at most ${NAMES_MAX} names`);
    }
    // By itself it has nobody to ask: the caller is told that nobody has confirmed.
    const { cluster } = context;
    if (cluster === undefined) return { confirmed: [], missing: [] };
    return cluster.confirmWrites(least, nodes as readonly string[] | undefined);
  },
};

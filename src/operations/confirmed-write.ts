/**
 * `replicateTo` and `replicatedConfirmation` of the operations that write records, as
 * `X-Replicate-To` of requests: the answer waits until so many other nodes hold what was written.
 */
import { unconfirmed, type WantedConfirmation } from '../table/confirmation.ts';
import { type Arguments, type OperationContext, usage } from './operation.ts';

export const CONFIRMATION_ARGUMENTS = ['replicateTo', 'replicatedConfirmation'] as const;

const NODES_MAX = 64;

/** What is asked for; `undefined`: not to wait. Throws `USAGE`. */
export function confirmationArgument(args: Arguments): WantedConfirmation | undefined {
  const { replicateTo, replicatedConfirmation: least = 0 } = args;
  if (!isCount(least)) throw usage('replicatedConfirmation: a number of nodes to wait for');
  const nodes = isCount(replicateTo) || replicateTo === '*' ? undefined : replicateTo;
  const areNodes = Array.isArray(nodes) && nodes.length > 0 && nodes.length <= NODES_MAX;
  if (nodes !== undefined && !(areNodes && nodes.every((name) => typeof name === 'string'))) {
    throw usage(`replicateTo: a number of nodes, or a list of at most ${NODES_MAX} of their names`);
  }
  if (areNodes && least > nodes.length) {
    throw usage(`replicatedConfirmation: ${least} is more than the nodes that replicateTo names`);
  }
  return least === 0 ? undefined : { least, nodes };
}

/** Rejects with `PEERS_UNCONFIRMED` when not enough nodes have confirmed in time. */
export async function confirmWrite(
  wanted: WantedConfirmation | undefined,
  { cluster }: OperationContext,
): Promise<void> {
  if (wanted === undefined) return;
  const nobody = { confirmed: [], missing: [] };
  const told = (await cluster?.confirmWrites(wanted.least, wanted.nodes)) ?? nobody;
  const problem = unconfirmed(wanted, told);
  if (problem !== undefined) throw problem;
}

const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0;

/**
 * `replicateTo` and `replicatedConfirmation` of the operations that write records, as
 * `X-Replicate-To` of requests: the answer waits until so many other nodes hold what was written.
 */
import {
  askedConfirmation,
  NO_NODES,
  unconfirmed,
  type WantedConfirmation,
} from '../table/confirmation.ts';
import { type Arguments, type OperationContext, usage } from './operation.ts';

export const CONFIRMATION_ARGUMENTS = ['replicateTo', 'replicatedConfirmation'] as const;

/** `replicateTo: "none"`: what is written stays on this node (`LOCAL_ONLY`). */
export const staysHere = ({ replicateTo }: Arguments): boolean => replicateTo === NO_NODES;

/** What is asked for; `undefined`: not to wait. Throws `USAGE`. */
export const confirmationArgument = (args: Arguments): WantedConfirmation | undefined =>
  askedConfirmation(args, usage);

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

/**
 * Writes that are answered when other nodes hold them too: what is wanted, and what is said when
 * it is not had in time. The write itself is done either way.
 */
import { NodeError } from '../base/errors.ts';

export interface WantedConfirmation {
  /** How many other nodes are to hold it as durably as this one; above 0. */
  readonly least: number;
  /** Only these count; any when absent. */
  readonly nodes: readonly string[] | undefined;
}

/** What an operation or the code of an application says of it, as it came. */
export interface AskedConfirmation {
  readonly replicateTo?: unknown;
  readonly replicatedConfirmation?: unknown;
}

const NODES_MAX = 64;
/** In place of nodes: what is written stays on this one. */
export const NO_NODES = 'none';

/** `undefined`: not to wait. Throws what `fault` makes of the member that is wrong. */
export function askedConfirmation(
  { replicateTo, replicatedConfirmation: least = 0 }: AskedConfirmation,
  fault: (message: string) => Error,
): WantedConfirmation | undefined {
  if (!isCount(least)) throw fault('replicatedConfirmation: a number of nodes to wait for');
  if (replicateTo === NO_NODES) {
    if (least > 0) throw fault(`replicatedConfirmation: ${least}, but ${NONE_TOLD}`);
    return undefined;
  }
  const nodes = isCount(replicateTo) || replicateTo === '*' ? undefined : replicateTo;
  const areNodes = Array.isArray(nodes) && nodes.length > 0 && nodes.length <= NODES_MAX;
  if (nodes !== undefined && !(areNodes && nodes.every((name) => typeof name === 'string'))) {
    throw fault(
      `replicateTo: a number of nodes, a list of at most ${NODES_MAX} of their names, or "none"`,
    );
  }
  if (areNodes && least > nodes.length) {
    throw fault(`replicatedConfirmation: ${least} is more than the nodes that replicateTo names`);
  }
  return least === 0 ? undefined : { least, nodes };
}

export const NONE_TOLD = 'replicateTo "none" keeps the write on this node: nobody can confirm it';

const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0;

/** Who has confirmed, and who was asked or should have been and has not. */
export interface Confirmation {
  readonly confirmed: readonly string[];
  readonly missing: readonly string[];
}

/** `PEERS_UNCONFIRMED`, naming those that have not confirmed; `undefined` when enough have. */
export function unconfirmed(
  { least }: WantedConfirmation,
  { confirmed, missing }: Confirmation,
): NodeError | undefined {
  if (confirmed.length >= least) return undefined;
  const have = confirmed.length === 0 ? 'no other node has' : `only ${confirmed.join(', ')} has`;
  const message =
    `the write is kept here, but ${have} confirmed it in time (${least} wanted); ` +
    `not confirmed: ${missing.join(', ') || 'nobody else is a member'}; it reaches them later`;
  return new NodeError('PEERS_UNCONFIRMED', message, {
    blame: 'peer',
    details: { confirmed, unconfirmed: missing },
  });
}

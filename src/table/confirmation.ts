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

/**
 * Who may take part (SPEC §8): judges a hello. A name that is connected already under another run
 * of a process is asked whether it is still there, and keeps its place when it answers in time.
 */

import { durationMs } from '../base/brands.ts';
import type { Clock } from '../base/clock.ts';
import { BOUNDS } from './bounds.ts';
import { type ByeCode, type HelloFrame, PROTOCOL, PROTOCOL_OLDEST } from './frames.ts';
import type { Session } from './session.ts';

export interface Objection {
  readonly code: ByeCode;
  readonly message: string;
}

/** What speaks against a node whatever else is connected; `undefined` when nothing does. */
export function objectionTo(
  theirs: HelloFrame,
  own: HelloFrame,
  provenName: string,
): Objection | undefined {
  if (theirs.instance === own.instance) {
    return { code: 'SELF', message: 'this address leads to the node itself' };
  }
  if (theirs.cluster !== own.cluster) {
    const message = `this node is of the cluster ${own.cluster}, not of ${theirs.cluster}`;
    return { code: 'CLUSTER_OTHER', message };
  }
  if (theirs.protocol < PROTOCOL_OLDEST || theirs.oldest > PROTOCOL) {
    const message =
      `this node speaks ${PROTOCOL_OLDEST} to ${PROTOCOL} of the replication protocol, the other ` +
      `${theirs.oldest} to ${theirs.protocol}; upgrade the older node`;
    return { code: 'PROTOCOL_UNKNOWN', message };
  }
  if (theirs.name !== provenName) {
    const message = `the connection proves the name ${provenName}, the hello says ${theirs.name}`;
    return { code: 'NAME_MISMATCH', message };
  }
  if (theirs.name === own.name || theirs.author === own.author) {
    const message =
      `two nodes have the name ${own.name} or the same data folder; give one of them another ` +
      'name, or restore its folder from a backup instead of copying it';
    return { code: 'DUPLICATE_NODE', message };
  }
  return undefined;
}

/** Whether two sessions belong to one run of one node. */
const isSameRun = (one: Session, other: Session): boolean =>
  one.peer?.instance === other.peer?.instance;

/** Connections that claim to be who the newcomer is, and are another. */
export function rivalsOf(newcomer: Session, ready: readonly Session[]): readonly Session[] {
  const { name, author } = newcomer.peer ?? {};
  return ready.filter(
    (one) => !isSameRun(one, newcomer) && (one.peer?.name === name || one.peer?.author === author),
  );
}

/** Asks rivals whether they are there; `decide` is told who of those then ready has answered. */
export function probe(
  clock: Clock,
  rivals: () => readonly Session[],
  decide: (answered: readonly Session[]) => void,
): void {
  const askedAt = clock.monotonic();
  for (const rival of rivals()) rival.heartbeat();
  clock.after(durationMs(BOUNDS.probeMs), () =>
    decide(rivals().filter(({ echoedAt }) => echoedAt >= askedAt)),
  );
}

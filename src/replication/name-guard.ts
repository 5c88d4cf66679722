/**
 * A node whose name another one has taken (SPEC §8) must not go on taking writes: it is let in
 * nowhere, so that nobody but its own disk would ever have them. It knows so when nodes of other
 * names refuse it for that, and none lets it in.
 */
import { BOUNDS } from './bounds.ts';
import type { ByeCode } from './frames.ts';
import type { ReplicationEvents } from './options.ts';
import type { ReplicaStore } from './ports.ts';

export interface NameGuardParts {
  readonly name: string;
  readonly store: ReplicaStore;
  readonly events: ReplicationEvents;
  readonly now: () => number;
}

export class NameGuard {
  readonly #parts: NameGuardParts;
  #refusedBy: string | undefined;
  #refusedAt = 0;
  #isTaken = false;

  constructor(parts: NameGuardParts) {
    this.#parts = parts;
  }

  get isTaken(): boolean {
    return this.#isTaken;
  }

  /** A node ended a connection. One of the same name may be the one that is wrong. */
  dismissed(peer: string, code: ByeCode): void {
    if (code !== 'DUPLICATE_NODE' || peer === this.#parts.name) return;
    this.#refusedBy = peer;
    this.#refusedAt = this.#parts.now();
  }

  /** `isLetIn`: some node has a connection to this one. */
  tick(isLetIn: boolean): void {
    const { store, events, now } = this.#parts;
    const isKnown = now() - this.#refusedAt <= BOUNDS.nameTakenMs;
    if (isLetIn || !isKnown) this.#refusedBy = undefined;
    const by = this.#refusedBy;
    const isTaken = by !== undefined;
    if (isTaken === this.#isTaken) return;
    this.#isTaken = isTaken;
    store.setNameTaken(by);
    events.nameTaken?.(by);
  }
}

/**
 * What this node says and remembers of the cluster's members: keeps the list with the store, tells
 * others when it changes, and knows which addresses to dial.
 */
import type { ApplyQueue } from './apply-queue.ts';
import { NO_CURSORS } from './cursors.ts';
import type { Member } from './frames.ts';
import { MEMBERS_NOTE, Members } from './members.ts';
import type { ReplicaStore } from './ports.ts';

export interface MembershipParts {
  readonly store: ReplicaStore;
  readonly queue: ApplyQueue;
  readonly name: string;
  /** Addresses of this node, and those that the configuration names. */
  readonly urls: readonly string[];
  readonly peers: readonly string[];
  /** What else is to be remembered with the members. */
  readonly notes: () => Readonly<Record<string, unknown>>;
  readonly changed: () => void;
  readonly removed: () => void;
}

export class Membership {
  readonly #parts: MembershipParts;
  readonly #members: Members;

  constructor(parts: MembershipParts) {
    this.#parts = parts;
    this.#members = new Members((parts.store.note(MEMBERS_NOTE) ?? []) as readonly Member[]);
  }

  get all(): readonly Member[] {
    return this.#members.all;
  }

  of(name: string): Member | undefined {
    return this.#members.of(name);
  }

  get otherNames(): readonly string[] {
    return this.#members.present
      .map((member) => member.name)
      .filter((name) => name !== this.#parts.name);
  }

  get hasOthers(): boolean {
    return this.#parts.peers.length > 0 || this.otherNames.length > 0;
  }

  /** This node was removed, and stays out until somebody adds it anew. */
  get isOut(): boolean {
    return this.#members.of(this.#parts.name)?.isLeft === true;
  }

  get urlsToDial(): readonly string[] {
    const { name, urls, peers } = this.#parts;
    if (this.isOut) return [];
    const known = this.#members.present.filter((member) => member.name !== name);
    const all = [...peers, ...known.flatMap((member) => member.urls)];
    return [...new Set(all)].filter((url) => !urls.includes(url));
  }

  declareSelf(): void {
    if (!this.isOut) this.declare(this.#parts.name, this.#parts.urls, false);
  }

  declare(name: string, urls: readonly string[], isLeft: boolean): void {
    if (!this.#members.declare(name, urls, isLeft, this.#parts.store.now())) return;
    this.#keep();
    this.#parts.changed();
  }

  /** What another node told; whether it was news. */
  learn(told: readonly Member[]): boolean {
    const wasOut = this.isOut;
    if (!this.#members.learn(told)) return false;
    this.#keep();
    if (this.isOut && !wasOut) this.#parts.removed();
    return true;
  }

  #keep(): void {
    const notes = { [MEMBERS_NOTE]: this.#members.all, ...this.#parts.notes() };
    this.#parts.queue.apply({ items: [], cursors: NO_CURSORS, notes }).catch(() => undefined);
  }
}

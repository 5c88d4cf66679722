/**
 * A shared subscription: each message goes to one of its members, in turn, to one that has room
 * [MQTT5 §4.8.2]. It has a cursor of its own: while no member can take more, it waits in the log,
 * and who joins or comes back goes on from there. What a member had not acknowledged when its
 * session ended goes to another, before anything newer.
 */
import type { Sequence } from '../../base/brands.ts';
import { Consumer } from './dispatch.ts';
import type { Message } from './message.ts';
import type { Session } from './session.ts';
import type { Subscription } from './subscription-tree.ts';

export class ShareGroup extends Consumer {
  readonly key: string;
  readonly #members = new Map<Session, Subscription>();
  /** In the order in which they were sent. */
  readonly #returned: Message[] = [];
  readonly #onLost: (group: ShareGroup) => void;

  constructor(key: string, cursor: Sequence, onLost: (group: ShareGroup) => void) {
    super(cursor);
    this.key = key;
    this.#onLost = onLost;
  }

  get size(): number {
    return this.#members.size;
  }

  add(session: Session, subscription: Subscription): void {
    this.#members.set(session, subscription);
  }

  remove(session: Session): void {
    this.#members.delete(session);
  }

  /** At most what one session has in flight at a time, for each that ends. */
  giveBack(messages: readonly Message[]): void {
    this.#returned.push(...messages);
  }

  take(message: Message): boolean {
    return this.handOut() && this.#give(message);
  }

  /** Gives what came back to other members; false while some of it is left. */
  handOut(): boolean {
    for (let next = this.#returned[0]; next !== undefined; next = this.#returned[0]) {
      if (!this.#give(next)) return false;
      this.#returned.shift();
    }
    return true;
  }

  #give(message: Message): boolean {
    let hasMember = false;
    for (const [session, subscription] of this.#members) {
      if (session.seen(message) === undefined) continue;
      hasMember = true;
      if (!session.hasRoomFor(subscription.qos)) continue;
      if (!session.deliver(message, [subscription], false, this)) continue;
      // To the end of the line.
      this.#members.delete(session);
      this.#members.set(session, subscription);
      return true;
    }
    // Nobody may have it: then nobody waits for it.
    return !hasMember;
  }

  lost(): void {
    this.#onLost(this);
  }
}

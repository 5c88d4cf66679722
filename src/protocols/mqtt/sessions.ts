/**
 * All sessions of the node: opened and resumed by CONNECT, taken over, ended when their expiry
 * interval is over; and the shared groups of which they are members.
 */
import { durationMs, type Sequence } from '../../base/brands.ts';
import type { Cancel, Clock } from '../../base/clock.ts';
import { LIMITS, type LimitName } from '../../config/limits.ts';
import type { Counts } from './counts.ts';
import type { Dispatch } from './dispatch.ts';
import type { Message } from './message.ts';
import type { Returning } from './outgoing.ts';
import { REASON } from './reasons.ts';
import { Session, type SessionParts } from './session.ts';
import { ShareGroup } from './share-group.ts';
import type { Subscription } from './subscription-tree.ts';
import { sharedFilter } from './topics.ts';

/** Timers hold 31 bits of milliseconds. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** What is granted of an asked expiry. */
export const expirySecondsWithin = (asked: number): number =>
  Math.min(asked, LIMITS.mqttSessionExpirySecondsMax);

/** Subscriptions of one holder in all sessions, and over the other protocols. */
export interface Holdings {
  of(holder: string): number;
  change(holder: string, by: 1 | -1): void;
}

export interface SessionsParts {
  readonly dispatch: Dispatch;
  readonly clock: Clock;
  readonly counts: Counts;
  readonly holdings: Holdings;
  /** Whether a filter is served by application code, and so by no change of the log. */
  readonly isOfCode: (filter: string) => boolean;
  /** Told when a client that is there begins to follow something, and when it ends. */
  readonly followed: (session: Session, subscription: Subscription, by: 1 | -1) => void;
  /** Told when a session is over: its will is due, what was kept of it goes. */
  readonly ended: (session: Session) => void;
}

export class Sessions {
  readonly #parts: SessionsParts;
  readonly #byKey = new Map<string, Session>();
  /** Sessions by holder; of those who have any. */
  readonly #held = new Map<string, number>();
  readonly #groups = new Map<string, ShareGroup>();
  readonly #expiries = new Map<Session, Cancel>();
  /** Those whose client is there. */
  readonly #present = new Set<Session>();

  constructor(parts: SessionsParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#byKey.size;
  }

  all(): Iterable<Session> {
    return this.#byKey.values();
  }

  /** Subscriptions of a holder. */
  heldBy(holder: string): number {
    return this.#parts.holdings.of(holder);
  }

  #count({ parts: { holder } }: Session, by: 1 | -1): void {
    if (holder !== '') this.#parts.holdings.change(holder, by);
  }

  /** The session as it was left, if there is one. */
  find(key: string): Session | undefined {
    return this.#byKey.get(key);
  }

  /** The limit that leaves no room for another session of this holder. */
  fullFor(holder: string): LimitName | undefined {
    if (this.#byKey.size >= LIMITS.mqttSessionsMax) return 'mqttSessionsMax';
    if (holder === '') return undefined;
    const isFull = (this.#held.get(holder) ?? 0) >= LIMITS.mqttSessionsPerPrincipalMax;
    return isFull ? 'mqttSessionsPerPrincipalMax' : undefined;
  }

  /** A new session; `undefined` when there is no room for it. */
  create(parts: SessionParts, cursor: Sequence): Session | undefined {
    if (this.fullFor(parts.holder) !== undefined) return undefined;
    const session = new Session(parts, cursor);
    this.#byKey.set(parts.key, session);
    this.#hold(session, 1);
    return session;
  }

  #hold({ parts: { holder } }: Session, by: 1 | -1): void {
    if (holder === '') return;
    const count = (this.#held.get(holder) ?? 0) + by;
    if (count === 0) this.#held.delete(holder);
    else this.#held.set(holder, count);
  }

  /** Its client is there: it does not expire, and hears of changes from its cursor on. */
  present(session: Session): void {
    this.#expiries.get(session)?.();
    this.#expiries.delete(session);
    this.#parts.dispatch.join(session);
    this.#present.add(session);
    this.#tell(session, 1);
    for (const group of session.groups.values()) this.handOut(group);
  }

  /** Its client is gone: it is kept for its expiry interval, or ended at once. */
  away(session: Session, seconds = session.expirySeconds): void {
    session.disconnected();
    this.#parts.dispatch.leave(session);
    if (this.#present.delete(session)) this.#tell(session, -1);
    if (seconds === 0) {
      this.end(session);
      return;
    }
    const delay = durationMs(Math.min(seconds * 1000, TIMER_MS_MAX));
    this.#expiries.set(
      session,
      this.#parts.clock.after(delay, () => this.end(session)),
    );
  }

  end(session: Session): void {
    if (this.#byKey.get(session.parts.key) !== session) return;
    this.#byKey.delete(session.parts.key);
    this.#hold(session, -1);
    for (let left = session.subscriptions.size; left > 0; left -= 1) this.#count(session, -1);
    if (this.#present.delete(session)) this.#tell(session, -1);
    this.#expiries.get(session)?.();
    this.#expiries.delete(session);
    this.#parts.dispatch.leave(session);
    const groups = [...session.groups.values()];
    for (const written of [...session.groups.keys()]) this.#leaveGroup(session, written);
    giveBack(session);
    for (const group of groups) this.handOut(group);
    session.scans.length = 0;
    this.#parts.ended(session);
  }

  /** The log was trimmed past what it had not heard: it begins anew, and its client is told. */
  lost(session: Session): void {
    this.#parts.counts.resets += 1;
    session.end(REASON.quotaExceeded, 'what you had not read is gone; begin anew');
    this.end(session);
  }

  subscribe(session: Session, subscription: Subscription): void {
    const { written, filter } = subscription;
    const isNew = !session.subscriptions.has(written);
    session.subscriptions.set(written, subscription);
    if (isNew) this.#count(session, 1);
    if (isNew && this.#present.has(session)) this.#parts.followed(session, subscription, 1);
    const shared = sharedFilter(written);
    if (shared === undefined) {
      if (this.#parts.isOfCode(filter)) return;
      this.#parts.dispatch.subscribe(session, subscription);
      return;
    }
    const group = this.#group(`${shared.group}/${shared.filter}`, subscription);
    group.add(session, subscription);
    session.groups.set(written, group);
    this.#parts.dispatch.wake(group);
  }

  /** False: there was no such subscription. */
  unsubscribe(session: Session, written: string): boolean {
    const subscription = session.subscriptions.get(written);
    if (subscription === undefined) return false;
    session.subscriptions.delete(written);
    this.#count(session, -1);
    if (this.#present.has(session)) this.#parts.followed(session, subscription, -1);
    if (session.groups.has(written)) this.#leaveGroup(session, written);
    else this.#parts.dispatch.unsubscribe(session, subscription);
    return true;
  }

  #tell(session: Session, by: 1 | -1): void {
    for (const subscription of session.subscriptions.values()) {
      this.#parts.followed(session, subscription, by);
    }
  }

  #group(key: string, subscription: Subscription): ShareGroup {
    let group = this.#groups.get(key);
    if (group === undefined) {
      const { dispatch } = this.#parts;
      group = new ShareGroup(key, dispatch.now(), (lost) => this.#groupLost(lost));
      this.#groups.set(key, group);
      // What the group hears of is the filter's; how each member gets it is its own affair.
      group.hold({ ...subscription, written: key, noLocal: false });
      dispatch.join(group);
    }
    return group;
  }

  /** Some member may have room for what came back, or for what is to come. */
  handOut(group: ShareGroup): void {
    if (group.handOut()) this.#parts.dispatch.wake(group);
  }

  /** Goes on from the end of the log: there is nobody to whom it could be said. */
  #groupLost(group: ShareGroup): void {
    const { dispatch } = this.#parts;
    dispatch.leave(group);
    group.cursor = dispatch.now();
    dispatch.join(group);
  }

  #leaveGroup(session: Session, written: string): void {
    const group = session.groups.get(written);
    session.groups.delete(written);
    group?.remove(session);
    if (group === undefined || group.size > 0) return;
    this.#groups.delete(group.key);
    this.#parts.dispatch.leave(group);
  }
}

/** Each group gets back what the session had of it, unless it has arrived already. */
function giveBack({ outgoing }: Session): void {
  const returned = new Map<Returning, Message[]>();
  for (const { delivery, stage } of outgoing.all()) {
    const { share, message } = delivery;
    if (share === undefined || stage !== 'publish') continue;
    returned.set(share, [...(returned.get(share) ?? []), message]);
  }
  for (const [group, messages] of returned) group.giveBack(messages);
}

/**
 * Another node, by name: the open connections to it, of which one carries this node's pull, and
 * what it has said of itself. It outlives its connections; the pull's counters belong to it.
 */
import { BOUNDS } from './bounds.ts';
import type { Puller } from './puller.ts';
import type { Session } from './session.ts';

export class Peer {
  readonly name: string;
  readonly puller: Puller;
  readonly sessions: Session[] = [];
  lagSince: number | undefined;

  constructor(name: string, puller: Puller) {
    this.name = name;
    this.puller = puller;
  }

  get isConnected(): boolean {
    return this.sessions.length > 0;
  }

  /** The connection that is used: of several, the one that was heard last. */
  get session(): Session | undefined {
    return this.puller.session ?? this.sessions[0];
  }

  add(session: Session): void {
    this.sessions.push(session);
    if (this.puller.session === undefined) this.puller.start(session);
  }

  remove(session: Session): void {
    const place = this.sessions.indexOf(session);
    if (place >= 0) this.sessions.splice(place, 1);
    if (this.puller.session !== session) return;
    this.puller.stop();
    const other = this.sessions.at(-1);
    if (other !== undefined) this.puller.start(other);
  }

  /** Of two connections of one pair, both well, the lesser name ends the older one. */
  endSpare(ownName: string, now: number): void {
    const [older, newer] = this.sessions;
    if (older === undefined || newer === undefined || ownName > this.name) return;
    const isWell = this.sessions.every(({ echoedAt }) => now - echoedAt < 2 * BOUNDS.beatMs);
    if (isWell) older.dismiss('SPARE', 'there is a newer connection', 0);
  }
}

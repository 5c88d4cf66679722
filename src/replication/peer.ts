/**
 * Another node, by name: the open connections to it, of which one carries this node's pull, and
 * what it has said of itself. It outlives its connections; the pull's counters belong to it.
 */
import { BOUNDS } from './bounds.ts';
import type { Puller } from './puller.ts';
import type { Session } from './session.ts';

const isHeard = ({ heardAt }: Session, now: number): boolean => now - heardAt < BOUNDS.silentMs;

const isWell = ({ echoedAt }: Session, now: number): boolean =>
  echoedAt >= 0 && now - echoedAt < 2 * BOUNDS.beatMs;

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

  isHeard(now: number): boolean {
    return this.sessions.some((session) => isHeard(session, now));
  }

  /**
   * [SPEC §7] Of two connections of one pair, both well, the lesser name ends the older one. One
   * that is silent while another is well is ended by either: what it has lost comes late, if ever.
   */
  endSpare(ownName: string, now: number): void {
    if (this.sessions.length < 2) return;
    const silent = this.sessions.find((session) => !isHeard(session, now));
    if (silent !== undefined && this.sessions.some((session) => isWell(session, now))) {
      silent.dismiss('STALLED', 'another connection of this node is heard, and this one is not', 0);
    }
    const [older, newer] = this.sessions;
    if (older === undefined || newer === undefined || ownName > this.name) return;
    const areWell = this.sessions.every((session) => isWell(session, now));
    if (areWell) older.dismiss('SPARE', 'there is a newer connection', 0);
  }
}

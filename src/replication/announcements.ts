/**
 * What is told to all connected nodes at once, and who has confirmed it: purges ahead of their
 * place in the log (SPEC §9), and how far others have this node's own changes.
 */

import type { Clock } from '../base/clock.ts';
import type { Confirmation } from '../table/confirmation.ts';
import { AheadNote } from './ahead-note.ts';
import type { ApplyQueue } from './apply-queue.ts';
import { cursorOf, NO_CURSORS } from './cursors.ts';
import type { PurgedFrame } from './frames.ts';
import type { Peer } from './peer.ts';
import type { InvalidationItem, ReplicaStore } from './ports.ts';
import { type AheadSet, Confirmations, purgeMark } from './purges.ts';
import type { Session } from './session.ts';

export interface AnnouncementParts {
  readonly store: ReplicaStore;
  readonly queue: ApplyQueue;
  readonly clock: Clock;
  readonly ahead: AheadSet;
  readonly peers: ReadonlyMap<string, Peer>;
}

const PLACE = 'place ';
const NOTHING = { items: [], cursors: NO_CURSORS } as const;

export class Announcements {
  readonly #parts: AnnouncementParts;
  readonly #confirmations: Confirmations;
  readonly #aheadNote: AheadNote;

  constructor(parts: AnnouncementParts) {
    this.#parts = parts;
    this.#confirmations = new Confirmations(parts.clock);
    this.#aheadNote = new AheadNote(parts.store);
  }

  /** To the one connection of each peer that is used. */
  broadcast(tell: (session: Session) => void): void {
    for (const { session } of this.#parts.peers.values()) if (session !== undefined) tell(session);
  }

  purge(item: InvalidationItem, names: readonly string[], timeMs: number): Promise<Confirmation> {
    const mark = purgeMark(item.origin);
    const waiting = this.#confirmations.wait(mark, names, names.length, timeMs);
    this.broadcast((session) => session.send({ kind: 'purge', item }));
    return waiting;
  }

  /** A purge that another node told of: applied once, passed on, confirmed when it has effect. */
  heard(from: Session, item: InvalidationItem): void {
    const { origin } = item;
    const { author, sequence } = origin;
    const { store, queue, ahead } = this.#parts;
    const confirm = () => from.send({ kind: 'purged', author, sequence });
    const isOwn = store.lives.some((life) => life.author === author);
    if (isOwn) {
      confirm();
      return;
    }
    if (ahead.has(origin) || queue.cursor(author) >= sequence) {
      // It came by another way, and may not be in force yet: what is behind it in the queue is.
      queue.apply(NOTHING).then(confirm, () => undefined);
      return;
    }
    ahead.add(origin);
    this.broadcast((session) => {
      if (session !== from && session.author !== author) session.send({ kind: 'purge', item });
    });
    const notes = this.#aheadNote.with(origin, store.now(), (one) => queue.cursor(one));
    const batch = { items: [item], cursors: NO_CURSORS, isAhead: true, notes };
    queue.apply(batch).then(confirm, () => ahead.take(origin));
  }

  purged(from: Session, frame: PurgedFrame): void {
    this.#confirmations.confirm(purgeMark(frame), from.link.peer);
  }

  places(
    upTo: number,
    names: readonly string[],
    least: number,
    timeMs: number,
  ): Promise<Confirmation> {
    const { store } = this.#parts;
    const { sequence, cursors } = store.horizon();
    // Others know of the changes that were made here, not of all that stands in the log.
    const place = upTo <= sequence ? Math.min(upTo, cursorOf(cursors, store.author)) : upTo;
    const mark = `${PLACE}${place}`;
    const waiting = this.#confirmations.wait(mark, names, least, timeMs);
    for (const { name, sessions } of this.#parts.peers.values()) {
      if (sessions.some(({ confirmed }) => confirmed >= place)) {
        this.#confirmations.confirm(mark, name);
      }
    }
    return waiting;
  }

  /** A peer has more of this node's changes than before. */
  confirmed({ link, confirmed }: Session): void {
    for (const mark of this.#confirmations.marks()) {
      if (mark.startsWith(PLACE) && confirmed >= Number(mark.slice(PLACE.length))) {
        this.#confirmations.confirm(mark, link.peer);
      }
    }
  }

  stop(): void {
    this.#confirmations.stop();
  }
}

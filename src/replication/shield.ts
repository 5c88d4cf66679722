/**
 * The fleet as one cache (`cluster.shield`, SPEC §11): puts the asking and the answering side
 * together with the peers of this node. A node without caches of its own to show answers nobody,
 * and asks nobody.
 */
import type { Clock } from '../base/clock.ts';
import { NO_REPLY, type PeerMiss, type PeerReads, type PeerReply } from '../cache/peer-reply.ts';
import { MissAnswerer, type OwnCaches } from './answer-misses.ts';
import type { ApplyQueue } from './apply-queue.ts';
import { HomeAsker } from './ask-homes.ts';
import { NO_CURSORS } from './cursors.ts';
import { type MissFrames, PROTOCOL_OF_MISSES, PROTOCOL_OF_PAGES } from './frames.ts';
import { ObeyedInvalidations, type OwnPlaces } from './obeyed.ts';
import type { Peer } from './peer.ts';
import type { ReplicaStore } from './ports.ts';
import type { AheadSet } from './purges.ts';
import { type Holdings, travels } from './selection.ts';
import type { Session } from './session.ts';

export interface ShieldOptions {
  readonly caches: OwnCaches;
  /** Where the newest invalidation stands that was made here, and the newest change of any kind. */
  readonly newestOwn: () => OwnPlaces;
}

export interface ShieldParts {
  readonly name: string;
  readonly store: ReplicaStore;
  readonly clock: Clock;
  readonly queue: ApplyQueue;
  readonly ahead: AheadSet;
  readonly peers: ReadonlyMap<string, Peer>;
  readonly own: () => Holdings;
  readonly isCaughtUp: () => boolean;
}

type Wanted = Pick<PeerMiss, 'table' | 'id' | 'page'>;

export class Shield implements PeerReads {
  /**
   * Questions put to others, answers that spared an origin, homes that did not say a word, misses
   * of others that were read here, and questions for which it was not known in time whether all
   * purges had been obeyed.
   */
  readonly counts = {
    ...{ missesAsked: 0, missesAnswered: 0, missesSilent: 0, missesServed: 0, missesUnsure: 0 },
  };
  readonly #parts: ShieldParts;
  readonly #asker: HomeAsker;
  readonly #answerer: MissAnswerer;
  #isStopped = false;

  constructor(parts: ShieldParts, { caches, newestOwn }: ShieldOptions) {
    this.#parts = parts;
    const { name, store, clock, queue, ahead } = parts;
    const count = (what: 'Asked' | 'Answered' | 'Silent' | 'Served' | 'Unsure') => {
      this.counts[`misses${what}`] += 1;
    };
    const settled = () => queue.apply({ items: [], cursors: NO_CURSORS });
    const obeyed = new ObeyedInvalidations({ store, ahead, clock, newestOwn, settled });
    queue.onBatch = (batch) => obeyed.note(batch);
    this.#answerer = new MissAnswerer({
      ...{ name, caches, obeyed, count },
      liveNames: (miss) => [name, ...this.#askable(miss).keys()],
      mayTell: (session, miss) => parts.isCaughtUp() && this.#mayTell(session, miss),
    });
    this.#asker = new HomeAsker({
      ...{ name, clock, obeyed, count },
      askable: (miss) => this.#askable(miss),
      servedWithout: (miss) => this.#answerer.servedWithout(miss),
    });
  }

  ask(miss: PeerMiss, signal: AbortSignal): Promise<PeerReply> {
    if (this.#isStopped || !this.#parts.isCaughtUp()) return Promise.resolve(NO_REPLY);
    return this.#asker.ask(miss, signal);
  }

  told(session: Session, frame: MissFrames): void {
    if (frame.kind === 'miss') void this.#answerer.heard(session, frame);
    else this.#asker.told(session, frame);
  }

  gone(session: Session): void {
    this.#asker.gone(session);
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** Nodes that may be at home for a record: connected, caught up, and holding the table. */
  #askable(miss: Wanted): ReadonlyMap<string, Session> {
    const found = new Map<string, Session>();
    for (const { name, session } of this.#parts.peers.values()) {
      if (session === undefined || session.peerJoining) continue;
      if (this.#mayTell(session, miss)) found.set(name, session);
    }
    return found;
  }

  #mayTell(session: Session, { table, id, page }: Wanted): boolean {
    const { peer } = session;
    const spoken = page == null ? PROTOCOL_OF_MISSES : PROTOCOL_OF_PAGES;
    if (peer === undefined || peer.protocol < spoken) return false;
    const own = this.#parts.own();
    const here = own.tables.find(({ name }) => name === table);
    const there = peer.tables.find(({ name }) => name === table);
    if (here?.mode !== 'invalidations' || there?.mode !== 'invalidations') return false;
    const all = [
      [own.selection, here],
      [peer.selection, there],
    ] as const;
    return all.every(
      ([selection, one]) =>
        travels(selection, one, id, 'send') && travels(selection, one, id, 'receive'),
    );
  }
}

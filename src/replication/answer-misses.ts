/**
 * The answering side of a shielded cache (SPEC §11): another node misses a record. Whoever is at
 * home for it reads it as for a client of its own, so that all who miss it share one fetch;
 * everybody else says what is held fresh, and asks nobody. Who has not obeyed the purges that the
 * asker has obeyed does not answer.
 */
import type { EntityTag } from '../base/brands.ts';
import { NO_REPLY, type PeerMiss, type PeerReply } from '../cache/peer-reply.ts';
import { BOUNDS } from './bounds.ts';
import { checkFrame } from './frame-check.ts';
import type { MissFrame } from './frames.ts';
import { homeNodes } from './home-node.ts';
import type { ObeyedInvalidations } from './obeyed.ts';
import type { Session } from './session.ts';

/** The caches of this node, as others ask for them. */
export interface OwnCaches {
  /** Only what is held and fresh. */
  held(wanted: Wanted): PeerReply;
  /** As a client's read, but never stale. */
  read(wanted: Wanted): Promise<PeerReply>;
}

export type Wanted = Pick<PeerMiss, 'table' | 'id' | 'tag' | 'page'>;

export interface AnswerParts {
  readonly name: string;
  readonly caches: OwnCaches;
  readonly obeyed: ObeyedInvalidations;
  readonly liveNames: (frame: MissFrame) => readonly string[];
  /** Whether rules let this record travel to that node. */
  readonly mayTell: (session: Session, frame: MissFrame) => boolean;
  readonly count: (what: 'Served' | 'Unsure') => void;
}

const keyOf = ({ table, id }: Pick<PeerMiss, 'table' | 'id'>): string =>
  `${table}\n${typeof id}\n${id}`;

export class MissAnswerer {
  readonly #parts: AnswerParts;
  /** Of records that are read for others: whom the asker passed over, and how many ask. */
  readonly #served = new Map<string, { readonly without: readonly string[]; count: number }>();
  readonly #underWay = new WeakMap<Session, number>();

  constructor(parts: AnswerParts) {
    this.#parts = parts;
  }

  servedWithout(miss: PeerMiss): readonly string[] | undefined {
    return this.#served.get(keyOf(miss))?.without;
  }

  async heard(session: Session, frame: MissFrame): Promise<void> {
    const underWay = this.#underWay.get(session) ?? 0;
    const { request } = frame;
    const tell = (reply: PeerReply) =>
      session.send({
        kind: 'record',
        request,
        reply: session.hasRoom ? reply : withoutBody(reply),
      });
    if (underWay >= BOUNDS.missesUnderWay || !this.#parts.mayTell(session, frame)) {
      tell(NO_REPLY);
      return;
    }
    this.#underWay.set(session, underWay + 1);
    try {
      tell(bounded(await this.#answer(session, frame)));
    } catch {
      tell(NO_REPLY);
    } finally {
      this.#underWay.set(session, (this.#underWay.get(session) ?? 1) - 1);
    }
  }

  async #answer(session: Session, frame: MissFrame): Promise<PeerReply> {
    const { name, caches, obeyed, liveNames, count } = this.#parts;
    const { table, id, request } = frame;
    const wanted = { table, id, tag: frame.tag as EntityTag | undefined, page: frame.page };
    if (!frame.isPeek) session.send({ kind: 'missHeard', request });
    if (!(await obeyed.holds(frame))) {
      count('Unsure');
      return NO_REPLY;
    }
    const candidates = liveNames(frame).filter((one) => !frame.without.includes(one));
    const isHome = homeNodes(table, id, candidates)[0] === name;
    // [SPEC §11] Two who each take the other for the home would wait for one another.
    if (frame.isPeek || !isHome) return caches.held(wanted);
    count('Served');
    const key = keyOf(frame);
    const served = this.#served.get(key) ?? { without: frame.without, count: 0 };
    served.count += 1;
    this.#served.set(key, served);
    try {
      return await caches.read(wanted);
    } finally {
      served.count -= 1;
      if (served.count === 0) this.#served.delete(key);
    }
  }
}

/** What is too large for a frame, or has a form that none can carry, is the origin's. */
function bounded(reply: PeerReply): PeerReply {
  if ('body' in reply && (reply.body?.length ?? 0) > BOUNDS.missBodyBytes) return NO_REPLY;
  return checkFrame({ kind: 'record', request: 0, reply }).kind === 'valid' ? reply : NO_REPLY;
}

/** A full connection carries no bodies. */
const withoutBody = (reply: PeerReply): PeerReply =>
  'body' in reply && reply.body !== undefined ? NO_REPLY : reply;

/**
 * The asking side of a shielded cache (SPEC §11): a miss is put to the record's home, then to the
 * next one when that is down or silent, and then it is the origin's. The home itself asks those
 * who may happen to hold the record. Every question is answered in bounded time, and a connection
 * that ends answers all that were put over it.
 */
import { durationMs } from '../base/brands.ts';
import type { Clock } from '../base/clock.ts';
import { NO_REPLY, type PeerMiss, type PeerReply } from '../cache/peer-reply.ts';
import { BOUNDS } from './bounds.ts';
import { checkFrame } from './frame-check.ts';
import type { MissFrame, MissFrames } from './frames.ts';
import { homeNodes } from './home-node.ts';
import type { Obeyed, ObeyedInvalidations } from './obeyed.ts';
import type { Session } from './session.ts';

export interface AskParts {
  readonly name: string;
  readonly clock: Clock;
  readonly obeyed: ObeyedInvalidations;
  /** Connections to nodes that may be asked for records of a table, by their names. */
  readonly askable: (miss: Pick<PeerMiss, 'table' | 'id' | 'page'>) => ReadonlyMap<string, Session>;
  /** Names passed over for a record that others are being answered; `undefined`: for none. */
  readonly servedWithout: (miss: PeerMiss) => readonly string[] | undefined;
  readonly count: (what: 'Asked' | 'Answered' | 'Silent' | 'Unsure') => void;
}

/** `silent`: it is down, or does not say in time that it heard. */
type Answer = PeerReply | { readonly kind: 'silent' };

interface Question {
  heard(): void;
  end(answer: Answer): void;
}

const SILENT: Answer = Object.freeze({ kind: 'silent' });

export class HomeAsker {
  readonly #parts: AskParts;
  readonly #open = new Map<Session, Map<number, Question>>();
  #number = 0;

  constructor(parts: AskParts) {
    this.#parts = parts;
  }

  /** What others hold of it, or have their home fetch; never rejects. */
  async ask(miss: PeerMiss, signal: AbortSignal): Promise<PeerReply> {
    const { name, askable, servedWithout, count, obeyed } = this.#parts;
    const sessions = askable(miss);
    if (sessions.size === 0 || !canTravel(miss)) return NO_REPLY;
    const known = await obeyed.upTo(miss.stamp, miss.page !== undefined);
    if (known === undefined) count('Unsure');
    if (known === undefined || signal.aborted) return NO_REPLY;
    const asked = { miss, known, signal, sessions };
    const order = homeNodes(miss.table, miss.id, [name, ...sessions.keys()]);
    const served = servedWithout(miss);
    // [SPEC §11] What another has put to this node is not put to a third.
    const isHome = served !== undefined || order[0] === name;
    const others = order.filter((one) => one !== name && served?.includes(one) !== true);
    const reply = isHome ? await this.#peek(asked, others) : await this.#askHomes(asked, order);
    if (reply.kind !== 'none') count('Answered');
    return reply;
  }

  /** An answer, or the word that it is on its way. */
  told(session: Session, frame: Exclude<MissFrames, MissFrame>): void {
    // Nobody waits any more for what comes late.
    const question = this.#open.get(session)?.get(frame.request);
    if (frame.kind === 'missHeard') question?.heard();
    else question?.end(frame.reply);
  }

  gone(session: Session): void {
    for (const question of [...(this.#open.get(session)?.values() ?? [])]) question.end(SILENT);
    this.#open.delete(session);
  }

  async #askHomes(asked: Asked, order: readonly string[]): Promise<PeerReply> {
    const silent: string[] = [];
    for (const name of order.slice(0, BOUNDS.homesAsked)) {
      const session = asked.sessions.get(name);
      // It is this node's turn, in place of those who are silent.
      if (session === undefined) return NO_REPLY;
      const answer = await this.#put(session, asked, { isPeek: false, without: silent });
      if (answer.kind !== 'silent') return answer;
      this.#parts.count('Silent');
      silent.push(name);
    }
    return NO_REPLY;
  }

  /** The first who holds it fresh. */
  #peek(asked: Asked, others: readonly string[]): Promise<PeerReply> {
    const sessions = others.slice(0, BOUNDS.peeks).flatMap((name) => {
      return asked.sessions.get(name) ?? [];
    });
    if (sessions.length === 0) return Promise.resolve(NO_REPLY);
    return new Promise((resolve) => {
      let left = sessions.length;
      for (const session of sessions) {
        void this.#put(session, asked, { isPeek: true, without: [] }).then((answer) => {
          left -= 1;
          const isRecord = 'freshMs' in answer;
          if (isRecord || left === 0) resolve(isRecord ? answer : NO_REPLY);
        });
      }
    });
  }

  #put(session: Session, asked: Asked, how: Pick<MissFrame, 'isPeek' | 'without'>) {
    const open = this.#open.get(session) ?? new Map<number, Question>();
    if (!session.isReady || !session.hasRoom || open.size >= BOUNDS.missesUnderWay) {
      return Promise.resolve<Answer>(how.isPeek ? NO_REPLY : SILENT);
    }
    this.#open.set(session, open);
    this.#number += 1;
    const request = this.#number;
    const answer = this.#answer(open, request, asked.signal, how.isPeek);
    const { miss, known } = asked;
    const { table, id, tag, page } = miss;
    this.#parts.count('Asked');
    session.send({ kind: 'miss', request, table, id, page, tag, ...how, ...known });
    return answer;
  }

  #answer(
    open: Map<number, Question>,
    request: number,
    signal: AbortSignal,
    isPeek: boolean,
  ): Promise<Answer> {
    const { clock } = this.#parts;
    return new Promise((resolve) => {
      const end = (answer: Answer) => {
        cancel();
        signal.removeEventListener('abort', leave);
        open.delete(request);
        resolve(answer);
      };
      const leave = () => end(NO_REPLY);
      const patience = durationMs(isPeek ? BOUNDS.peekMs : BOUNDS.missHeardMs);
      const cancel = clock.after(patience, () => end(isPeek ? NO_REPLY : SILENT));
      signal.addEventListener('abort', leave, { once: true });
      // Who has heard is watched by the heartbeat; the fetch of which this is a part ends in time.
      open.set(request, { heard: cancel, end });
    });
  }
}

/** A key or a head with more than a frame may hold would end the connection. */
function canTravel({ table, id, tag, page }: PeerMiss): boolean {
  const wanted = { kind: 'miss', request: 0, table, id, tag, page };
  const nobody = { isPeek: true, without: [], known: [], ahead: [] };
  return checkFrame({ ...wanted, ...nobody }).kind === 'valid';
}

interface Asked {
  readonly miss: PeerMiss;
  readonly known: Obeyed;
  readonly signal: AbortSignal;
  readonly sessions: ReadonlyMap<string, Session>;
}

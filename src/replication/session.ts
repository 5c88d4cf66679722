/**
 * One open connection to another node: says who this node is, learns who the other is, and then
 * carries what both ask of each other. It checks every frame, answers requests and heartbeats
 * itself and hands the rest to whom it concerns. It never outlives its connection, and nothing of
 * it is used by the next one.
 *
 *   greeting ── hello, nobody objects ──► ready ──► closed
 *       └────── hello of a name that is connected ──► waiting ──► ready or closed
 */
import type { EpochMs, NodeId, Sequence } from '../base/brands.ts';
import { epochMs, sequence } from '../base/brands.ts';
import type { Clock } from '../base/clock.ts';
import { LIMITS } from '../config/limits.ts';
import { BOUNDS } from './bounds.ts';
import { checkFrame } from './frame-check.ts';
import type {
  BatchFrame,
  BeginFrame,
  ByeCode,
  Frame,
  HeartbeatFrame,
  HelloFrame,
  MembersFrame,
  MissFrames,
  PurgedFrame,
  PurgeFrame,
  ReplyFrame,
  RestartFrame,
} from './frames.ts';
import type { ChangeLink, LinkUser } from './ports.ts';
import { type ServerParts, StreamServer } from './stream-server.ts';

/** Frames which are not the connection's own business. */
export type ToldFrame =
  | BeginFrame
  | BatchFrame
  | RestartFrame
  | PurgeFrame
  | PurgedFrame
  | MissFrames
  | MembersFrame;

export type Pulse = Pick<HeartbeatFrame, 'last' | 'cursor' | 'published'>;

export interface SessionOwner {
  readonly hello: () => HelloFrame;
  readonly pulse: (peer: HelloFrame) => Pulse;
  readonly isJoining: () => boolean;
  /** Judges who is there; calls `admit` or `dismiss`, at once or later. */
  readonly met: (session: Session) => void;
  readonly told: (session: Session, frame: ToldFrame) => void;
  /** The peer has this node's changes up to `Session.confirmed`. */
  readonly confirmed: (session: Session) => void;
  readonly dismissed: (session: Session, code: ByeCode, message: string, retryMs: number) => void;
  readonly refused: (session: Session, why: string) => void;
  readonly gone: (session: Session, why: string) => void;
}

export interface SessionParts {
  readonly link: ChangeLink;
  readonly clock: Clock;
  readonly owner: SessionOwner;
  readonly server: Pick<ServerParts, 'store' | 'own' | 'isSource' | 'isRaising'>;
}

interface Request {
  readonly askedAt: number;
  readonly resolve: (reply: ReplyFrame) => void;
  readonly reject: (error: Error) => void;
}

/** The connection ended before the answer came. */
export class SessionGone extends Error {}

export class Session implements LinkUser {
  readonly link: ChangeLink;
  readonly openedAt: number;
  state: 'greeting' | 'waiting' | 'ready' | 'closed' = 'greeting';
  /** Instant of the steady kind: when a frame last came. */
  heardAt: number;
  echoedAt = -1;
  /** The connection takes what it is given; no: it is full until it drains. */
  hasRoom = true;
  /** How far the other clock is ahead of ours. */
  offset: number | undefined;
  /** Time there and back when that was measured: it may be wrong by half of it. */
  roundTripMs = 0;
  peerLast: Sequence = sequence(0);
  peerJoining = true;
  /** What the peer says that the backbone tells of it; absent: nothing. */
  published: Sequence | undefined;
  /** What the peer has of this node's own changes. */
  confirmed: Sequence = sequence(0);
  readonly #parts: SessionParts;
  #peer: HelloFrame | undefined;
  #server: StreamServer | undefined;
  /** Frames that came while it was not decided whether the peer may stay. */
  #early: Frame[] = [];
  readonly #requests = new Map<number, Request>();
  #requestNumber = 0;
  readonly #beats = new Map<number, { readonly at: number; readonly now: EpochMs }>();
  #nonce = 0;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    this.link = parts.link;
    this.openedAt = parts.clock.monotonic();
    this.heardAt = this.openedAt;
  }

  begin(): void {
    this.link.use(this);
    this.send(this.#parts.owner.hello());
  }

  get isReady(): boolean {
    return this.state === 'ready';
  }

  get peer(): HelloFrame | undefined {
    return this.#peer;
  }

  get server(): StreamServer | undefined {
    return this.#server;
  }

  send(frame: Frame): boolean {
    if (this.state === 'closed') return false;
    this.hasRoom = this.link.send(frame as Frame & Readonly<Record<string, unknown>>);
    return this.hasRoom;
  }

  /** One question under way of each kind of work; the session ends when it is not answered. */
  request(ask: (request: number) => Frame): Promise<ReplyFrame> {
    if (this.state === 'closed') return Promise.reject(new SessionGone('the connection has ended'));
    this.#requestNumber += 1;
    const number = this.#requestNumber;
    const askedAt = this.#parts.clock.monotonic();
    return new Promise((resolve, reject) => {
      this.#requests.set(number, { askedAt, resolve, reject });
      this.send(ask(number));
    });
  }

  heartbeat(): void {
    if (this.#peer === undefined) return;
    this.#nonce += 1;
    const { clock, owner, server } = this.#parts;
    const now = server.store.now();
    this.#beats.set(this.#nonce, { at: clock.monotonic(), now });
    const oldest = this.#nonce - BOUNDS.beats;
    this.#beats.delete(oldest);
    const pulse = owner.pulse(this.#peer);
    const joining = owner.isJoining();
    this.send({ kind: 'heartbeat', nonce: this.#nonce, now, ...pulse, joining });
  }

  admit(): void {
    if (this.state === 'closed' || this.#peer === undefined) return;
    this.state = 'ready';
    const { clock, server } = this.#parts;
    const { tables, selection } = this.#peer;
    this.#server = new StreamServer({
      ...{ ...server, clock, peer: { tables, selection } },
      send: (frame) => this.send(frame),
    });
    this.heartbeat();
    const early = this.#early;
    this.#early = [];
    for (const frame of early) this.#obey(frame);
  }

  /** Ends it when nothing was heard for too long, or a question was not answered. */
  lookAround(now: number): void {
    const patience = this.isReady ? LIMITS.replicationStallMsMax : BOUNDS.helloMs;
    const since = this.isReady ? this.heardAt : this.openedAt;
    if (now - since > patience) this.dismiss('STALLED', 'nothing was heard for too long', 0);
    const [oldest] = this.#requests.values();
    if (oldest !== undefined && now - oldest.askedAt > BOUNDS.replyMs) {
      this.dismiss('STALLED', 'a question was not answered', 0);
    }
  }

  /** Ends the connection and says why. */
  dismiss(code: ByeCode, message: string, retryMs: number = BOUNDS.refusedMs): void {
    this.send({ kind: 'bye', code, message, retryMs });
    this.#close(`${code}: ${message}`);
  }

  received(frame: unknown): void {
    if (this.state === 'closed') return;
    this.heardAt = this.#parts.clock.monotonic();
    const checked = checkFrame(frame);
    if (checked.kind === 'invalid') this.fault(checked.problem);
    else this.#take(checked.frame);
  }

  /** The peer did what it must not: nothing more is heard of it on this connection. */
  fault(why: string): void {
    if (this.state === 'closed') return;
    this.#parts.owner.refused(this, why);
    this.dismiss('FRAME_INVALID', why);
  }

  drained(): void {
    this.hasRoom = true;
    this.#server?.drained();
  }

  gone(why: string): void {
    this.#close(why);
  }

  #take(frame: Frame): void {
    if (frame.kind === 'bye') {
      this.#parts.owner.dismissed(this, frame.code, frame.message, frame.retryMs);
      this.#close(`the other node ended it: ${frame.code}: ${frame.message}`);
      return;
    }
    if (this.#peer === undefined) {
      if (frame.kind !== 'hello') this.fault(`a ${frame.kind} came before the hello`);
      else this.#meet(frame);
      return;
    }
    if (this.state === 'ready') this.#obey(frame);
    else if (this.#early.length < BOUNDS.earlyFrames) this.#early.push(frame);
    else this.fault('too many frames came before this node had said yes');
  }

  #meet(hello: HelloFrame): void {
    this.#peer = hello;
    this.peerJoining = hello.joining;
    this.published = hello.published ?? undefined;
    this.state = 'waiting';
    this.#parts.owner.met(this);
  }

  #obey(frame: Frame): void {
    if (this.state !== 'ready') return;
    const server = this.#server;
    switch (frame.kind) {
      case 'open':
        server?.open(frame);
        break;
      case 'ack':
        this.#heardCursor(frame.cursor);
        if (this.isReady) server?.acknowledged(frame);
        break;
      case 'pageRequest':
        if (server !== undefined) this.send(server.page(frame));
        break;
      case 'digestRequest':
        if (server !== undefined) this.send(server.digests(frame));
        break;
      case 'bodyRequest':
        void server?.body(frame).then((answer) => this.send(answer));
        break;
      case 'page':
      case 'body':
      case 'digests':
        this.#answered(frame);
        break;
      case 'heartbeat':
        this.send({ kind: 'echo', nonce: frame.nonce, now: this.#parts.server.store.now() });
        this.peerLast = frame.last;
        this.peerJoining = frame.joining;
        this.published = frame.published ?? undefined;
        this.#heardCursor(frame.cursor);
        break;
      case 'echo':
        this.#echoed(frame.nonce, frame.now);
        break;
      case 'hello':
        this.fault('a second hello came');
        break;
      case 'bye':
        break;
      default:
        this.#parts.owner.told(this, frame);
    }
  }

  #heardCursor(cursor: Sequence): void {
    if (cursor > this.#parts.server.store.horizon().sequence) {
      this.fault('it has more of this node than there is');
      return;
    }
    if (cursor <= this.confirmed) return;
    this.confirmed = cursor;
    this.#parts.owner.confirmed(this);
  }

  #answered(frame: ReplyFrame): void {
    const request = this.#requests.get(frame.request);
    if (request === undefined) {
      this.fault(`a ${frame.kind} came that nobody asked for`);
      return;
    }
    this.#requests.delete(frame.request);
    request.resolve(frame);
  }

  #echoed(nonce: number, theirs: EpochMs): void {
    const beat = this.#beats.get(nonce);
    if (beat === undefined) return;
    this.#beats.delete(nonce);
    const { clock } = this.#parts;
    this.echoedAt = clock.monotonic();
    // Half the way there and back is how old the answer is.
    this.roundTripMs = this.echoedAt - beat.at;
    const halfway = epochMs(beat.now + this.roundTripMs / 2);
    this.offset = theirs - halfway;
  }

  #close(why: string): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.#server?.end();
    this.#early = [];
    for (const { reject } of this.#requests.values()) reject(new SessionGone(why));
    this.#requests.clear();
    this.link.close(why);
    this.#parts.owner.gone(this, why);
  }

  /** The author that writes at the other end. */
  get author(): NodeId | undefined {
    return this.#peer?.author;
  }
}

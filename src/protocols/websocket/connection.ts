/**
 * One WebSocket with its subscriptions. Events of a turn of the event loop are gathered and sent
 * together; a socket whose buffer fills up counts as having no room, and the feed conflates for it
 * until the engine says `drain`. Bytes waiting here are bounded by `socketConflateBytesMax` and one
 * event; the engine's own buffer is emptied before more is asked for.
 */
import type { ErrorCode } from '../../base/errors.ts';
import { LIMITS } from '../../config/limits.ts';
import type { Subscription } from '../../feed/subscriber.ts';
import type { Broadcast, Socket } from '../http/port.ts';
import { CLOSE_CODES } from './close-codes.ts';
import { JSON_FORMAT, type LiveFormat } from './live-format.ts';

/** What a client calls a subscription on `/live`. */
export type SubscriptionName = string | number;

/** What goes by a name on `/live`: a subscription to changes, or to a presence. */
export interface Held {
  readonly subscription: HeldSubscription;
  /** Where it is: a path with its query. */
  readonly resource: string;
  readonly stop?: (() => void) | undefined;
  /** Whoever holds it is somebody else, or may do something else, by now. */
  readonly judgeAgain: () => void;
}

export type HeldSubscription = Pick<Subscription, 'drained' | 'close'> &
  Partial<Pick<Subscription, 'stage' | 'leaveCrowd'>>;

/** A subscription as it is told to those who operate the node. */
export interface HeldReport {
  /** `undefined` for that of a resource's own path. */
  readonly name: SubscriptionName | undefined;
  readonly resource: string | undefined;
  readonly stage: string;
}

export interface ConnectionParts {
  readonly conflateBytesMax: number;
  /** Asks for `flush` at the end of the turn. */
  readonly flushLater: (connection: Connection) => void;
  /** Told which limit refused the client something. */
  readonly onLimit?: ((limit: string) => void) | undefined;
}

export class Connection {
  readonly format: LiveFormat;
  readonly #parts: ConnectionParts;
  /** The subscription of a socket at a resource's own path. */
  #own: Subscription | undefined;
  /** The subscriptions of `/live`, by name. */
  #held: Map<SubscriptionName, Held> | undefined;
  readonly #outbox: Uint8Array[] = [];
  #socket: Socket<unknown> | undefined;
  #outboxBytes = 0;
  #room = true;
  /** Somebody was turned away and waits for word of room. */
  #refused = false;
  /** Crowds that it is in. */
  #crowds = 0;

  constructor(parts: ConnectionParts, format: LiveFormat = JSON_FORMAT) {
    this.#parts = parts;
    this.format = format;
  }

  opened(socket: Socket<unknown>): void {
    this.#socket = socket;
  }

  get subscriptionCount(): number {
    return this.#held?.size ?? 0;
  }

  /** False before the socket is there, and once it is gone. */
  get isOpen(): boolean {
    return this.#socket !== undefined;
  }

  /** Bytes that wait for the client. */
  get bufferedBytes(): number {
    const socket = this.#socket;
    return this.#outboxBytes + (socket === undefined || socket.closed ? 0 : socket.bufferedBytes);
  }

  *subscriptions(): Iterable<HeldReport> {
    if (this.#own !== undefined) {
      yield { name: undefined, resource: undefined, stage: this.#own.stage };
    }
    for (const [name, { subscription, resource }] of this.#held ?? []) {
      yield { name, resource, stage: subscription.stage ?? 'presence' };
    }
  }

  has(name: SubscriptionName): boolean {
    return this.#held?.has(name) === true;
  }

  holdOwn(subscription: Subscription): void {
    this.#own = subscription;
  }

  hold(name: SubscriptionName, held: Held): void {
    this.#held ??= new Map();
    this.#held.set(name, held);
  }

  judgeAgain(): void {
    for (const held of [...(this.#held?.values() ?? [])]) held.judgeAgain();
  }

  /** Ends one subscription; false when there is none of that name. */
  release(name: SubscriptionName): boolean {
    const held = this.#held?.get(name);
    if (held === undefined) return false;
    this.#held?.delete(name);
    held.stop?.();
    held.subscription.close();
    return true;
  }

  limitHit(limit: string): void {
    this.#parts.onLimit?.(limit);
  }

  /** An answer which is no event of a subscription. */
  say(message: object): void {
    this.push(this.format.encode(message));
  }

  flush(): void {
    const socket = this.#socket;
    const frames = this.#outbox;
    if (socket !== undefined && frames.length > 0) {
      if (frames.length === 1 || socket.cork === undefined) this.#send(socket);
      else this.#sendTogether(socket, socket.cork.bind(socket));
    }
    frames.length = 0;
    this.#outboxBytes = 0;
    this.#tellOfRoom();
  }

  drained(): void {
    this.#room = true;
    this.#tellOfRoom();
  }

  /** Closes the socket with the code's meaning; the subscriptions end when the engine says so. */
  close(code: ErrorCode): void {
    this.flush();
    this.#socket?.close(CLOSE_CODES[code], code);
    this.closed();
  }

  /** The socket is gone. */
  closed(): void {
    this.#socket = undefined;
    this.#room = false;
    this.#own?.close();
    for (const name of [...(this.#held?.keys() ?? [])]) this.release(name);
    this.#outbox.length = 0;
    this.#outboxBytes = 0;
  }

  /** Whether another event may be pushed; who is refused is told of room later. */
  ready(): boolean {
    if (this.#room && this.#outboxBytes < this.#parts.conflateBytesMax) return true;
    this.#refused = true;
    return false;
  }

  /** What sends to it and to others by one call. */
  get broadcast(): Broadcast | undefined {
    return this.#socket?.broadcast;
  }

  /**
   * What a crowd may bring it before it is asked whether it has room: its part of what may wait,
   * and far below what makes the engine pass a socket by.
   */
  get unaskedBytesMax(): number {
    const engineMax = (this.broadcast?.bufferBytesMax ?? 0) / 2;
    return Math.min(this.#parts.conflateBytesMax, engineMax) / LIMITS.crowdsOfSocketMax;
  }

  enter(topic: string): boolean {
    if (this.#crowds >= LIMITS.crowdsOfSocketMax) return false;
    // What waits here is older than what the crowd will be sent.
    this.flush();
    if (!this.#room || this.#socket?.join === undefined) return false;
    this.#socket.join(topic);
    this.#crowds += 1;
    return true;
  }

  leave(topic: string): void {
    this.#crowds -= 1;
    this.#socket?.leave?.(topic);
  }

  /** Whether the client has taken what it was sent. */
  hasRoom(): boolean {
    if (this.#socket !== undefined && this.#socket.bufferedBytes > 0) this.#room = false;
    return this.#room;
  }

  push(frame: Uint8Array): void {
    if (this.#socket === undefined) return;
    if (this.#outbox.length === 0) this.#parts.flushLater(this);
    this.#outbox.push(frame);
    this.#outboxBytes += frame.byteLength;
  }

  #send(socket: Socket<unknown>): void {
    const { isBinary } = this.format;
    for (const frame of this.#outbox) {
      const result = socket.send(frame, isBinary);
      if (result === 'sent') continue;
      this.#fillUp();
      // Never silently: a client that lost an event must come back and resume.
      if (result === 'dropped') {
        this.#lost(socket);
        break;
      }
    }
  }

  #sendTogether(socket: Socket<unknown>, cork: (fn: () => void) => void): void {
    cork(() => this.#send(socket));
    // What the kernel did not take is known only now.
    if (!socket.closed && socket.bufferedBytes > 0) this.#fillUp();
  }

  /** No room: nothing is to come by the way of a crowd, which does not ask before. */
  #fillUp(): void {
    this.#room = false;
    if (this.#crowds === 0) return;
    this.#own?.leaveCrowd?.();
    for (const { subscription } of this.#held?.values() ?? []) subscription.leaveCrowd?.();
  }

  #lost(socket: Socket<unknown>): void {
    if (!socket.closed) socket.close(CLOSE_CODES.POSITION_UNKNOWN, 'POSITION_UNKNOWN');
    this.closed();
  }

  #tellOfRoom(): void {
    if (!this.#room || !this.#refused) return;
    this.#refused = false;
    this.#own?.drained();
    if (this.#held === undefined) return;
    for (const { subscription } of this.#held.values()) subscription.drained();
  }
}

/**
 * One WebSocket with its subscriptions. Events of a turn of the event loop are gathered and sent
 * together; a socket whose buffer fills up counts as having no room, and the feed conflates for it
 * until the engine says `drain`. Bytes waiting here are bounded by `socketConflateBytesMax` and one
 * event; the engine's own buffer is emptied before more is asked for.
 */
import type { ErrorCode } from '../../base/errors.ts';
import type { EncodedEvent } from '../../feed/event.ts';
import type { Sink } from '../../feed/sink.ts';
import type { Subscription } from '../../feed/subscriber.ts';
import type { Socket } from '../http/port.ts';
import { CLOSE_CODES } from './close-codes.ts';
import { JSON_FORMAT, jsonPrefix, type LiveFormat } from './live-format.ts';

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
  Partial<Pick<Subscription, 'stage'>>;

/** A subscription as it is told to those who operate the node. */
export interface HeldReport {
  /** `undefined` for that of a resource's own path. */
  readonly name: SubscriptionName | undefined;
  readonly resource: string | undefined;
  readonly stage: string;
}

/** The sink of one subscription: its events carry `prefix`. A class, since there are very many. */
class ConnectionSink implements Sink {
  readonly #connection: Connection;
  readonly #prefix: string;
  readonly #closed: SinkClosed;

  constructor(connection: Connection, prefix: string, closed: SinkClosed) {
    this.#connection = connection;
    this.#prefix = prefix;
    this.#closed = closed;
  }

  ready(): boolean {
    return this.#connection.ready();
  }

  write(event: EncodedEvent): void {
    this.#connection.push(event.bytes(this.#prefix));
  }

  close(code: ErrorCode): void {
    this.#closed(this.#connection, code);
  }
}

/** The same in an encoding of bytes. */
class BinarySink implements Sink {
  readonly #connection: Connection;
  readonly #name: SubscriptionName | undefined;
  readonly #closed: SinkClosed;

  constructor(connection: Connection, name: SubscriptionName | undefined, closed: SinkClosed) {
    this.#connection = connection;
    this.#name = name;
    this.#closed = closed;
  }

  ready(): boolean {
    return this.#connection.ready();
  }

  write(event: EncodedEvent): void {
    this.#connection.push(this.#connection.format.event(event, this.#name));
  }

  close(code: ErrorCode): void {
    this.#closed(this.#connection, code);
  }
}

/** The sink of a subscription in the encoding of its socket. */
export function sinkOf(
  connection: Connection,
  name: SubscriptionName | undefined,
  closed: SinkClosed,
): Sink {
  if (connection.format.isBinary) return new BinarySink(connection, name, closed);
  return new ConnectionSink(connection, name === undefined ? '' : jsonPrefix(name), closed);
}

/** Told when the feed ends a subscription. */
export type SinkClosed = (connection: Connection, code: ErrorCode) => void;

export interface ConnectionParts {
  readonly conflateBytesMax: number;
  /** Asks for `flush` at the end of the turn. */
  readonly flushLater: (connection: Connection) => void;
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
      this.#room = false;
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
    if (!socket.closed && socket.bufferedBytes > 0) this.#room = false;
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

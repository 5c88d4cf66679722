/**
 * The sinks of a socket's subscriptions: they encode events as the socket speaks, under the name
 * that the client gave the subscription. Classes, since there are very many. Where the engine sends
 * one message to many sockets, those which get the same bytes can be handed events together.
 */
import { must } from '../../base/assert.ts';
import type { ErrorCode } from '../../base/errors.ts';
import type { EncodedEvent } from '../../feed/event.ts';
import type { CrowdSink, Sink } from '../../feed/sink.ts';
import type { Connection, SubscriptionName } from './connection.ts';
import { jsonPrefix } from './live-format.ts';

/** Told when the feed ends a subscription. */
export type SinkClosed = (connection: Connection, code: ErrorCode) => void;

abstract class SocketSink implements CrowdSink {
  readonly #connection: Connection;
  readonly #closed: SinkClosed;

  constructor(connection: Connection, closed: SinkClosed) {
    this.#connection = connection;
    this.#closed = closed;
  }

  abstract get shape(): string;
  abstract encode(event: EncodedEvent): Uint8Array;

  protected get connection(): Connection {
    return this.#connection;
  }

  ready(): boolean {
    return this.#connection.ready();
  }

  write(event: EncodedEvent): void {
    this.#connection.push(this.encode(event));
  }

  close(code: ErrorCode): void {
    this.#closed(this.#connection, code);
  }

  get crowded(): CrowdSink | undefined {
    return this.#connection.broadcast === undefined ? undefined : this;
  }

  get host(): object {
    return must(this.#connection.broadcast, 'the broadcast of a socket in a crowd');
  }

  get unaskedBytesMax(): number {
    return this.#connection.unaskedBytesMax;
  }

  enter(topic: string): boolean {
    return this.#connection.enter(topic);
  }

  leave(topic: string): void {
    this.#connection.leave(topic);
  }

  hasRoom(): boolean {
    return this.#connection.hasRoom();
  }

  tell(topic: string, bytes: Uint8Array): void {
    this.#connection.broadcast?.send(topic, bytes, this.#connection.format.isBinary);
  }
}

/** Its events carry `prefix`. */
class TextSink extends SocketSink {
  readonly #prefix: string;

  constructor(connection: Connection, prefix: string, closed: SinkClosed) {
    super(connection, closed);
    this.#prefix = prefix;
  }

  get shape(): string {
    return this.#prefix;
  }

  encode(event: EncodedEvent): Uint8Array {
    return event.bytes(this.#prefix);
  }
}

/** The same in an encoding of bytes. */
class BinarySink extends SocketSink {
  readonly #name: SubscriptionName | undefined;

  constructor(connection: Connection, name: SubscriptionName | undefined, closed: SinkClosed) {
    super(connection, closed);
    this.#name = name;
  }

  get shape(): string {
    return `${this.connection.format.protocol} ${JSON.stringify(this.#name)}`;
  }

  encode(event: EncodedEvent): Uint8Array {
    return this.connection.format.event(event, this.#name);
  }
}

/** The sink of a subscription in the encoding of its socket. */
export function sinkOf(
  connection: Connection,
  name: SubscriptionName | undefined,
  closed: SinkClosed,
): Sink {
  if (connection.format.isBinary) return new BinarySink(connection, name, closed);
  return new TextSink(connection, name === undefined ? '' : jsonPrefix(name), closed);
}

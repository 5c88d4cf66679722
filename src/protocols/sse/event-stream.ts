/**
 * One event stream: the sink of one subscription. Events of a turn of the event loop go out in
 * one write; a client that does not read makes the writer say so, and the feed conflates for it
 * until there is room again.
 */
import type { ErrorCode } from '../../base/errors.ts';
import type { EncodedEvent } from '../../feed/event.ts';
import type { Sink } from '../../feed/sink.ts';
import type { Subscription } from '../../feed/subscriber.ts';
import type { BodyWriter } from '../http/port.ts';

export interface StreamParts {
  readonly conflateBytesMax: number;
  /** Asks for `flush` at the end of the turn. */
  readonly flushLater: (stream: EventStream) => void;
  readonly closed: (stream: EventStream) => void;
}

export class EventStream implements Sink {
  readonly #parts: StreamParts;
  readonly #outbox: Uint8Array[] = [];
  #writer: BodyWriter | undefined;
  #subscription: Subscription | undefined;
  #outboxBytes = 0;
  #room = true;
  #refused = false;
  #closed = false;
  /** Something was written since the last heartbeat. */
  #active = true;

  constructor(parts: StreamParts) {
    this.#parts = parts;
  }

  /** The subscription is registered; nothing is written before `begin`. */
  hold(subscription: Subscription): void {
    this.#subscription = subscription;
  }

  begin(writer: BodyWriter, preamble: Uint8Array): void {
    this.#writer = writer;
    this.#push(preamble);
    this.#subscription?.begin();
  }

  /** Where its subscription stands. */
  get stage(): string {
    return this.#subscription?.stage ?? 'closed';
  }

  /** Bytes that wait for the client. */
  get bufferedBytes(): number {
    return this.#outboxBytes + (this.#writer?.bufferedBytes ?? 0);
  }

  /** A block that is no event of the subscription; false when there is no room for it now. */
  say(block: Uint8Array): boolean {
    if (this.#closed || !this.#room) return false;
    this.#push(block);
    return true;
  }

  ready(): boolean {
    if (this.#room && this.#outboxBytes < this.#parts.conflateBytesMax) return true;
    this.#refused = true;
    return false;
  }

  write(event: EncodedEvent): void {
    this.#push(event.sse);
  }

  /** Ends the response: the browser comes back by itself with its last event id. */
  close(_code: ErrorCode): void {
    this.flush();
    // Who does not read would not see the end either, and hold the node's own up.
    if (this.#room) this.#writer?.end();
    else this.#writer?.destroy();
    this.gone();
  }

  /** A sign of life for proxies and for the client, on a stream that was silent. */
  heartbeat(comment: Uint8Array): void {
    if (!this.#active && this.#room && this.#outboxBytes === 0) this.#push(comment);
    this.#active = false;
  }

  flush(): void {
    const chunks = this.#outbox;
    const [first] = chunks;
    if (this.#closed || this.#writer === undefined || first === undefined) return;
    const bytes = chunks.length === 1 ? first : Buffer.concat(chunks);
    chunks.length = 0;
    this.#outboxBytes = 0;
    if (this.#writer.write(bytes)) this.#tellOfRoom();
    else this.#awaitRoom(this.#writer);
  }

  /** The client is gone. */
  gone(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#outbox.length = 0;
    this.#subscription?.close();
    this.#parts.closed(this);
  }

  #push(chunk: Uint8Array): void {
    if (this.#closed) return;
    if (this.#outbox.length === 0) this.#parts.flushLater(this);
    this.#outbox.push(chunk);
    this.#outboxBytes += chunk.byteLength;
    this.#active = true;
  }

  #awaitRoom(writer: BodyWriter): void {
    if (!this.#room) return;
    this.#room = false;
    void writer.drained().then(() => {
      this.#room = true;
      if (writer.aborted) this.gone();
      else this.#tellOfRoom();
    });
  }

  #tellOfRoom(): void {
    if (!this.#room || !this.#refused || this.#closed) return;
    this.#refused = false;
    this.#subscription?.drained();
  }
}

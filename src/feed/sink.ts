/**
 * What the feed needs from a connection: whether there is room, and a way to hand over one event.
 * Each protocol implements it; the feed never sees a socket. A sink must take every event handed
 * to it while it was ready (the excess of one event over its bound included), and must call
 * `Subscription.drained()` after `ready()` has answered false and there is room again.
 */
import type { ErrorCode } from '../base/errors.ts';
import type { EncodedEvent } from './event.ts';

/** `code`: application code on this thread, without a socket. */
export type FeedProtocol = 'websocket' | 'sse' | 'mqtt' | 'code';
export const FEED_PROTOCOLS: readonly FeedProtocol[] = ['websocket', 'sse', 'mqtt', 'code'];

export interface Sink {
  /** Whether another event may be handed over now. */
  ready(): boolean;
  write(event: EncodedEvent): void;
  /** The feed ends the subscription; the code says whether coming back helps. */
  close(code: ErrorCode): void;
  /** Itself, where its engine sends the same bytes to many sockets by one call. */
  readonly crowded?: CrowdSink | undefined;
}

/**
 * A sink that can be handed events together with others. What is handed to a crowd is taken for
 * every member, so that it must be seen soon (`hasRoom`) who does not read.
 */
export interface CrowdSink extends Sink {
  /** Sinks of one host and one shape are sent the same bytes. */
  readonly host: object;
  readonly shape: string;
  /** What each member may be handed before it is asked whether it has room, bytes. */
  readonly unaskedBytesMax: number;
  /** Joins, after what was written before has been sent; false: it stays by itself. */
  enter(topic: string): boolean;
  leave(topic: string): void;
  /** Whether the client has taken all there was. */
  hasRoom(): boolean;
  encode(event: EncodedEvent): Uint8Array;
  /** Sends to all who have entered. */
  tell(topic: string, bytes: Uint8Array): void;
}

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
}

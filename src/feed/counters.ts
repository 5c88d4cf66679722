/**
 * What the feed counts, as plain numbers which the metrics read when they are scraped.
 */
import type { DurationMs } from '../base/brands.ts';
import type { FeedProtocol } from './sink.ts';

export interface FeedCounters {
  /** Open subscriptions. */
  readonly subscriptions: Record<FeedProtocol, number>;
  readonly messagesSent: Record<FeedProtocol, number>;
  /** Subscribers told that changes may be missing. */
  readonly resets: Record<FeedProtocol, number>;
  /** Changes which a slow subscriber did not get singly because a newer value took their place. */
  readonly conflated: Record<FeedProtocol, number>;
  /** Times a subscriber fell behind for want of room. */
  readonly stalls: Record<FeedProtocol, number>;
  readonly snapshots: Record<FeedProtocol, number>;
}

/** Told once per change and protocol, after it was handed to `deliveries` sinks. */
export type ObserveLag = (protocol: FeedProtocol, lag: DurationMs, deliveries: number) => void;

const zeros = (): Record<FeedProtocol, number> => ({
  websocket: 0,
  sse: 0,
  mqtt: 0,
  code: 0,
});

export const createCounters = (): FeedCounters => ({
  subscriptions: zeros(),
  messagesSent: zeros(),
  resets: zeros(),
  conflated: zeros(),
  stalls: zeros(),
  snapshots: zeros(),
});

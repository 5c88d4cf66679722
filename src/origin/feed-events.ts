/**
 * What an origin's live feed says, and what it is told when it is opened. Public through
 * `src/index.ts`; the runner is `feed.ts`, the events are applied by the table layer.
 */
import type { RecordId } from '../base/brands.ts';
import { LIMITS } from '../config/limits.ts';
import type { TableBinding } from './definition.ts';

/** A record as the feed gives it: an object, or the bytes of a JSON object. */
export type FeedValue = Readonly<Record<string, unknown>> | Uint8Array;

interface Placed {
  /** Another table than the feed's own. */
  readonly table?: string | undefined;
  /** When it happened at the origin, milliseconds since 1970. */
  readonly timestamp?: number | undefined;
}

interface Addressed extends Placed {
  readonly id: RecordId;
}

/** One change. An `invalidate` without `id` concerns the `group`, or else the whole table. */
export type FeedWrite =
  | (Addressed & {
      readonly type: 'put';
      readonly value: FeedValue;
      /** Seconds for which it is fresh, instead of the policy's default. */
      readonly maxAge?: number | undefined;
    })
  | (Addressed & { readonly type: 'patch'; readonly value: FeedValue })
  | (Addressed & { readonly type: 'delete' })
  | (Addressed & { readonly type: 'message'; readonly value: unknown })
  | (Placed & {
      readonly type: 'invalidate';
      readonly id?: RecordId | undefined;
      readonly group?: string | undefined;
      /** May still be served stale, by the table's policy, when the origin cannot be asked. */
      readonly soft?: boolean | undefined;
    });

export interface FeedTransaction {
  readonly type: 'transaction';
  /** Applied in one commit. */
  readonly writes: readonly FeedWrite[];
}

/** `position`: where to resume after this event. */
export type FeedEvent = (FeedWrite | FeedTransaction) & { readonly position?: string | undefined };

export const FEED_WRITE_TYPES = ['put', 'patch', 'delete', 'invalidate', 'message'] as const;
export type FeedWriteType = (typeof FEED_WRITE_TYPES)[number];

export interface FeedContext {
  readonly signal: AbortSignal;
  /** The tables over this origin; an event that names none is the first one's. */
  readonly tables: readonly TableBinding[];
  /** Position of the last event that was applied, for the origin to go on from; absent at first. */
  readonly resumeFrom: string | undefined;
  /**
   * Says that the origin took the subscription; else the feed is live from its first event.
   * `vouches: false`: it tells of changes, but by time alone records become stale all the same.
   */
  connected(options?: { readonly vouches?: boolean | undefined }): void;
  /** The origin's wish how long to wait before the next attempt, milliseconds. */
  reconnectAfter(ms: number): void;
}

/** What is wrong with an event that code or a mapping produced; `undefined` when it is sound. */
export function checkFeedEvent(event: unknown): string | undefined {
  if (typeof event !== 'object' || event === null || !('type' in event)) return 'has no type';
  if (event.type !== 'transaction') return checkWrite(event);
  if (!('writes' in event) || !Array.isArray(event.writes))
    return 'is a transaction without writes';
  if (event.writes.length > LIMITS.feedTransactionWritesMax) return 'is a transaction too large';
  for (const write of event.writes) {
    const problem = checkWrite(write);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function checkWrite(write: unknown): string | undefined {
  if (typeof write !== 'object' || write === null || !('type' in write)) return 'has no type';
  const type = FEED_WRITE_TYPES.find((known) => known === write.type);
  if (type === undefined) return `has the unknown type ${JSON.stringify(write.type)}`;
  const id = 'id' in write ? write.id : undefined;
  if (id === undefined && type === 'invalidate') return undefined;
  if (!isRecordId(id)) return `is a ${type} without a usable id`;
  const value = 'value' in write ? write.value : undefined;
  if ((type === 'put' || type === 'patch') && !isFeedValue(value)) {
    return `is a ${type} of ${JSON.stringify(id)} whose value is no record`;
  }
  return undefined;
}

const isRecordId = (id: unknown): id is RecordId =>
  (typeof id === 'string' && id !== '') || (typeof id === 'number' && Number.isFinite(id));

const isFeedValue = (value: unknown): value is FeedValue =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

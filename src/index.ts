/**
 * The public surface: what an application's code, the ready-made `origins/` and `cache-policies/`
 * may import as `millrace`. An explicit list, kept small: what is named here is kept working.
 */
export type { RecordId } from './base/brands.ts';
export type { Clock } from './base/clock.ts';
export { NodeError } from './base/errors.ts';
export {
  type DefinedOrigin,
  defineOrigin,
  defineOriginKind,
  type GetContext,
  type GetResult,
  type Instant,
  type JsonRecord,
  type KindServices,
  type KindSettings,
  type NotModified,
  notModified,
  type OpenResponse,
  type OriginDefinition,
  type OriginKind,
  type ReplacedEntry,
  type SendOptions,
  type TableBinding,
  type WriteContext,
  type WriteResult,
} from './origin/definition.ts';
export type {
  FeedContext,
  FeedEvent,
  FeedTransaction,
  FeedValue,
  FeedWrite,
} from './origin/feed-events.ts';
export { originPath } from './origin/origin-path.ts';
export type { OriginResponse } from './origin/response.ts';

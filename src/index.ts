/**
 * The public surface: what an application's code, the ready-made `origins/` and `cache-policies/`
 * may import as `millrace`. An explicit list, kept small: what is named here is kept working.
 */
export type { RecordId } from './base/brands.ts';
export { NodeError } from './base/errors.ts';
export { definePolicy } from './cache/default-policy.ts';
export type {
  CachePolicy,
  PolicyHooks,
  PolicySettings,
  SettingsOverride as PolicyOverride,
} from './cache/policy.ts';
export type { ReplyFacts } from './cache/ports.ts';
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
  type ListContext,
  type NotModified,
  notModified,
  type OpenResponse,
  type OriginDefinition,
  type OriginKind,
  type OriginLimits,
  type ReplacedEntry,
  type SendOptions,
  type SocketTarget,
  type TableBinding,
  type WriteContext,
  type WriteResult,
} from './origin/definition.ts';
export { EventStreamParser, type StreamEvent } from './origin/event-stream.ts';
export type {
  FeedContext,
  FeedEvent,
  FeedTransaction,
  FeedValue,
  FeedWrite,
} from './origin/feed-events.ts';
export { type FeedMapping, feedEventOf, type StreamMessage } from './origin/feed-mapping.ts';
export { originPath } from './origin/origin-path.ts';
export type { OriginResponse } from './origin/response.ts';
export {
  type ApplicationTables,
  databases,
  type Tables,
  tables,
} from './resource/application-scope.ts';
export type {
  ApplicationTable,
  TableInstance,
  UpdatableRecord,
} from './resource/application-table.ts';
export {
  type BlobData,
  type BlobOptions,
  type CreatedBlob,
  createBlob,
  type HeldBlob,
} from './resource/blob.ts';
export {
  type ContentTypeHandler,
  type ContentTypes,
  contentTypes,
} from './resource/content-types.ts';
export {
  type CachingWishes,
  type Context,
  getContext,
  getResponse,
  getUser,
  type User,
} from './resource/context.ts';
export type {
  AttributeCondition,
  Comparator,
  ConditionGroup,
  QueryCondition,
  QueryObject,
  QuerySelect,
  QuerySelection,
  QuerySort,
} from './resource/query-object.ts';
export type {
  NextHandler,
  OperationNeeds,
  RegisteredOperation,
  ServerHandler,
  ServerHandlerOptions,
  ServerRequest,
  SourceOptions,
} from './resource/registrations.ts';
export { RequestTarget, type RequestTargetParts } from './resource/request-target.ts';
export { type PublicVerb, Resource, type Target } from './resource/resource.ts';
export type { Results } from './resource/results.ts';
export { auth, type Logger, logger, resources, server } from './resource/server.ts';
export type { Source, SourceContext, SourceObject } from './resource/source.ts';
export { SourceEvents } from './resource/source-events.ts';
export type { StaleEntry } from './resource/stale-hook.ts';
export type { RecordCount } from './resource/table-access.ts';
export type { SubscribeOptions, TableEvent } from './resource/table-feed.ts';
export type { ResourceMatch } from './resource/thread-scope.ts';
export { type TransactionHandle, transaction } from './resource/transaction.ts';

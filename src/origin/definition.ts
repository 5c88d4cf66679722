/**
 * The words in which an origin's code and the node talk: what a kind (`origins/http.ts`) or an
 * application's `origins/NAME.ts` implements, and what it is given. Public through `src/index.ts`.
 *
 * Marks are `Symbol.for`, not classes: an application's compiled code may hold another copy of this
 * module than the node that runs it.
 */

import type { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import type { RecordId } from '../base/brands.ts';
import type { StopSignal } from '../base/stop.ts';
import type { OriginSettings } from '../config/origin-file.ts';
import type { FeedContext, FeedEvent } from './feed-events.ts';
import type { OriginResponse } from './response.ts';

export type JsonRecord = Readonly<Record<string, unknown>>;

const NOT_MODIFIED = Symbol.for('millrace.notModified');
const ORIGIN = Symbol.for('millrace.origin');
const KIND = Symbol.for('millrace.originKind');

/** The origin's word that the entry being replaced is still right. */
export interface NotModified {
  readonly [NOT_MODIFIED]: true;
}

const theNotModified: NotModified = Object.freeze({ [NOT_MODIFIED]: true as const });

/** Returned by `get` when `context.replacing` is still the origin's current record. */
export const notModified = (): NotModified => theNotModified;

export const isNotModified = (value: unknown): value is NotModified =>
  typeof value === 'object' && value !== null && NOT_MODIFIED in value;

/** The stored entry which a `get` is to replace or confirm. */
export interface ReplacedEntry {
  readonly id: RecordId;
  /** The origin's own tag, as it sent it. */
  readonly entityTag: string | undefined;
  /** The origin's own modification time, in milliseconds since 1970. */
  readonly lastModified: number | undefined;
  /** When it was stored here. */
  readonly storedAt: number;
  /** The stored record; parsed when first read. */
  readonly record: JsonRecord;
}

/** Which records are asked for: what the table's `@sourcedFrom` says. */
export interface TableBinding {
  readonly table: string;
  readonly primaryKey: string;
  /** Path template of `@sourcedFrom(path:)`. */
  readonly path: string | undefined;
  /** The table declares nothing but its key: replies that are no JSON are kept as they come. */
  readonly takesBytes?: boolean | undefined;
}

/** An instant as code likes to give it: a `Date`, milliseconds since 1970, or a date string. */
export type Instant = Date | number | string;

/** What a `get` is told, and may say about the record it returns. */
export interface GetContext extends TableBinding {
  readonly replacing: ReplacedEntry | undefined;
  /** Aborts at the attempt's deadline. */
  readonly signal: AbortSignal;
  /** The same for `KindServices.request`, which needs no more of it; a `signal` costs to make. */
  readonly stop?: StopSignal | undefined;
  /** Of the request that began the fetch, where the node writes an access log. */
  readonly requestId?: string | undefined;
  lastModified: Instant | undefined;
  entityTag: string | undefined;
  /** Beats every `Cache-Control` and the policy's default lifetime. */
  freshUntil: Instant | undefined;
  /** Names by which this entry is invalidated together with others. */
  groups: readonly string[] | undefined;
  /** Answer the client, store nothing. */
  noStore: boolean;
  /** Rows of other tables to be stored with it: set by the node, from what the code wrote. */
  beside?: readonly object[] | undefined;
}

export interface WriteContext extends TableBinding {
  readonly signal: AbortSignal;
}

/** Attributes and the values which they must have; all of them. */
export type ListTerms = Readonly<Record<string, string | number | boolean>>;

export interface ListContext extends WriteContext {
  /**
   * The part of the collection that is asked for; empty for all of it. Only attributes of the
   * origin's `listBy` are in it.
   */
  readonly where: ListTerms;
}

/** What `get` may return; `undefined` and `null` say that there is no such record. */
export type GetResult = JsonRecord | Response | OriginResponse | NotModified | undefined | null;

/** What surrounds an origin in code; each has the default of `origins/*.yaml`. */
export type OriginLimits = Partial<
  Pick<OriginSettings, 'retries' | 'concurrency' | 'queueMax' | 'bodyMax'>
> & {
  /** Deadline of one attempt. */
  readonly timeoutMs?: number | undefined;
  readonly breaker?: { readonly failures: number; readonly cooldownMs: number } | undefined;
};

/** An origin as code: `get` is all that is needed. */
export interface OriginDefinition {
  readonly limits?: OriginLimits | undefined;
  get(id: RecordId, context: GetContext): Promise<GetResult> | GetResult;
  list?(context: ListContext): AsyncIterable<JsonRecord> | Promise<readonly JsonRecord[]>;
  /**
   * Attributes by whose values `list` can pick. A query that says `attribute=value` for one of
   * them is answered from that part, which is a list of its own; the others from the whole.
   */
  readonly listBy?: readonly string[] | undefined;
  /** Write-through: resolves when the origin holds the record; may return it enriched. */
  put?(id: RecordId, record: JsonRecord, context: WriteContext): Promise<WriteResult> | WriteResult;
  patch?(
    id: RecordId,
    patch: JsonRecord,
    context: WriteContext,
  ): Promise<WriteResult> | WriteResult;
  delete?(id: RecordId, context: WriteContext): Promise<unknown> | unknown;
  /** A live feed of changes: while it is connected the table does not go back to `get`. */
  subscribe?(context: FeedContext): AsyncIterable<FeedEvent>;
  /** Resolves when the origin is well; used by `health`. */
  probe?(signal: AbortSignal): Promise<void>;
  /** Lets go of what the origin holds, connections above all; nothing is asked afterwards. */
  close?(): Promise<void>;
}

// biome-ignore lint/suspicious/noConfusingVoidType: user code may simply return nothing.
export type WriteResult = JsonRecord | OriginResponse | null | undefined | void;

/** An `OriginDefinition` which went through `defineOrigin`. */
export type DefinedOrigin = OriginDefinition & { readonly [ORIGIN]: true };

/** Declares an origin in code; export what it returns from `origins/NAME.ts`. */
export function defineOrigin(definition: OriginDefinition): DefinedOrigin {
  if (typeof definition?.get !== 'function') {
    throw new TypeError('defineOrigin({ get }): an origin needs a function get(id, context)');
  }
  return Object.assign(definition, { [ORIGIN]: true as const });
}

export const isDefinedOrigin = (value: unknown): value is DefinedOrigin =>
  typeof value === 'object' && value !== null && ORIGIN in value;

export interface SendOptions {
  readonly method?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: string | Uint8Array | undefined;
  readonly signal: StopSignal;
}

/** A reply whose body is still arriving. */
export interface OpenResponse {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: AsyncIterable<Uint8Array>;
  /** Closes the connection. */
  close(): void;
}

/** Where a socket is to go; `tls` makes it one of TLS, whose peer is verified. */
export interface SocketTarget {
  readonly host: string;
  readonly port: number;
  readonly tls?: ConnectionOptions | undefined;
}

/** What the node lends to a kind: the way out to the network, time, and a place to complain. */
export interface KindServices {
  /** The origin's name, for messages. */
  readonly name: string;
  /** Calls `fn` once, after so many milliseconds; returns what stops it. */
  after(ms: number, fn: () => void): () => void;
  /**
   * Sends a request and reads the whole reply: pooled, decompressed, bounded by `bodyMax`, and
   * refused when it would reach a private address that `allowPrivate` does not list.
   */
  request(url: URL, init: SendOptions): Promise<OriginResponse>;
  /** As `request`, for a reply without an end: hands the bytes over as they come, as they are. */
  open(url: URL, init: SendOptions): Promise<OpenResponse>;
  /**
   * Begins a connection of another protocol than HTTP; the addresses which `request` refuses are an
   * `error` event of the socket, and so is a connection that takes longer than `connectTimeout`.
   */
  connectSocket(target: SocketTarget): Socket;
}

/** What a kind may read of `origins/NAME.yaml`; checked before it comes here. */
export type KindSettings = Pick<
  OriginSettings,
  | 'name'
  | 'url'
  | 'headers'
  | 'health'
  | 'feed'
  | 'options'
  | 'timeoutMs'
  | 'concurrency'
  | 'bodyMax'
>;

export interface OriginKindDefinition {
  readonly name: string;
  /** Throws when the settings cannot work: the message names the key and what to write. */
  open(settings: KindSettings, services: KindServices): OriginDefinition;
}

export type OriginKind = OriginKindDefinition & { readonly [KIND]: true };

/** Declares an origin kind: what `kind: NAME` in `origins/*.yaml` stands for. */
export const defineOriginKind = (definition: OriginKindDefinition): OriginKind =>
  Object.assign(definition, { [KIND]: true as const });

export const isOriginKind = (value: unknown): value is OriginKind =>
  typeof value === 'object' && value !== null && KIND in value;

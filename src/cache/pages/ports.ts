/**
 * What the page cache needs of a rendering origin, in its own words: one HTTP exchange whose body
 * is still arriving. Implemented by `origin/page-origin.ts` over a pool of replicas.
 *
 * Header fields are flat lists (name, value, name, value) in the order in which they came, names in
 * lower case, one pair a field line: only the cache decides which lines may be joined or dropped.
 */
import type { EntityTag, EpochMs } from '../../base/brands.ts';
import type { StopSignal } from '../../base/stop.ts';
import type { StoredBody } from '../entry.ts';
import type { PageAsked } from '../peer-reply.ts';
import type { ReplyFacts } from '../ports.ts';

export type FieldLines = readonly string[];

/** One request as it goes to the origin: what must not be forwarded has been left out already. */
export interface PageOriginRequest {
  /** Upper case. */
  readonly method: string;
  /** Path and query as they go on the request line, beginning with '/'. */
  readonly target: string;
  /** `Host` as the client sent it; an origin may be configured to send its own instead. */
  readonly host: string;
  readonly fields: FieldLines;
  /** `undefined`: no body. A stream is read with back-pressure and sent once, never again. */
  readonly body?: Uint8Array | AsyncIterable<Uint8Array> | undefined;
  /** Length of a streamed body when the client told it; else it goes out chunked. */
  readonly bodyLength?: number | undefined;
  /** A refresh behind a stale answer: uses the smaller background limiter. */
  readonly background: boolean;
  readonly signal: StopSignal;
  /** In whose turn it is asked, where many want something. */
  readonly source?: string | undefined;
  /** As what others may have it; absent when the word of another node's cache is not as good. */
  readonly shared?: SharedPage | undefined;
  /** Told of every interim response (103 and others, not 100 and 101) before the final one. */
  readonly onInterim?: ((status: number, fields: FieldLines) => void) | undefined;
}

/** A page that one request fetches for all. */
export interface SharedPage {
  /** The key under which it is stored. */
  readonly id: string;
  /** What is held and may be confirmed. */
  readonly tag: EntityTag | undefined;
  /** `undefined`: it is asked for with what is for the origin only. */
  asked(): PageAsked | undefined;
}

export interface PageOriginReply {
  /** The final status, 200 to 599. */
  readonly status: number;
  readonly fields: FieldLines;
  readonly requestedAt: EpochMs;
  readonly receivedAt: EpochMs;
  readonly body: ArrivingBody;
  /** It comes from the cache of another node: no younger here, and no longer fresh. */
  readonly judged?: Pick<ReplyFacts, 'age' | 'freshUntil'> | undefined;
}

/**
 * A body that is still arriving, as the origin coded it (no decompression). Read once. It throws a
 * `NodeError` with code `ORIGIN_BODY_INVALID` when the connection was cut, the chunking was broken
 * or the length was wrong: what came so far is then neither complete nor storable.
 */
export interface ArrivingBody extends AsyncIterable<Uint8Array> {
  /** `Content-Length`; `undefined` when the origin did not tell. */
  readonly length: number | undefined;
  /** Trailer fields, known when the body has been read to its end. */
  readonly trailers: FieldLines;
  /** Gives up: the connection is destroyed and never reused. */
  cancel(): void;
}

/** An upgraded connection (WebSocket pass-through): bytes both ways, half-closed by `end`. */
export interface UpgradedOrigin {
  readonly status: 101;
  readonly fields: FieldLines;
  readonly socket: import('node:stream').Duplex;
}

export interface PageOrigin {
  readonly name: string;
  /**
   * Resolves when the final response's head is there; rejects with a `NodeError` whose blame is
   * `origin` (unreachable, timed out, breaker open, busy). A reply of any status resolves.
   */
  fetch(request: PageOriginRequest): Promise<PageOriginReply>;
  /** Passes an upgrade on; resolves with the refusal as a reply when the origin does not switch. */
  upgrade(request: PageOriginRequest): Promise<UpgradedOrigin | PageOriginReply>;
  close(): Promise<void>;
}

/**
 * Where bodies go that are too large for an entry: a file each, written once, readable meanwhile.
 * The words are those of `table/body-store.ts`, which says what each of them promises.
 */
export interface PageBodies {
  /** Bodies above it are kept in files. */
  readonly fileMin: number;
  /** What a draft that has room may lack of its bytes in the file, at most. */
  readonly windowBytes: number;
  create(): PageBodyDraft;
  /** `undefined` when the body is gone or damaged. */
  open(body: StoredBody): PageBodyReader | undefined;
}

export interface PageBodyDraft {
  write(chunk: Uint8Array): boolean;
  drained(): Promise<void>;
  read(): PageBodyReader;
  finish(): Promise<StoredBody>;
  discard(): void;
}

export interface PageBodyReader {
  read(offset: number, max: number): Promise<Uint8Array>;
  verify(): Promise<void>;
  close(): void;
}

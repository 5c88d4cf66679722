/**
 * Cache-Control directives, of requests and of responses, as data. Parsing is tolerant where
 * RFC 9111 §5.2 and §4.2.1 ask for it (quoted numbers, odd case, duplicates) and conservative
 * where they leave a choice: a number that cannot be read counts as 0, that is, stale.
 */
import type { DeltaSeconds } from '../base/brands.ts';

/** [RFC9111 §5.2.1], [RFC5861 §4]; a directive that was absent is `undefined` or false. */
export interface RequestDirectives {
  readonly noCache: boolean;
  readonly noStore: boolean;
  readonly onlyIfCached: boolean;
  readonly mustRevalidate: boolean;
  readonly maxAge?: DeltaSeconds | undefined;
  readonly minFresh?: DeltaSeconds | undefined;
  /** `Infinity` for `max-stale` without a value. */
  readonly maxStale?: DeltaSeconds | undefined;
  readonly staleIfError?: DeltaSeconds | undefined;
}

/** [RFC9111 §5.2.2], [RFC5861], [RFC8246]. */
export interface ResponseDirectives {
  readonly noCache: boolean;
  readonly noStore: boolean;
  readonly private: boolean;
  readonly public: boolean;
  readonly mustRevalidate: boolean;
  readonly proxyRevalidate: boolean;
  readonly immutable: boolean;
  readonly maxAge?: DeltaSeconds | undefined;
  readonly sMaxage?: DeltaSeconds | undefined;
  readonly staleWhileRevalidate?: DeltaSeconds | undefined;
  readonly staleIfError?: DeltaSeconds | undefined;
}

/** A request without any directive; shared, so that the common case allocates nothing. */
export const NO_REQUEST_DIRECTIVES: RequestDirectives = Object.freeze({
  noCache: false,
  noStore: false,
  onlyIfCached: false,
  mustRevalidate: false,
});

/** A response without any directive. */
export const NO_RESPONSE_DIRECTIVES: ResponseDirectives = Object.freeze({
  noCache: false,
  noStore: false,
  private: false,
  public: false,
  mustRevalidate: false,
  proxyRevalidate: false,
  immutable: false,
});

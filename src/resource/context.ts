/**
 * What a resource's method knows about the request it answers: who asks, the HTTP request, and the
 * fields of the answer that are not its body. Passed as the last argument, and yielded by
 * `getContext()` anywhere in the same chain of awaits.
 */
import { currentCall } from './thread-scope.ts';
import type { TransactionHandle } from './transaction.ts';

export interface User {
  readonly username: string;
  readonly role: {
    readonly role: string;
    readonly permission: { readonly super_user: boolean };
  };
}

/** What code may ask of the caches that its reads go through. */
export interface CachingWishes {
  /** Ask the origin whatever is held. */
  noCache?: boolean | undefined;
  /** Store nothing of what is fetched. */
  noCacheStore?: boolean | undefined;
  /** Never ask the origin: a record that is not held is an error `NOT_CACHED`. */
  onlyIfCached?: boolean | undefined;
  /** Never take a stale record, even when the origin fails. */
  mustRevalidate?: boolean | undefined;
  /** Take a stale record of any age when the origin fails. */
  staleIfError?: boolean | undefined;
}

export interface Context extends CachingWishes {
  /** `undefined` for an anonymous client. */
  readonly user: User | undefined;
  readonly method: string;
  /** Path and query, raw. */
  readonly url: string;
  readonly pathname: string;
  readonly host: string;
  readonly ip: string;
  readonly headers: Headers;
  /** Fields of the answer; what the returned value says itself comes on top. */
  readonly responseHeaders: Headers;
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal;
  /** The request's body as it was read; `undefined` when it has none. */
  readonly data: unknown;
  /** The same as `data`. */
  readonly body?: unknown;
  /** The writes of this call; `undefined` outside of one. */
  transaction?: TransactionHandle | undefined;
  /** Tells the client of what it will need, ahead of the answer [RFC8297]. */
  sendEarlyHints?(link: string, headers?: Readonly<Record<string, string>>): void;
  /** Milliseconds since 1970; becomes `Last-Modified`. */
  lastModified?: number | undefined;
  /** Other nodes that are to hold the writes of this call: how many, which, or `none`. */
  replicateTo?: number | readonly string[] | 'none' | undefined;
  /** `LOCAL_ONLY`: what is written under this context stays on this node. */
  metadata?: { readonly LOCAL_ONLY?: boolean | undefined } | undefined;
  /** For how many of them the answer waits; for none when absent. */
  replicatedConfirmation?: number | undefined;
  /** End of the freshness of records written under this context, milliseconds since 1970. */
  expiresAt?: number | undefined;
}

/** The context of the request which the running code answers; `undefined` outside of one. */
export const getContext = (): Context | undefined => currentCall()?.context;

/** What the answer of the running call will carry: its header fields. */
export const getResponse = (): { readonly headers: Headers } | undefined => {
  const headers = currentCall()?.context.responseHeaders;
  return headers && { headers };
};

/** Who asks; `undefined` for an anonymous client and outside of a request. */
export const getUser = (): User | undefined => currentCall()?.context.user;

/**
 * Application code that clients may follow at a path, as the sockets see it: a port, so that this
 * folder runs none of it. A path of a class with `connect` or `subscribe` of its own has one;
 * everything else that can be followed is the feed's.
 */
import type { NodeError } from '../../base/errors.ts';
import type { MessageStream } from '../../resource/message-stream.ts';
import type { HttpRequest } from '../http/port.ts';

export interface CodeStream<Principal> {
  /** Rejects when the principal may not. */
  admit(request: HttpRequest, principal: Principal): Promise<void>;
  open(
    request: HttpRequest,
    principal: Principal,
    client: CodeStreamClient,
  ): Promise<AsyncIterableIterator<unknown>>;
  /** What the code threw, as an error; logs what is a fault of the code. */
  failure(thrown: unknown, request: HttpRequest): NodeError;
}

export interface CodeStreamClient {
  /** What the client says; absent where it cannot say anything. */
  readonly incoming: MessageStream | undefined;
  /** Aborts when the client has gone or follows no more. */
  readonly signal: AbortSignal;
}

/** The code at a path; `undefined` where there is none to follow. */
export type CodeStreamAt<Principal> = (path: string) => CodeStream<Principal> | undefined;

/** Rejects with an error of ours when the principal may not follow what is there. */
export type AdmitFollower<Principal> = (
  request: HttpRequest,
  principal: Principal,
) => Promise<void>;

/** What the code in front of a table asks of its followers; `undefined` where it asks nothing. */
export type AdmitFollowerAt<Principal> = (path: string) => AdmitFollower<Principal> | undefined;

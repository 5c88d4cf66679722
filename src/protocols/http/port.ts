/**
 * The HTTP port: what the protocols see of the engine below, whichever it is. Two adapters (`uws`
 * and `node`) implement it and run the same conformance suite (`test/conformance/http/`).
 *
 * Rules for callers: a handler must reply, stream, or return a promise that ends in one of them; an
 * exception or rejection is answered with a 500 problem document by the adapter. After `aborted`
 * every call is harmless. Header names are written in lower case; values with CR, LF or NUL are
 * refused by the adapter with an assertion, never sent.
 */

import type { Duplex } from 'node:stream';
import type { ClientCertificate } from '../../access/asking.ts';
import type { StopSignal } from '../../base/stop.ts';
import type { Admission } from './admission.ts';
import type { TlsCertificates } from './tls-files.ts';

export type HttpEngine = 'uws' | 'node';

/** What a request looked like; copied at once, so it may be kept across awaits. */
export interface HttpRequest {
  /** Upper case. */
  readonly method: string;
  /** Raw, still percent-encoded, beginning with '/'. */
  readonly path: string;
  /** Raw, without '?'; '' when there is none. */
  readonly query: string;
  /** Value of a field by its lower-case name; several lines are joined by ', '. */
  header(name: string): string | undefined;
  headers(): Iterable<readonly [string, string]>;
  /** Textual address of the peer on the socket. */
  readonly remoteAddress: string;
  /** What the client speaks, as a trusted proxy in front tells; `undefined` when none does. */
  readonly toldScheme?: 'http' | 'https' | undefined;
  /** Under which id origins are asked for its sake; `undefined` where no access log is written. */
  readonly fetchId?: string | undefined;
  /** What the client showed, when TLS verified it. */
  readonly certificate?: ClientCertificate | undefined;
}

/** Flat list: name, value, name, value. Flat because the hot path writes eight of them. */
export type HeaderList = readonly string[];

export interface BodyWriter {
  /** Queues a chunk (copied if it must wait); false means: wait for `drained` before the next. */
  write(chunk: Uint8Array | string): boolean;
  /** Resolves when there is room again, or when the client has gone. */
  drained(): Promise<void>;
  end(chunk?: Uint8Array | string): void;
  /** Cuts the connection: the client sees an incomplete body. */
  destroy(): void;
  /** Bytes accepted and not yet handed to the kernel. */
  readonly bufferedBytes: number;
  readonly aborted: boolean;
}

/**
 * A request body as it arrives. The sender waits while its reader works: at most a window of bytes
 * is held. Iterating rejects with `BODY_TOO_LARGE`, or with `REQUEST_MALFORMED` when the client
 * leaves before the end. To leave the loop early gives the rest up.
 */
export interface RequestStream extends AsyncIterable<Uint8Array> {
  /** As `Content-Length` says; `undefined` when only the last chunk tells. */
  readonly length: number | undefined;
}

export interface Exchange {
  readonly request: HttpRequest;
  /** The client has gone; nothing can be sent any more. */
  readonly aborted: boolean;
  /** A reply was begun. */
  readonly replied: boolean;
  /** Calls `fn` once when the client goes before the reply is complete. */
  onAborted(fn: () => void): void;
  /** Aborts with the client. Made on first use. */
  readonly signal: StopSignal;
  /**
   * The whole request body. Rejects with `BODY_TOO_LARGE` beyond `maxBytes`, `LENGTH_REQUIRED` /
   * `REQUEST_MALFORMED` for framing the engine cannot take safely. Call it before the first await.
   */
  body(maxBytes: number): Promise<Uint8Array>;
  /** The same body piece by piece, with back-pressure; either may be called once, not both. */
  requestStream(maxBytes: number): RequestStream;
  /**
   * Says something ahead of the answer: a status from 102 to 199 and its fields. node sends it at
   * once, uWS together with the head of the answer. What comes after the answer began, and what is
   * too much, is left out, as is everything to a client of HTTP/1.0 [RFC9110 §15.2].
   */
  interim(status: number, headers: HeaderList): void;
  /**
   * The complete answer in one call. For HEAD (and 304, 204) the body is not sent, but its length
   * is told where HTTP says so. A body view is consumed before the call returns.
   */
  reply(status: number, headers: HeaderList, body?: Uint8Array | string): void;
  /** An answer of unknown or large size, with back-pressure. `length` sends Content-Length. */
  stream(status: number, headers: HeaderList, length?: number): BodyWriter;
  /** Counts that a limit refuses this request. */
  limitHit(limit: string): void;
  /** Remembers that whoever asks was not granted this. */
  denied(what: string): void;
}

export type HttpHandler = (exchange: Exchange) => void | Promise<void>;

/**
 * `sent`: handed to the kernel; `buffered`: waits in the socket's buffer; `dropped`: beyond its
 * limit.
 */
export type SendResult = 'sent' | 'buffered' | 'dropped';

/** What sends one message to many sockets of a listener. */
export interface Broadcast {
  /** Unsent bytes of one socket beyond which a message to all would pass it by, silently. */
  readonly bufferBytesMax: number;
  /** To all who have joined; leaves at the end of the turn, before what is sent to one later. */
  send(topic: string, message: Uint8Array, binary: boolean): void;
}

export interface Socket<State> {
  readonly state: State;
  readonly remoteAddress: string;
  /**
   * Strings are sent as text, bytes as binary unless `binary` says that they are UTF-8 text (a
   * fan-out encodes once). A view is consumed before the call returns.
   */
  send(message: string | Uint8Array, binary?: boolean): SendResult;
  readonly bufferedBytes: number;
  /** Sends what `fn` sends in as few system calls as the engine can; calls it at once. */
  cork?(fn: () => void): void;
  /** Absent where the engine sends to each by itself; then there is nothing to join. */
  readonly broadcast?: Broadcast | undefined;
  join?(topic: string): void;
  leave?(topic: string): void;
  /** Closing handshake with code and reason (at most 123 bytes). */
  close(code: number, reason: string): void;
  terminate(): void;
  readonly closed: boolean;
}

export type UpgradeVerdict<State> =
  | { readonly kind: 'accept'; readonly protocol?: string | undefined; readonly state: State }
  | {
      /**
       * The client is to talk with an origin that has switched protocols. node joins the two
       * connections; uWS, which hides its own, relays messages. The adapter owns `origin` now.
       */
      readonly kind: 'tunnel';
      readonly origin: Duplex;
      /** The origin's answer, without the fields of its connection. */
      readonly headers: HeaderList;
    }
  | {
      readonly kind: 'refuse';
      readonly status: number;
      readonly headers: HeaderList;
      readonly body?: string | Uint8Array | undefined;
    };

/**
 * The adapter has checked version, key, Connection, Upgrade and Origin before `upgrade` is asked.
 * An engine that cannot pass an extension on does not show that the client offered it.
 */
export interface WebSocketHandler<State> {
  /** Whether somebody behind this node judges the `Origin` of the request. */
  leavesOriginTo?(request: HttpRequest): boolean;
  upgrade(request: HttpRequest): UpgradeVerdict<State> | Promise<UpgradeVerdict<State>>;
  open(socket: Socket<State>): void;
  message(socket: Socket<State>, data: Uint8Array, binary: boolean): void;
  /** There is room again after `buffered`. */
  drain(socket: Socket<State>): void;
  closed(socket: Socket<State>, code: number): void;
}

export interface HttpLimits {
  /** Bytes of the request head; the uWS builds have their own (see `docs`). */
  readonly headBytesMax: number;
  readonly urlBytesMax: number;
  readonly idleTimeoutSeconds: number;
  readonly messageBytesMax: number;
  readonly socketBufferBytesMax: number;
  readonly connectionsMax: number;
  readonly headerCountMax: number;
  readonly headerTimeoutSeconds: number;
  readonly bodyGraceSeconds: number;
  readonly bodyBytesPerSecondMin: number;
  readonly pipelinedRequestsMax: number;
}

export interface ListenOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Several workers share the port; false refuses a port which is taken. */
  readonly shared: boolean;
  readonly limits: HttpLimits;
  readonly handler: HttpHandler;
  // biome-ignore lint/suspicious/noExplicitAny: each protocol has its own socket state
  readonly webSocket?: WebSocketHandler<any> | undefined;
  /** Allowed `Origin` of WebSocket upgrades besides the request's own host; '*' allows all. */
  readonly allowedOrigins: readonly string[];
  /** Values of `Host` that are answered; all when empty. */
  readonly allowedHosts?: readonly string[] | undefined;
  /** Told which limit refused a request, for metrics; `requestFraming` is that of HTTP itself. */
  readonly onRefused?: ((limit: string) => void) | undefined;
  /** Told of what somebody was not granted, for the audit log. */
  readonly onDenied?: ((request: HttpRequest, what: string) => void) | undefined;
  /** Who may come in; without it only `connectionsMax` holds, for this listener alone. */
  readonly admission?: Admission | undefined;
  /** Told of handlers that threw (not of the client's mistakes), for the log. */
  readonly onFault?:
    | ((error: unknown, request: { readonly method: string; readonly path: string }) => void)
    | undefined;
  readonly tls?: TlsCertificates | undefined;
  /** HTTP/2 besides HTTP/1.1, where there is TLS and the engine can. */
  readonly http2?: boolean | undefined;
}

export interface Listener {
  readonly engine: HttpEngine;
  readonly port: number;
  readonly connections: number;
  /** Exchanges that are not yet answered in full; streams count until they end. */
  readonly openExchanges: number;
  /** Stops accepting; open exchanges may finish. */
  stopAccepting(): void;
  /**
   * Closes everything. Must be called before the thread ends (uWS aborts the process otherwise).
   */
  close(): Promise<void>;
}

/** Throws `PORT_IN_USE`. */
export type Listen = (options: ListenOptions) => Promise<Listener>;

/**
 * The part of uWebSockets.js that is used here, as both loadable builds (20.30 and 20.57) have it.
 * Own declarations, because neither package is certain to be installed, and their typings differ.
 */

export type UwsText = string | ArrayBuffer | Uint8Array;

export interface UwsRequest {
  getCaseSensitiveMethod(): string;
  /** Raw path, without the query. */
  getUrl(): string;
  getQuery(): string | undefined;
  forEach(visit: (name: string, value: string) => void): void;
  setYield(yields: boolean): UwsRequest;
}

export interface UwsResponse {
  pause(): void;
  resume(): void;
  writeStatus(status: UwsText): UwsResponse;
  writeHeader(name: UwsText, value: UwsText): UwsResponse;
  /** Chunked; everything is accepted, false says that it had to be buffered. */
  write(chunk: UwsText): boolean;
  end(body?: UwsText, closeConnection?: boolean): UwsResponse;
  endWithoutBody(): UwsResponse;
  /** `[ok, done]`: not ok, the rest must be sent again from `getWriteOffset()`. */
  tryEnd(chunk: UwsText, totalSize: number): [boolean, boolean];
  close(): UwsResponse;
  getWriteOffset(): number;
  onWritable(fn: (offset: number) => boolean): UwsResponse;
  onAborted(fn: () => void): UwsResponse;
  onData(fn: (chunk: ArrayBuffer, isLast: boolean) => void): UwsResponse;
  getRemoteAddress(): ArrayBuffer;
  cork(fn: () => void): UwsResponse;
  upgrade(
    userData: object,
    key: UwsText,
    protocol: UwsText,
    extensions: UwsText,
    context: UwsContext,
  ): void;
}

export interface UwsContext {
  readonly uwsContext: unique symbol;
}

export interface UwsWebSocket {
  /** 1: sent, 0: buffered, 2: dropped. */
  send(message: UwsText, isBinary?: boolean, compress?: boolean): number;
  getBufferedAmount(): number;
  cork(fn: () => void): UwsWebSocket;
  end(code?: number, reason?: UwsText): void;
  close(): void;
  /** 1: sent, 0: buffered, 2: dropped, after all that was published to it. */
  ping(message?: UwsText): number;
  subscribe(topic: string): boolean;
  unsubscribe(topic: string): boolean;
  getUserData(): { readonly socket?: unknown };
}

export interface UwsWebSocketBehavior {
  readonly maxPayloadLength: number;
  readonly idleTimeout: number;
  readonly compression: number;
  readonly maxBackpressure: number;
  readonly closeOnBackpressureLimit: boolean;
  readonly sendPingsAutomatically: boolean;
  readonly upgrade: (res: UwsResponse, req: UwsRequest, context: UwsContext) => void;
  readonly open: (ws: UwsWebSocket) => void;
  readonly message: (ws: UwsWebSocket, message: ArrayBuffer, isBinary: boolean) => void;
  readonly drain: (ws: UwsWebSocket) => void;
  readonly ping: (ws: UwsWebSocket) => void;
  readonly pong: (ws: UwsWebSocket) => void;
  readonly close: (ws: UwsWebSocket, code: number, reason: ArrayBuffer) => void;
}

export interface UwsListenSocket {
  readonly uwsListenSocket: unique symbol;
}

type Route = (pattern: string, serve: (res: UwsResponse, req: UwsRequest) => void) => UwsApp;

export interface UwsApp {
  readonly get: Route;
  readonly head: Route;
  readonly any: Route;
  ws(pattern: string, behavior: UwsWebSocketBehavior): UwsApp;
  publish(topic: string, message: UwsText, isBinary?: boolean, compress?: boolean): boolean;
  /** `options` 1: exclusive, without SO_REUSEPORT. */
  listen(
    host: string,
    port: number,
    options: number,
    listening: (socket: UwsListenSocket | false) => void,
  ): UwsApp;
  /** Absent in 20.30. `count` is 1 when a connection opens, -1 when it closes. */
  filter?(visit: (res: UwsResponse, count: number) => void): UwsApp;
  close(): UwsApp;
}

export interface UwsModule {
  App(): UwsApp;
  SSLApp(options: {
    key_file_name: string;
    cert_file_name: string;
    passphrase?: string;
    ssl_ciphers: string;
  }): UwsApp;
  us_listen_socket_close(socket: UwsListenSocket): void;
  us_socket_local_port(socket: UwsListenSocket): number;
  /** `'silent'` keeps the `uWebSockets` header from every response. */
  _cfg?(name: string): void;
}

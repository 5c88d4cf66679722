/**
 * The HTTP port on uWebSockets.js. Routes everything through the framing guard into the handler;
 * replies are the business of `exchange.ts`, sockets that of `sockets.ts`.
 *
 * Engine limits that callers should know: no chunked uploads; a request pipelined behind one that
 * is answered later closes the connection; request heads beyond what the build takes are cut off by
 * it.
 */
import { problemFields, refusalBody, refusalLimit, refusalStatus, runHandler } from '../faults.ts';
import { type FramingRules, hostsOf, inspectHead, type Refusal } from '../framing.ts';
import type { Listen, Listener, ListenOptions } from '../port.ts';
import { listenError, portInUse, probePort } from '../port-probe.ts';
import type { RequestCopy } from '../request-copy.ts';
import { CIPHERS } from '../tls-files.ts';
import { wantsWebSocket } from '../upgrade-checks.ts';
import { type ExchangeHost, UwsExchange } from './exchange.ts';
import { copyRequest } from './request.ts';
import { SlowReaders } from './slow-readers.ts';
import { SlowSenders } from './slow-senders.ts';
import { SocketSide } from './sockets.ts';
import type { UwsApp, UwsListenSocket, UwsModule, UwsRequest, UwsResponse } from './types.ts';

const EXCLUSIVE = 1;
const FREE_PORT_TRIES = 5;
const CROWDED = 32;
const ROOM_LOOK_MS = 100;
const overloaded: Refusal = {
  code: 'OVERLOADED',
  detail: 'too many connections; try again later (limits.connectionsMax)',
  limit: 'connectionsMax',
  headers: ['retry-after', '1'],
};
const noHandshake: Refusal = {
  code: 'REQUEST_MALFORMED',
  detail: 'the Sec-WebSocket-Key field is not a key',
};

/** The `listen` of this engine. */
export function uwsListen(uws: UwsModule): Listen {
  return async (options) => {
    const listener = new UwsListener(uws, options);
    await listener.start();
    return listener;
  };
}

class UwsListener implements Listener, ExchangeHost {
  readonly engine = 'uws';
  readonly slowReaders: SlowReaders;
  readonly slowSenders: SlowSenders;
  draining = false;
  waiting = 0;
  port = 0;
  readonly #uws: UwsModule;
  readonly #options: ListenOptions;
  readonly #rules: FramingRules;
  readonly #app: UwsApp;
  readonly #sockets: SocketSide | undefined;
  #counted = 0;
  #counts = false;
  #token: UwsListenSocket | undefined;
  #closed = false;
  #roomTimer: NodeJS.Timeout | undefined;

  constructor(uws: UwsModule, options: ListenOptions) {
    this.#uws = uws;
    this.#options = options;
    this.slowReaders = new SlowReaders(options.limits.idleTimeoutSeconds * 1000);
    this.slowSenders = new SlowSenders(options.limits);
    this.#rules = {
      ...{ ...options.limits, chunkedUploads: false, expectations: true },
      allowedHosts: hostsOf(options.allowedHosts),
    };
    const { tls } = options;
    this.#app =
      tls === undefined
        ? uws.App()
        : uws.SSLApp({
            key_file_name: tls.files.key,
            cert_file_name: tls.files.cert,
            ssl_ciphers: CIPHERS,
            ...(tls.files.passphrase === undefined ? {} : { passphrase: tls.files.passphrase }),
          });
    this.#countConnections();
    if (options.webSocket !== undefined) {
      this.#sockets = new SocketSide(options, options.webSocket, this.#app);
      this.#app.ws('/*', this.#sockets.behavior(this));
    }
    // Its own routes: the method is then known without asking the engine for it.
    this.#app.get('/*', (res, req) => this.#serve(res, req, 'GET'));
    this.#app.head('/*', (res, req) => this.#serve(res, req, 'HEAD'));
    this.#app.any('/*', (res, req) => this.#serve(res, req, req.getCaseSensitiveMethod()));
  }

  /** Open connections; with 20.30, which cannot count them, only those waiting or upgraded. */
  get connections(): number {
    return this.#counts ? this.#counted : this.waiting + (this.#sockets?.open ?? 0);
  }

  get openExchanges(): number {
    return this.waiting;
  }

  async start(): Promise<void> {
    const { host, port } = this.#options;
    let token = await this.#listen(port);
    // Somebody may take a freely chosen port in the moment between choosing and binding it.
    for (let tries = 1; token === false && port === 0 && tries < FREE_PORT_TRIES; tries += 1) {
      token = await this.#listen(port);
    }
    if (token === false) {
      this.#closed = true;
      // The engine keeps the reason to itself.
      await probePort(host, port);
      throw portInUse(host, port);
    }
    this.#token = token;
    this.port = this.#uws.us_socket_local_port(token);
    this.#watchRoom();
    if (this.port <= 0) {
      await this.close();
      throw listenError(new Error('no port was bound'), host, port);
    }
  }

  /**
   * The engine sets SO_REUSEADDR only for ports it is told: one that it chose itself could not be
   * bound again for a minute after its connections were closed (`dev` does that on every reload).
   */
  async #listen(wanted: number): Promise<UwsListenSocket | false> {
    const { host, shared } = this.#options;
    const port = wanted === 0 ? await probePort(host, 0) : wanted;
    return new Promise((resolve) => {
      this.#app.listen(host, port, shared ? 0 : EXCLUSIVE, resolve);
    });
  }

  /** The engine would try to accept for ever: without room it must not listen at all. */
  #watchRoom(): void {
    const { admission, host } = this.#options;
    if (admission === undefined) return;
    let opening = false;
    this.#roomTimer = setInterval(() => {
      if (this.draining || opening) return;
      if (!admission.accepts && this.#token !== undefined) {
        this.limitHit('descriptorsReserved');
        this.#uws.us_listen_socket_close(this.#token);
        this.#token = undefined;
      } else if (admission.accepts && this.#token === undefined) {
        opening = true;
        const flags = this.#options.shared ? 0 : EXCLUSIVE;
        this.#app.listen(host, this.port, flags, (token) => {
          opening = false;
          if (token !== false) this.#token = token;
        });
      }
    }, ROOM_LOOK_MS);
    this.#roomTimer.unref();
  }

  fault(error: unknown, request: RequestCopy): void {
    this.#options.onFault?.(error, request);
  }

  stopAccepting(): void {
    this.draining = true;
    this.#sockets?.stop();
    clearInterval(this.#roomTimer);
    if (this.#token === undefined) return;
    this.#uws.us_listen_socket_close(this.#token);
    this.#token = undefined;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.draining = true;
    clearInterval(this.#roomTimer);
    this.slowReaders.stop();
    this.slowSenders.stop();
    this.#token = undefined;
    this.#app.close();
  }

  /** Copies, guards and returns the exchange; `undefined` when it was refused. */
  receive(res: UwsResponse, req: UwsRequest, method: string): UwsExchange | undefined {
    const request = copyRequest(req, method);
    const framing = inspectHead(
      {
        method,
        urlBytes: request.path.length + request.query.length,
        fields: request.fields,
        hostOptional: false,
      },
      this.#rules,
    );
    const exchange = new UwsExchange(res, request, this);
    if (typeof framing !== 'number') {
      this.refuse(exchange, framing);
      return undefined;
    }
    request.bodyFraming = framing;
    const refusal = this.#notAdmitted(exchange);
    if (refusal === undefined) return exchange;
    this.refuse(exchange, refusal);
    return undefined;
  }

  /** Counts what a connection waits for, which stands for the connection: the engine hides them. */
  hold(request: RequestCopy): void {
    this.waiting += 1;
    this.#options.admission?.hold(request.remoteAddress);
  }

  release(request: RequestCopy): void {
    this.waiting -= 1;
    this.#options.admission?.leave(request.remoteAddress);
  }

  limitHit(limit: string): void {
    this.#options.onRefused?.(limit);
  }

  denied(request: RequestCopy, what: string): void {
    this.#options.onDenied?.(request, what);
  }

  #notAdmitted({ request }: UwsExchange): Refusal | undefined {
    const { admission, limits } = this.#options;
    if (this.connections >= limits.connectionsMax) return overloaded;
    if (admission === undefined) return undefined;
    request.trust = admission.trust;
    // With few answers under way no address can have too many, and none is looked at.
    const crowded = this.waiting >= CROWDED;
    const full = crowded ? admission.full(request.remoteAddress) : undefined;
    return full ?? (admission.asksRequests ? admission.request(request) : undefined);
  }

  refuse(exchange: UwsExchange, refusal: Refusal): void {
    this.#options.onRefused?.(refusalLimit(refusal));
    const headers = [...problemFields, ...(refusal.headers ?? [])];
    exchange.refuse(refusalStatus(refusal), headers, refusalBody(refusal));
  }

  #serve(res: UwsResponse, req: UwsRequest, method: string): void {
    const exchange = this.receive(res, req, method);
    if (exchange === undefined) return;
    // Real handshakes were routed to the WebSocket side; what is left has no key.
    if (this.#sockets !== undefined && wantsWebSocket(exchange.request.header('upgrade'))) {
      this.refuse(exchange, noHandshake);
      return;
    }
    const { handler, onFault } = this.#options;
    if (exchange.request.header('connection')?.toLowerCase() === 'close') {
      exchange.leaveTurn();
      // What is sent behind it must not be executed [RFC9112 §9.6]: while no answer has been given,
      // the engine closes the connection instead.
      setImmediate(() => runHandler(exchange, handler, onFault));
      return;
    }
    runHandler(exchange, handler, onFault);
    exchange.leaveTurn();
  }

  #countConnections(): void {
    if (this.#app.filter === undefined) return;
    this.#counts = true;
    const count = (_: UwsResponse, change: number): void => {
      this.#counted += change;
    };
    this.#app.filter(count);
  }
}

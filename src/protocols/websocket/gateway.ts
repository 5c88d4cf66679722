/**
 * WebSockets of the app port. A socket at a resource's own path streams that resource; one at
 * `/live` carries many subscriptions, each event marked with the name the client gave it, and
 * writes. Refusals of a resource are answered before the upgrade, as HTTP; those on `/live` as
 * `error` messages. Pings are the engine's.
 */
import type { Standing } from '../../access/authenticate.ts';
import { StandingWatch } from '../../access/standing-watch.ts';
import type { EpochMs } from '../../base/brands.ts';
import { asNodeError, type ErrorCode, NodeError } from '../../base/errors.ts';
import { LIMITS } from '../../config/limits.ts';
import type { SubscriptionRequest } from '../../feed/subscriber.ts';
import type { HttpRequest, Socket, UpgradeVerdict, WebSocketHandler } from '../http/port.ts';
import { problemDocument, retryAfter } from '../http/problem.ts';
import { errorMessage } from './answers.ts';
import { Connection, type ConnectionParts } from './connection.ts';
import { type SinkClosed, sinkOf } from './event-sinks.ts';
import { LiveCredentials } from './live-credentials.ts';
import { type Identified, type LiveClient, LiveDesk, type LiveParts } from './live-desk.ts';
import { chosenFormat, type LiveFormat } from './live-format.ts';
import { WriteTurns } from './write-turns.ts';

export const LIVE_PATH = '/live';

export interface GatewayParts<Principal> extends LiveParts<Principal> {
  readonly subscriptionsPerConnectionMax?: number | undefined;
  readonly conflateBytesMax?: number | undefined;
}

export interface SocketState<Principal> {
  readonly connection: Connection;
  /** Who opened it. */
  readonly principal: Principal;
  readonly standing: Standing;
  /** What the path named; `undefined` on `/live`. */
  readonly request: SubscriptionRequest | undefined;
  /** Of a client of `/live`. */
  readonly live: LiveClient<Principal> | undefined;
  readonly openedAt: EpochMs;
  /** The socket among those of its thread. */
  readonly serial: number;
  /** What its path named, as it was written; '' on `/live`. */
  readonly resource: string;
}

/** An open socket, for those who operate the node. */
export type OpenSocket<Principal> = Pick<Socket<SocketState<Principal>>, 'state' | 'remoteAddress'>;

export class WebSocketGateway<Principal> implements WebSocketHandler<SocketState<Principal>> {
  readonly #parts: GatewayParts<Principal>;
  readonly #desk: LiveDesk<Principal>;
  readonly #connectionParts: ConnectionParts;
  readonly #sockets = new Set<Socket<SocketState<Principal>>>();
  readonly #watch: StandingWatch;
  #dirty: Connection[] = [];
  #stopping = false;
  #serial = 0;
  /** Messages from clients. */
  messagesReceived = 0;

  constructor(parts: GatewayParts<Principal>) {
    this.#parts = parts;
    this.#watch = new StandingWatch(parts.clock);
    const subscriptionsMax =
      parts.subscriptionsPerConnectionMax ?? LIMITS.subscriptionsPerConnectionMax;
    this.#desk = new LiveDesk(parts, subscriptionsMax);
    this.#connectionParts = {
      conflateBytesMax: parts.conflateBytesMax ?? LIMITS.socketConflateBytesMax,
      flushLater: (dirty) => this.#flushLater(dirty),
      onLimit: parts.onLimit,
    };
  }

  get connectionCount(): number {
    return this.#sockets.size;
  }

  /** The open sockets. */
  sockets(): Iterable<OpenSocket<Principal>> {
    return this.#sockets;
  }

  upgrade(
    request: HttpRequest,
  ): UpgradeVerdict<SocketState<Principal>> | Promise<UpgradeVerdict<SocketState<Principal>>> {
    const settling = this.#parts.settle?.(request);
    if (settling === undefined) return this.#decide(request);
    return settling.then(() => this.#decide(request));
  }

  #decide(
    request: HttpRequest,
  ): UpgradeVerdict<SocketState<Principal>> | Promise<UpgradeVerdict<SocketState<Principal>>> {
    const identified = this.#parts.authenticate(request);
    if (identified.kind === 'rejected') {
      this.#parts.onRejected?.(identified.method);
      return refusal(identified.error);
    }
    if (this.#stopping) return refusal(stopping());
    const { principal } = identified;
    if (request.path === LIVE_PATH) return this.#accept(request, identified, undefined);
    const { path, query, toldScheme } = request;
    const header = (name: string) => request.header(name);
    const resolution = this.#parts.resolve(
      { path, query, header, toldScheme },
      principal,
      'websocket',
    );
    if (resolution.kind === 'refused') return refusal(resolution.error);
    const accept = () => this.#accept(request, identified, resolution.request);
    const admitted = this.#parts.admitAt?.(path)?.(request, principal);
    return admitted === undefined
      ? accept()
      : admitted.then(accept, (error: unknown) => refusal(asNodeError(error)));
  }

  #accept(
    opening: HttpRequest,
    { principal, standing }: Extract<Identified<Principal>, { kind: 'principal' }>,
    request: SubscriptionRequest | undefined,
  ): UpgradeVerdict<SocketState<Principal>> {
    const { format, protocol } = chosenFormat(opening.header('sec-websocket-protocol'));
    const connection = new Connection(this.#connectionParts, format);
    const live = request === undefined ? this.#client(opening, connection, principal) : undefined;
    const openedAt = this.#parts.clock.now();
    this.#serial += 1;
    const { path, query } = opening;
    const resource = live === undefined ? (query === '' ? path : `${path}?${query}`) : '';
    const facts = { openedAt, serial: this.#serial, resource };
    const state = { connection, principal, standing, request, live, ...facts };
    return { kind: 'accept', protocol, state };
  }

  #client(
    opening: HttpRequest,
    connection: Connection,
    principal: Principal,
  ): LiveClient<Principal> {
    return {
      ...{ connection, principal },
      credentials: new LiveCredentials(opening),
      writes: new WriteTurns(),
      held: undefined,
      stand: (standing) => {
        this.#watch.delete(connection);
        this.#watch.add(connection, standing);
      },
    };
  }

  open(socket: Socket<SocketState<Principal>>): void {
    const { connection, request, standing } = socket.state;
    this.#sockets.add(socket);
    this.#watch.add(connection, standing);
    connection.opened(socket);
    if (request === undefined) return;
    const sink = sinkOf(connection, undefined, closeWithSubscription);
    const subscription = this.#parts.fanout.subscribe(request, sink);
    connection.holdOwn(subscription);
    subscription.begin();
  }

  message(socket: Socket<SocketState<Principal>>, bytes: Uint8Array, binary: boolean): void {
    this.messagesReceived += 1;
    const { connection, live } = socket.state;
    if (live === undefined) {
      const text = `only ${LIVE_PATH} takes messages`;
      connection.say(errorMessage(clientError('METHOD_NOT_ALLOWED', text)));
    } else if (connection.format.isBinary && !binary) {
      connection.say(errorMessage(clientError('REQUEST_MALFORMED', spoken(connection.format))));
    } else {
      this.#desk.hear(live, bytes);
    }
  }

  drain(socket: Socket<SocketState<Principal>>): void {
    socket.state.connection.drained();
  }

  closed(socket: Socket<SocketState<Principal>>): void {
    const { connection } = socket.state;
    this.#sockets.delete(socket);
    this.#watch.delete(connection);
    connection.closed();
  }

  /** Tells every client to come back elsewhere, and takes no new ones. */
  stop(): void {
    this.#stopping = true;
    this.#watch.stop();
    for (const { state } of this.#sockets) state.connection.close('SHUTTING_DOWN');
    this.#sockets.clear();
  }

  /** All that one turn of the event loop brings to a socket goes out together. */
  #flushLater(connection: Connection): void {
    this.#dirty.push(connection);
    if (this.#dirty.length > 1) return;
    queueMicrotask(() => {
      const dirty = this.#dirty;
      this.#dirty = [];
      for (const one of dirty) one.flush();
    });
  }
}

const closeWithSubscription: SinkClosed = (connection, code) => connection.close(code);

const spoken = ({ protocol }: LiveFormat): string =>
  `this socket speaks ${protocol}: send binary messages, or offer no sub-protocol to speak JSON`;

/** An upgrade refused as HTTP: the socket never opens, so the client learns why. */
export function refusal(error: NodeError): Extract<UpgradeVerdict<never>, { kind: 'refuse' }> {
  const problem = problemDocument(error);
  const headers = ['content-type', 'application/problem+json', 'cache-control', 'no-store'];
  if (problem.status === 401) {
    headers.push('www-authenticate', 'Basic realm="millrace", charset="UTF-8"');
  }
  if (error.retry !== 'never') headers.push('retry-after', retryAfter(error));
  return { kind: 'refuse', status: problem.status, headers, body: `${JSON.stringify(problem)}\n` };
}

const clientError = (code: ErrorCode, message: string) =>
  new NodeError(code, message, { blame: 'client' });

const stopping = () => new NodeError('SHUTTING_DOWN', 'this node is stopping', { retry: 'later' });

/**
 * WebSockets of the app port. A socket at a resource's own path streams that resource; one at
 * `/live` carries many subscriptions, each event marked with the name the client gave it. Refusals
 * of a resource are answered before the upgrade, as HTTP; those on `/live` as `error` messages.
 * Pings are the engine's.
 */
import type { Standing } from '../../access/authenticate.ts';
import { StandingWatch } from '../../access/standing-watch.ts';
import type { Clock } from '../../base/clock.ts';
import { type ErrorCode, NodeError } from '../../base/errors.ts';
import { LIMITS } from '../../config/limits.ts';
import type { Fanout } from '../../feed/fanout.ts';
import { PacedSink } from '../../feed/paced-sink.ts';
import type { Resolve } from '../../feed/resolve.ts';
import type { SubscriptionRequest } from '../../feed/subscriber.ts';
import type { HttpRequest, Socket, UpgradeVerdict, WebSocketHandler } from '../http/port.ts';
import { problemDocument, retryAfter } from '../http/problem.ts';
import {
  Connection,
  type ConnectionParts,
  ConnectionSink,
  type SinkClosed,
  type SubscriptionName,
} from './connection.ts';
import { type LiveMessage, parseLiveMessage } from './live-messages.ts';

export const LIVE_PATH = '/live';

export type Identified<Principal> =
  | { readonly kind: 'principal'; readonly principal: Principal; readonly standing: Standing }
  | { readonly kind: 'rejected'; readonly method: string; readonly error: NodeError };

export interface GatewayParts<Principal> {
  readonly fanout: Fanout;
  readonly clock: Clock;
  readonly resolve: Resolve<Principal>;
  readonly authenticate: (asking: HttpRequest) => Identified<Principal>;
  /** Awaited before `authenticate` is asked. */
  readonly settle?: ((asking: HttpRequest) => Promise<void> | undefined) | undefined;
  /** Told of credentials that were rejected. */
  readonly onRejected?: ((method: string) => void) | undefined;
  readonly subscriptionsPerConnectionMax?: number | undefined;
  readonly conflateBytesMax?: number | undefined;
}

export interface SocketState<Principal> {
  readonly connection: Connection;
  readonly principal: Principal;
  readonly standing: Standing;
  /** What the path named; `undefined` on `/live`. */
  readonly request: SubscriptionRequest | undefined;
}

/** A subscription on `/live`, as a client asked for it. */
type Subscribe = Extract<LiveMessage, { kind: 'subscribe' }>;

export class WebSocketGateway<Principal> implements WebSocketHandler<SocketState<Principal>> {
  readonly #parts: GatewayParts<Principal>;
  readonly #subscriptionsMax: number;
  readonly #connectionParts: ConnectionParts;
  readonly #connections = new Set<Connection>();
  readonly #watch: StandingWatch;
  #dirty: Connection[] = [];
  #stopping = false;
  /** Messages from clients. */
  messagesReceived = 0;

  constructor(parts: GatewayParts<Principal>) {
    this.#parts = parts;
    this.#watch = new StandingWatch(parts.clock);
    this.#subscriptionsMax =
      parts.subscriptionsPerConnectionMax ?? LIMITS.subscriptionsPerConnectionMax;
    this.#connectionParts = {
      conflateBytesMax: parts.conflateBytesMax ?? LIMITS.socketConflateBytesMax,
      flushLater: (dirty) => this.#flushLater(dirty),
    };
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  upgrade(
    request: HttpRequest,
  ): UpgradeVerdict<SocketState<Principal>> | Promise<UpgradeVerdict<SocketState<Principal>>> {
    const settling = this.#parts.settle?.(request);
    if (settling === undefined) return this.#decide(request);
    return settling.then(() => this.#decide(request));
  }

  #decide(request: HttpRequest): UpgradeVerdict<SocketState<Principal>> {
    const identified = this.#parts.authenticate(request);
    if (identified.kind === 'rejected') {
      this.#parts.onRejected?.(identified.method);
      return refusal(identified.error);
    }
    if (this.#stopping) return refusal(stopping());
    const { principal } = identified;
    if (request.path === LIVE_PATH) return this.#accept(identified, undefined);
    const { path, query } = request;
    const header = (name: string) => request.header(name);
    const resolution = this.#parts.resolve({ path, query, header }, principal, 'websocket');
    if (resolution.kind === 'refused') return refusal(resolution.error);
    return this.#accept(identified, resolution.request);
  }

  open(socket: Socket<SocketState<Principal>>): void {
    const { connection, request, standing } = socket.state;
    this.#connections.add(connection);
    this.#watch.add(connection, standing);
    connection.opened(socket);
    if (request === undefined) return;
    const sink = new ConnectionSink(connection, '', closeWithSubscription);
    const subscription = this.#parts.fanout.subscribe(request, sink);
    connection.holdOwn(subscription);
    subscription.begin();
  }

  message(socket: Socket<SocketState<Principal>>, data: Uint8Array): void {
    this.messagesReceived += 1;
    const { connection, request } = socket.state;
    if (request !== undefined) {
      const text = `only ${LIVE_PATH} takes messages`;
      sayError(connection, clientError('METHOD_NOT_ALLOWED', text), undefined);
      return;
    }
    this.#obey(socket.state, parseLiveMessage(data));
  }

  drain(socket: Socket<SocketState<Principal>>): void {
    socket.state.connection.drained();
  }

  closed(socket: Socket<SocketState<Principal>>): void {
    const { connection } = socket.state;
    this.#connections.delete(connection);
    this.#watch.delete(connection);
    connection.closed();
  }

  /** Tells every client to come back elsewhere, and takes no new ones. */
  stop(): void {
    this.#stopping = true;
    this.#watch.stop();
    for (const connection of this.#connections) connection.close('SHUTTING_DOWN');
    this.#connections.clear();
  }

  #accept(
    { principal, standing }: Extract<Identified<Principal>, { kind: 'principal' }>,
    request: SubscriptionRequest | undefined,
  ): UpgradeVerdict<SocketState<Principal>> {
    const connection = new Connection(this.#connectionParts);
    return { kind: 'accept', state: { connection, principal, standing, request } };
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

  #obey(state: SocketState<Principal>, message: LiveMessage): void {
    const { connection } = state;
    switch (message.kind) {
      case 'subscribe':
        this.#subscribe(state, message);
        break;
      case 'unsubscribe':
        if (!connection.release(message.name)) {
          const error = clientError('NOT_FOUND', 'there is no subscription of that name');
          sayError(connection, error, message.name);
        }
        break;
      case 'ping':
        connection.say('{"type":"pong"}');
        break;
      case 'malformed':
        sayError(connection, clientError('REQUEST_MALFORMED', message.reason), message.name);
        break;
    }
  }

  #subscribe({ connection, principal }: SocketState<Principal>, message: Subscribe): void {
    const name = message.name ?? firstFree(connection);
    const error = this.#refusedSubscription(connection, name);
    if (error !== undefined) {
      sayError(connection, error, name);
      return;
    }
    const resolution = this.#parts.resolve(message, principal, 'websocket');
    if (resolution.kind === 'refused') {
      sayError(connection, resolution.error, name);
      return;
    }
    const { from = resolution.request.from, omitCurrent } = message;
    this.#begin(connection, name, message, { ...resolution.request, from, omitCurrent });
  }

  #refusedSubscription(connection: Connection, name: SubscriptionName): NodeError | undefined {
    if (connection.has(name)) {
      return clientError('REQUEST_MALFORMED', 'a subscription of that name is open');
    }
    if (connection.subscriptionCount < this.#subscriptionsMax) return undefined;
    const text = `a connection holds at most ${this.#subscriptionsMax} subscriptions`;
    return clientError('SUBSCRIPTION_LIMIT', text);
  }

  #begin(
    connection: Connection,
    name: SubscriptionName,
    { maxRate }: Subscribe,
    request: SubscriptionRequest,
  ): void {
    const closed = (_: Connection, code: ErrorCode) => this.#ended(connection, name, code);
    const plain = new ConnectionSink(connection, prefixOf(name), closed);
    const { fanout, clock } = this.#parts;
    const paced =
      maxRate === undefined
        ? undefined
        : new PacedSink(plain, clock, maxRate, () => subscription.drained());
    const subscription = fanout.subscribe(request, paced ?? plain);
    connection.hold(name, subscription, paced && (() => paced.stop()));
    subscription.begin();
  }

  #ended(connection: Connection, name: SubscriptionName, code: ErrorCode): void {
    connection.release(name);
    sayError(
      connection,
      new NodeError(code, 'the subscription was ended', { retry: 'later' }),
      name,
    );
  }
}

const closeWithSubscription: SinkClosed = (connection, code) => connection.close(code);

const prefixOf = (name: SubscriptionName): string => `{"sub":${JSON.stringify(name)},`;

function firstFree(connection: Connection): number {
  let name = connection.subscriptionCount + 1;
  while (connection.has(name)) name += 1;
  return name;
}

function sayError(
  connection: Connection,
  error: NodeError,
  name: SubscriptionName | undefined,
): void {
  const { code, detail, title } = problemDocument(error);
  const body = JSON.stringify({ type: 'error', code, message: detail ?? title });
  connection.say(name === undefined ? body : prefixOf(name) + body.slice(1));
}

/** An upgrade refused as HTTP: the socket never opens, so the client learns why. */
function refusal(error: NodeError): Extract<UpgradeVerdict<never>, { kind: 'refuse' }> {
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

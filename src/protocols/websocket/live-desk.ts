/**
 * Obeys what clients say on `/live`: each message is answered or refused on its own, and nothing
 * that one says ends the socket. Writes go to the node's own handler as the requests that they
 * would be over HTTP, so that whoever may do what is decided there.
 */
import type { Standing } from '../../access/authenticate.ts';
import type { Clock } from '../../base/clock.ts';
import { asNodeError, type ErrorCode, NodeError } from '../../base/errors.ts';
import { LIMITS } from '../../config/limits.ts';
import type { Fanout } from '../../feed/fanout.ts';
import { PacedSink } from '../../feed/paced-sink.ts';
import type { Follow } from '../../feed/presence.ts';
import { type Resolve, refusedHistory } from '../../feed/resolve.ts';
import type { SubscriptionRequest } from '../../feed/subscriber.ts';
import type { InternalAnswer } from '../http/internal-exchange.ts';
import type { HttpRequest } from '../http/port.ts';
import { limitOf } from '../http/problem.ts';
import { type Answering, acknowledgement, errorMessage, refusedWrite } from './answers.ts';
import type { AdmitFollowerAt, CodeStream, CodeStreamAt } from './code-stream.ts';
import { CodeSubscription } from './code-subscription.ts';
import type { Connection, SubscriptionName } from './connection.ts';
import { sinkOf } from './event-sinks.ts';
import type { LiveCredentials } from './live-credentials.ts';
import { type LiveMessage, parseLiveMessage, type Subscribe, type Write } from './live-messages.ts';
import type { WriteTurns } from './write-turns.ts';

export type Identified<Principal> =
  | { readonly kind: 'principal'; readonly principal: Principal; readonly standing: Standing }
  | { readonly kind: 'rejected'; readonly method: string; readonly error: NodeError };

/** Answers a write of a client as the request that it would be over HTTP; never rejects. */
export type AskNode = (request: HttpRequest, body: Uint8Array) => Promise<InternalAnswer>;

export interface LiveParts<Principal> {
  readonly fanout: Fanout;
  readonly clock: Clock;
  readonly resolve: Resolve<Principal>;
  readonly authenticate: (asking: HttpRequest) => Identified<Principal>;
  /** Awaited before `authenticate` is asked. */
  readonly settle?: ((asking: HttpRequest) => Promise<void> | undefined) | undefined;
  /** Told of credentials that were rejected. */
  readonly onRejected?: ((method: string) => void) | undefined;
  /** Told of limits that refuse something on a socket. */
  readonly onLimit?: ((limit: string) => void) | undefined;
  /** Absent: clients may follow, and not write. */
  readonly ask?: AskNode | undefined;
  /** Absent: how many follow something is not told. */
  readonly follow?: Follow | undefined;
  /** Absent: the application has no streams of its own. */
  readonly code?: CodeStreamAt<Principal> | undefined;
  /** Absent: no code has a say in who follows a table. */
  readonly admitAt?: AdmitFollowerAt<Principal> | undefined;
  /** Whether one is the same somebody as the other; whoever is nobody may become somebody. */
  readonly isSame?: ((before: Principal, after: Principal) => boolean) | undefined;
}

/** One client of `/live`. */
export interface LiveClient<Principal> {
  readonly connection: Connection;
  readonly credentials: LiveCredentials;
  readonly writes: WriteTurns;
  principal: Principal;
  /** What was said while it signs in: heard once it is known who says it. */
  held: Uint8Array[] | undefined;
  /** Takes the place of the standing with which it came. */
  stand(standing: Standing): void;
}

type Presence = LiveMessage & { readonly kind: 'presence' };
type Named = { readonly path: string; readonly query: string };

export class LiveDesk<Principal> {
  readonly #parts: LiveParts<Principal>;
  readonly #subscriptionsMax: number;

  constructor(parts: LiveParts<Principal>, subscriptionsMax: number) {
    this.#parts = parts;
    this.#subscriptionsMax = subscriptionsMax;
  }

  hear(client: LiveClient<Principal>, bytes: Uint8Array): void {
    const { connection, held } = client;
    if (held !== undefined) {
      if (fitsAmong(held, bytes)) held.push(bytes.slice());
      else refuse(connection, tooManyWrites());
      return;
    }
    let message: LiveMessage;
    try {
      message = parseLiveMessage(connection.format.decode(bytes));
    } catch (error) {
      const { message, details } = asNodeError(error);
      refuse(connection, malformed(message, details));
      return;
    }
    this.#obey(client, message);
  }

  #obey(client: LiveClient<Principal>, message: LiveMessage): void {
    const { connection } = client;
    switch (message.kind) {
      case 'subscribe':
        this.#subscribe(client, message);
        break;
      case 'unsubscribe':
        if (connection.release(message.name)) break;
        refuse(connection, NO_SUCH_NAME, { sub: message.name });
        break;
      case 'presence':
        this.#followPresence(client, message);
        break;
      case 'write':
        this.#write(client, message);
        break;
      case 'signIn':
        this.#awaitSignIn(client, message.authorization, { ack: message.ack });
        break;
      case 'ping':
        connection.say({ type: 'pong' });
        break;
      case 'malformed': {
        const { reason, name, ack } = message;
        refuse(connection, malformed(reason), { sub: name, ack });
        break;
      }
    }
  }

  #subscribe(client: LiveClient<Principal>, message: Subscribe): void {
    const { connection } = client;
    const name = message.name ?? firstFree(connection);
    const code = this.#parts.code?.(message.path);
    if (code !== undefined) {
      const error = this.#refusedName(connection, name) ?? refusedOfCode(message);
      if (error === undefined) this.#followCode(client, name, message, code);
      else refuse(connection, error, { sub: name });
      return;
    }
    const request = this.#resolved(client, name, message);
    if (request === undefined) return;
    const { from = request.from, omitCurrent, maxRate, delta } = message;
    const { history = request.history } = message;
    const wished = { ...request, from, omitCurrent, delta, history };
    const error = refusedHistory(wished);
    if (error !== undefined) {
      refuse(connection, error, { sub: name });
      return;
    }
    const begin = () => this.#begin(client, name, { target: message, maxRate }, wished);
    this.#whenAdmitted(client, name, { target: message, begin }, () =>
      this.#subscribe(client, { ...message, name }),
    );
  }

  /** At once where no code has a say, else when it said yes; `again`: for another principal. */
  #whenAdmitted(
    client: LiveClient<Principal>,
    name: SubscriptionName,
    { target, begin }: { readonly target: Named; readonly begin: () => void },
    again: () => void,
  ): void {
    const { connection, credentials, principal } = client;
    const admit = this.#parts.admitAt?.(target.path);
    if (admit === undefined) {
      begin();
      return;
    }
    let isOver = false;
    const close = () => {
      isOver = true;
    };
    connection.hold(name, {
      subscription: { drained: () => undefined, close },
      resource: urlOf(target),
      judgeAgain: () => {
        connection.release(name);
        again();
      },
    });
    const answered = (goOn: () => void) => {
      if (isOver) return;
      connection.release(name);
      goOn();
    };
    admit(credentials.following(target.path, target.query), principal).then(
      () => answered(begin),
      (error) => answered(() => refuse(connection, asNodeError(error), { sub: name })),
    );
  }

  /** `undefined` after the client was told why not. */
  #resolved(
    { connection, principal }: LiveClient<Principal>,
    name: SubscriptionName,
    target: Named,
  ): SubscriptionRequest | undefined {
    const resolution = this.#parts.resolve(target, principal, 'websocket');
    const taken = this.#refusedName(connection, name);
    const error = taken ?? (resolution.kind === 'refused' ? resolution.error : undefined);
    if (error === undefined && resolution.kind === 'resolved') return resolution.request;
    if (error !== undefined) refuse(connection, error, { sub: name });
    return undefined;
  }

  #refusedName(connection: Connection, name: SubscriptionName): NodeError | undefined {
    if (connection.has(name)) return malformed('a subscription of that name is open');
    if (connection.subscriptionCount < this.#subscriptionsMax) return undefined;
    const text = `a connection holds at most ${this.#subscriptionsMax} subscriptions`;
    return clientError('SUBSCRIPTION_LIMIT', text);
  }

  #begin(
    client: LiveClient<Principal>,
    name: SubscriptionName,
    { target, maxRate }: { readonly target: Named; readonly maxRate: number | undefined },
    request: SubscriptionRequest,
  ): void {
    const { connection } = client;
    const closed = (_: Connection, code: ErrorCode) => ended(connection, name, code);
    const plain = sinkOf(connection, name, closed);
    const { fanout, clock } = this.#parts;
    const paced =
      maxRate === undefined
        ? undefined
        : new PacedSink(plain, clock, maxRate, () => subscription.drained());
    const subscription = fanout.subscribe(request, paced ?? plain);
    connection.hold(name, {
      subscription,
      resource: urlOf(target),
      stop: paced && (() => paced.stop()),
      judgeAgain: () => this.#judgeAgain(client, name, { target, maxRate, request }),
    });
    subscription.begin();
  }

  /**
   * Under another principal a subscription is another one: it goes on where both see everything,
   * begins again with the present state where what is seen may differ, and else is ended.
   */
  #judgeAgain(
    client: LiveClient<Principal>,
    name: SubscriptionName,
    held: { target: Named; maxRate: number | undefined; request: SubscriptionRequest },
  ): void {
    const { connection, principal } = client;
    const { target } = held;
    const resolution = this.#parts.resolve(target, principal, 'websocket');
    if (resolution.kind === 'refused') {
      connection.release(name);
      refuse(connection, resolution.error, { sub: name });
      return;
    }
    const seesAll = held.request.view === undefined && resolution.request.view === undefined;
    if (seesAll && this.#parts.admitAt?.(target.path) === undefined) return;
    connection.release(name);
    const { delta } = held.request;
    const request = { ...resolution.request, from: undefined, delta };
    const begin = () => this.#begin(client, name, held, request);
    this.#whenAdmitted(client, name, { target, begin }, () => {
      const { maxRate } = held;
      this.#subscribe(client, {
        ...NO_WISHES,
        ...target,
        kind: 'subscribe',
        name,
        maxRate,
        delta: delta === true,
      });
    });
  }

  /** Whoever it is by then is asked for anew when somebody signs in. */
  #followCode(
    client: LiveClient<Principal>,
    name: SubscriptionName,
    target: Named,
    code: CodeStream<Principal>,
  ): void {
    const { connection, principal, credentials } = client;
    const request = credentials.following(target.path, target.query);
    const subscription = new CodeSubscription({
      ...{ connection, name },
      admit: () => code.admit(request, principal),
      open: (signal) => code.open(request, principal, { incoming: undefined, signal }),
      failure: (thrown) => code.failure(thrown, request),
      now: () => this.#parts.clock.now(),
      ended(error) {
        connection.release(name);
        if (error === undefined) connection.say({ sub: name, type: 'end' });
        else refuse(connection, error, { sub: name });
      },
    });
    connection.hold(name, {
      subscription,
      resource: urlOf(target),
      judgeAgain: () => {
        connection.release(name);
        this.#followCode(client, name, target, code);
      },
    });
    void subscription.run();
  }

  #followPresence(client: LiveClient<Principal>, message: Presence): void {
    const { connection } = client;
    const name = message.name ?? firstFree(connection);
    const request = this.#resolved(client, name, message);
    if (request === undefined) return;
    const begin = () => this.#beginPresence(client, name, message, request);
    this.#whenAdmitted(client, name, { target: message, begin }, () =>
      this.#followPresence(client, { ...message, name }),
    );
  }

  #beginPresence(
    client: LiveClient<Principal>,
    name: SubscriptionName,
    message: Presence,
    request: SubscriptionRequest,
  ): void {
    const { connection } = client;
    const say = (count: number) => connection.say({ sub: name, type: 'presence', count });
    const stop = this.#parts.follow?.(request, say);
    if (stop === undefined) {
      const text = 'this node follows as many presences as it may (limits.presencesFollowedMax)';
      refuse(connection, new NodeError('OVERLOADED', text, { retry: 'later' }), { sub: name });
      return;
    }
    connection.hold(name, {
      subscription: { drained: () => undefined, close: stop },
      resource: urlOf(message),
      judgeAgain: () => {
        const { kind } = this.#parts.resolve(message, client.principal, 'websocket');
        const isAsked = this.#parts.admitAt?.(message.path) !== undefined;
        if (kind === 'resolved' && !isAsked) return;
        connection.release(name);
        if (kind !== 'resolved') ended(connection, name, 'ACCESS_DENIED');
        else this.#followPresence(client, { ...message, name });
      },
    });
  }

  #write(client: LiveClient<Principal>, message: Write): void {
    const { connection, writes, credentials } = client;
    const { ask } = this.#parts;
    const { ack, verb, path } = message;
    const answering: Answering = { ack };
    if (ask === undefined) {
      refuse(connection, clientError('METHOD_NOT_ALLOWED', 'this node takes no writes'), answering);
      return;
    }
    const body = verb === 'delete' ? NOTHING : bodyOf(message);
    if (!writes.takes(body.byteLength)) {
      refuse(connection, tooManyWrites(), answering);
      return;
    }
    writes.run(path, body.byteLength, async () => {
      const answer = await ask(credentials.requestOf(message, body.byteLength), body);
      if (answer.status >= 400) connection.say(refusedWrite(answer, answering));
      else if (ack !== undefined) connection.say(acknowledgement(answer, message));
    });
  }

  /** What comes after it on the socket waits for it, as its sender expects. */
  #awaitSignIn(client: LiveClient<Principal>, authorization: string, answering: Answering): void {
    client.held = [];
    void this.#signIn(client, authorization, answering).finally(() => {
      const held = client.held ?? [];
      client.held = undefined;
      // Nothing is begun for a client that left meanwhile: nobody would end it.
      for (const bytes of held) if (client.connection.isOpen) this.hear(client, bytes);
    });
  }

  async #signIn(
    client: LiveClient<Principal>,
    authorization: string,
    answering: Answering,
  ): Promise<void> {
    const { connection, credentials } = client;
    const asking = credentials.asking(authorization);
    await this.#parts.settle?.(asking);
    if (!connection.isOpen) return;
    const found = this.#parts.authenticate(asking);
    if (found.kind === 'rejected') {
      this.#parts.onRejected?.(found.method);
      refuse(connection, found.error, answering);
      return;
    }
    if (this.#parts.isSame?.(client.principal, found.principal) === false) {
      refuse(connection, somebodyElse(), answering);
      return;
    }
    credentials.renew(authorization);
    const before = client.principal;
    client.principal = found.principal;
    client.stand(found.standing);
    if (before !== found.principal) connection.judgeAgain();
    if (answering.ack !== undefined)
      connection.say({ type: 'ack', ack: answering.ack, status: 204 });
  }
}

/** What only the log of changes can give. */
function refusedOfCode({ maxRate, delta, history }: Subscribe): NodeError | undefined {
  if (maxRate === undefined && !delta && history === undefined) return undefined;
  return malformed('a class of the application has no maxRate, delta or history: leave them out');
}

const NO_WISHES = { from: undefined, omitCurrent: false, history: undefined } as const;
const NOTHING = new Uint8Array(0);

/** Whether another message may wait for a sign-in, beside those that do. */
function fitsAmong(held: readonly Uint8Array[], bytes: Uint8Array): boolean {
  const { liveWritesUnderWayMax, liveWriteBytesUnderWayMax } = LIMITS;
  const waiting = held.reduce((sum, one) => sum + one.byteLength, bytes.byteLength);
  return held.length < liveWritesUnderWayMax && waiting <= liveWriteBytesUnderWayMax;
}

const urlOf = ({ path, query }: Named): string => (query === '' ? path : `${path}?${query}`);

/** As JSON, unless it is a text of another type. */
function bodyOf({ value, fields }: Write): Uint8Array {
  const type = fields[fields.indexOf('content-type') + 1] ?? '';
  const isOwnText = typeof value === 'string' && !/json/i.test(type);
  return Buffer.from(isOwnText ? value : (JSON.stringify(value) ?? 'null'));
}

function firstFree(connection: Connection): number {
  let name = connection.subscriptionCount + 1;
  while (connection.has(name)) name += 1;
  return name;
}

function ended(connection: Connection, name: SubscriptionName, code: ErrorCode): void {
  connection.release(name);
  const error = new NodeError(code, 'the subscription was ended', { retry: 'later' });
  refuse(connection, error, { sub: name });
}

function refuse(connection: Connection, error: NodeError, answering: Answering = {}): void {
  const limit = limitOf(error);
  if (limit !== undefined) connection.limitHit(limit);
  connection.say(errorMessage(error, answering));
}

const clientError = (code: ErrorCode, message: string) =>
  new NodeError(code, message, { blame: 'client' });

const malformed = (reason: string, details: NodeError['details'] = {}) =>
  new NodeError('REQUEST_MALFORMED', reason, { blame: 'client', details });
const NO_SUCH_NAME = clientError('NOT_FOUND', 'there is no subscription of that name');

const somebodyElse = () =>
  clientError('ACCESS_DENIED', 'these credentials are of somebody else: open another socket');

function tooManyWrites(): NodeError {
  const { liveWritesUnderWayMax: most } = LIMITS;
  const message = `${most} writes of this socket are under way: wait for their answers`;
  const details = { limit: 'liveWritesUnderWayMax' };
  return new NodeError('TOO_MANY_REQUESTS', message, { blame: 'client', retry: 'later', details });
}

/**
 * What the clients of `/live` follow: changes of tables, streams of application code, and how many
 * follow something. Each goes by the client's name for it, is refused on its own, and is judged
 * again when its client becomes somebody else.
 */
import type { Clock } from '../../base/clock.ts';
import { asNodeError, type ErrorCode, NodeError } from '../../base/errors.ts';
import type { Fanout } from '../../feed/fanout.ts';
import { PacedSink } from '../../feed/paced-sink.ts';
import type { Follow } from '../../feed/presence.ts';
import { type Resolve, refusedHistory } from '../../feed/resolve.ts';
import type { SubscriptionRequest } from '../../feed/subscriber.ts';
import type { Answering } from './answers.ts';
import type { AdmitFollowerAt, CodeStream, CodeStreamAt } from './code-stream.ts';
import { CodeSubscription } from './code-subscription.ts';
import type { Connection, SubscriptionName } from './connection.ts';
import { sinkOf } from './event-sinks.ts';
import type { LiveCredentials } from './live-credentials.ts';
import type { AckName, LiveMessage, Subscribe } from './live-messages.ts';
import { clientError, malformed, refuse } from './refuse.ts';

export interface FollowingParts<Principal> {
  readonly fanout: Fanout;
  readonly clock: Clock;
  readonly resolve: Resolve<Principal>;
  /** Absent: how many follow something is not told. */
  readonly follow?: Follow | undefined;
  /** Absent: the application has no streams of its own. */
  readonly code?: CodeStreamAt<Principal> | undefined;
  /** Absent: no code has a say in who follows a table. */
  readonly admitAt?: AdmitFollowerAt<Principal> | undefined;
}

export interface Follower<Principal> {
  readonly connection: Connection;
  readonly credentials: LiveCredentials;
  principal: Principal;
}

type Presence = LiveMessage & { readonly kind: 'presence' };
type Unsubscribe = LiveMessage & { readonly kind: 'unsubscribe' };
type Named = { readonly path: string; readonly query: string };

type FollowAnswering = Answering & { readonly sub: SubscriptionName };

/** What a subscription was begun with, to begin it again. */
interface Terms {
  readonly target: Named;
  readonly maxRate: number | undefined;
  readonly request: SubscriptionRequest;
}

export class LiveFollowing<Principal> {
  readonly #parts: FollowingParts<Principal>;
  readonly #subscriptionsMax: number;

  constructor(parts: FollowingParts<Principal>, subscriptionsMax: number) {
    this.#parts = parts;
    this.#subscriptionsMax = subscriptionsMax;
  }

  subscribe(client: Follower<Principal>, message: Subscribe): void {
    const { connection } = client;
    const name = message.name ?? firstFree(connection);
    const answering = { sub: name, ack: message.ack };
    const code = this.#parts.code?.(message.path);
    if (code !== undefined) {
      const error = this.#refusedName(connection, name) ?? refusedOfCode(message);
      if (error === undefined) this.#followCode(client, answering, message, code);
      else refuse(connection, error, answering);
      return;
    }
    const resolved = this.#resolved(client, answering, message);
    if (resolved === undefined) return;
    const { from = resolved.from, omitCurrent, maxRate, delta } = message;
    const { history = resolved.history } = message;
    const request = { ...resolved, from, omitCurrent, delta, history };
    const error = refusedHistory(request);
    if (error !== undefined) {
      refuse(connection, error, answering);
      return;
    }
    const begin = () => this.#begin(client, answering, { target: message, maxRate, request });
    this.#whenAdmitted(client, answering, { target: message, begin }, () =>
      this.subscribe(client, { ...message, name, ack: undefined }),
    );
  }

  unsubscribe({ connection }: Follower<Principal>, { name, ack }: Unsubscribe): void {
    if (!connection.release(name)) refuse(connection, NO_SUCH_NAME, { sub: name, ack });
    else if (ack !== undefined) connection.say({ type: 'ack', ack, sub: name, status: 204 });
  }

  /** At once where no code has a say, else when it said yes; `again`: for another principal. */
  #whenAdmitted(
    client: Follower<Principal>,
    answering: FollowAnswering,
    { target, begin }: { readonly target: Named; readonly begin: () => void },
    again: () => void,
  ): void {
    const { connection, credentials, principal } = client;
    const admit = this.#parts.admitAt?.(target.path);
    if (admit === undefined) {
      begin();
      return;
    }
    const { sub: name } = answering;
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
      (error) => answered(() => refuse(connection, asNodeError(error), answering)),
    );
  }

  /** `undefined` after the client was told why not. */
  #resolved(
    { connection, principal }: Follower<Principal>,
    answering: FollowAnswering,
    target: Named,
  ): SubscriptionRequest | undefined {
    const resolution = this.#parts.resolve(target, principal, 'websocket');
    const taken = this.#refusedName(connection, answering.sub);
    const error = taken ?? (resolution.kind === 'refused' ? resolution.error : undefined);
    if (error === undefined && resolution.kind === 'resolved') return resolution.request;
    if (error !== undefined) refuse(connection, error, answering);
    return undefined;
  }

  #refusedName(connection: Connection, name: SubscriptionName): NodeError | undefined {
    if (connection.has(name)) return malformed('a subscription of that name is open');
    if (connection.subscriptionCount < this.#subscriptionsMax) return undefined;
    const text = `a connection holds at most ${this.#subscriptionsMax} subscriptions`;
    return clientError('SUBSCRIPTION_LIMIT', text);
  }

  #begin(client: Follower<Principal>, { sub: name, ack }: FollowAnswering, terms: Terms): void {
    const { connection } = client;
    const { target, maxRate, request } = terms;
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
      judgeAgain: () => this.#judgeAgain(client, name, terms),
    });
    const { recovered } = subscription;
    if (ack !== undefined) connection.say(followed(name, ack, recovered));
    subscription.begin();
  }

  /**
   * Under another principal a subscription is another one: it goes on where both see everything,
   * begins again with the present state where what is seen may differ, and else is ended.
   */
  #judgeAgain(client: Follower<Principal>, name: SubscriptionName, held: Terms): void {
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
    const begin = () => this.#begin(client, { sub: name }, { ...held, request });
    this.#whenAdmitted(client, { sub: name }, { target, begin }, () => {
      const { maxRate } = held;
      this.subscribe(client, {
        ...NO_WISHES,
        ...target,
        kind: 'subscribe',
        ...{ name, ack: undefined },
        maxRate,
        delta: delta === true,
      });
    });
  }

  /** Whoever it is by then is asked for anew when somebody signs in. */
  #followCode(
    client: Follower<Principal>,
    { sub: name, ack }: FollowAnswering,
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
        this.#followCode(client, { sub: name }, target, code);
      },
    });
    if (ack !== undefined) connection.say(followed(name, ack, undefined));
    void subscription.run();
  }

  followPresence(client: Follower<Principal>, message: Presence): void {
    const { connection } = client;
    const name = message.name ?? firstFree(connection);
    const answering = { sub: name, ack: message.ack };
    const request = this.#resolved(client, answering, message);
    if (request === undefined) return;
    const begin = () => this.#beginPresence(client, answering, message, request);
    this.#whenAdmitted(client, answering, { target: message, begin }, () =>
      this.followPresence(client, { ...message, name, ack: undefined }),
    );
  }

  #beginPresence(
    client: Follower<Principal>,
    answering: FollowAnswering,
    message: Presence,
    request: SubscriptionRequest,
  ): void {
    const { connection } = client;
    const { sub: name, ack } = answering;
    const say = (count: number) => connection.say({ sub: name, type: 'presence', count });
    const stop = this.#parts.follow?.(request, say);
    if (stop === undefined) {
      const text = 'this node follows as many presences as it may (limits.presencesFollowedMax)';
      refuse(connection, new NodeError('OVERLOADED', text, { retry: 'later' }), answering);
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
        else this.followPresence(client, { ...message, name, ack: undefined });
      },
    });
    if (ack !== undefined) connection.say(followed(name, ack, undefined));
  }
}

/** What only the log of changes can give. */
function refusedOfCode({ maxRate, delta, history }: Subscribe): NodeError | undefined {
  if (maxRate === undefined && !delta && history === undefined) return undefined;
  return malformed('a class of the application has no maxRate, delta or history: leave them out');
}

const NO_WISHES = { from: undefined, omitCurrent: false, history: undefined } as const;
const urlOf = ({ path, query }: Named): string => (query === '' ? path : `${path}?${query}`);

const NO_SUCH_NAME = clientError('NOT_FOUND', 'there is no subscription of that name');

/** Says that something is followed, and whether that goes on from the position which was named. */
const followed = (sub: SubscriptionName, ack: AckName, recovered: boolean | undefined): object => ({
  ...{ type: 'ack', ack, sub, status: 200 },
  ...(recovered === undefined ? {} : { recovered }),
});

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

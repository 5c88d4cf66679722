/**
 * Event streams on the resource paths, for `Accept: text/event-stream`. The cursor is registered
 * before the headers leave, so that nothing committed after a client saw the stream open is missed.
 * Resumes by `Last-Event-ID` [WHATWG HTML §9.2.4], or `lastEventId` in the query for
 * clients that cannot set a header.
 */
import { FOR_GOOD, type Standing } from '../../access/authenticate.ts';
import { StandingWatch } from '../../access/standing-watch.ts';
import { durationMs, type EpochMs } from '../../base/brands.ts';
import type { Cancel, Clock } from '../../base/clock.ts';
import { NodeError } from '../../base/errors.ts';
import { LIMITS } from '../../config/limits.ts';
import type { Fanout } from '../../feed/fanout.ts';
import type { Resolution, Resolve } from '../../feed/resolve.ts';
import type { SubscriptionRequest } from '../../feed/subscriber.ts';
import type { Exchange, HeaderList } from '../http/port.ts';
import { replyProblem } from '../http/problem.ts';
import { EventStream, type StreamParts } from './event-stream.ts';

const HEADERS: HeaderList = [
  ...['content-type', 'text/event-stream; charset=utf-8'],
  ...['cache-control', 'no-store'],
  // Proxies which gather responses before they pass them on would make a stream useless.
  ...['x-accel-buffering', 'no'],
];

/** How long a browser waits before it comes back, in milliseconds. */
const RECONNECTION_TIME_MS = 2_000;
const PREAMBLE = Buffer.from(`retry: ${RECONNECTION_TIME_MS}\n\n`);
const HEARTBEAT = Buffer.from(':\n\n');

export interface SseParts<Principal> {
  readonly fanout: Fanout;
  readonly clock: Clock;
  readonly resolve: Resolve<Principal>;
  readonly conflateBytesMax?: number | undefined;
}

/** Whether a request asks for an event stream rather than for the resource. */
export const wantsEventStream = (accept: string | undefined): boolean =>
  accept !== undefined && /(?:^|[\s,])text\/event-stream\s*(?:[;,]|$)/i.test(accept);

/** An open stream as it is told to those who operate the node. */
export interface StreamFacts<Principal> {
  /** Among those of its thread. */
  readonly serial: number;
  readonly principal: Principal;
  readonly address: string;
  readonly openedAt: EpochMs;
  /** A path with its query. */
  readonly resource: string;
}

export class SseEndpoint<Principal> {
  readonly #parts: SseParts<Principal>;
  readonly #streamParts: StreamParts;
  readonly #streams = new Map<EventStream, StreamFacts<Principal>>();
  readonly #watch: StandingWatch;
  #dirty: EventStream[] = [];
  #heartbeat: Cancel | undefined;
  #stopping = false;
  #serial = 0;

  constructor(parts: SseParts<Principal>) {
    this.#parts = parts;
    this.#watch = new StandingWatch(parts.clock);
    this.#streamParts = {
      conflateBytesMax: parts.conflateBytesMax ?? LIMITS.socketConflateBytesMax,
      flushLater: (dirty) => this.#flushLater(dirty),
      closed: (gone) => this.#closed(gone),
    };
  }

  get connectionCount(): number {
    return this.#streams.size;
  }

  /** The open streams. */
  streams(): Iterable<readonly [EventStream, StreamFacts<Principal>]> {
    return this.#streams;
  }

  /** Answers a `GET` which `wantsEventStream`: with the stream, or with a problem document. */
  serve(exchange: Exchange, principal: Principal, standing: Standing = FOR_GOOD): void {
    const resolution = this.#resolve(exchange, principal);
    if (resolution.kind === 'refused') {
      replyProblem(exchange, resolution.error, challenge(resolution.error));
    } else if (exchange.request.method === 'HEAD') {
      exchange.reply(200, HEADERS);
    } else {
      this.#open(exchange, resolution.request, { principal, standing });
    }
  }

  /** Ends every stream; the clients come back by themselves. */
  stop(): void {
    this.#stopping = true;
    this.#watch.stop();
    this.#heartbeat?.();
    this.#heartbeat = undefined;
    for (const stream of [...this.#streams.keys()]) stream.close('SHUTTING_DOWN');
  }

  #resolve({ request }: Exchange, principal: Principal): Resolution {
    if (this.#stopping) {
      const error = new NodeError('SHUTTING_DOWN', 'this node is stopping', { retry: 'later' });
      return { kind: 'refused', error };
    }
    const { path, query, toldScheme } = request;
    const header = (name: string) => request.header(name);
    return this.#parts.resolve({ path, query, header, toldScheme }, principal, 'sse');
  }

  #open(
    exchange: Exchange,
    resolved: SubscriptionRequest,
    { principal, standing }: { readonly principal: Principal; readonly standing: Standing },
  ): void {
    const from = exchange.request.header('last-event-id') || resolved.from;
    const stream = new EventStream(this.#streamParts);
    this.#streams.set(stream, this.#facts(exchange, principal));
    this.#watch.add(stream, standing);
    const subscription = this.#parts.fanout.subscribe({ ...resolved, from }, stream);
    stream.hold(subscription);
    exchange.onAborted(() => stream.gone());
    const { recovered } = subscription;
    const told = recovered === undefined ? [] : ['millrace-recovered', String(recovered)];
    stream.begin(exchange.stream(200, [...HEADERS, ...told]), PREAMBLE);
    this.#beat();
  }

  #facts({ request }: Exchange, principal: Principal): StreamFacts<Principal> {
    this.#serial += 1;
    const { path, query, remoteAddress: address } = request;
    const resource = query === '' ? path : `${path}?${query}`;
    const openedAt = this.#parts.clock.now();
    return { serial: this.#serial, principal, address, openedAt, resource };
  }

  #closed(stream: EventStream): void {
    this.#streams.delete(stream);
    this.#watch.delete(stream);
  }

  #flushLater(stream: EventStream): void {
    this.#dirty.push(stream);
    if (this.#dirty.length > 1) return;
    queueMicrotask(() => {
      const dirty = this.#dirty;
      this.#dirty = [];
      for (const one of dirty) one.flush();
    });
  }

  /** One timer for all streams, which runs while there are any. */
  #beat(): void {
    if (this.#heartbeat !== undefined) return;
    const every = durationMs(LIMITS.streamHeartbeatSeconds * 1000);
    this.#heartbeat = this.#parts.clock.after(every, () => {
      this.#heartbeat = undefined;
      for (const stream of this.#streams.keys()) stream.heartbeat(HEARTBEAT);
      if (this.#streams.size > 0) this.#beat();
    });
  }
}

const challenge = (error: NodeError): HeaderList =>
  error.code === 'AUTHENTICATION_REQUIRED'
    ? ['www-authenticate', 'Basic realm="millrace", charset="UTF-8"']
    : [];

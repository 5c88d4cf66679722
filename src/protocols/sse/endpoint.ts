/**
 * Event streams on the resource paths, for `Accept: text/event-stream`. The cursor is registered
 * before the headers leave, so that nothing committed after a client saw the stream open is missed.
 * Resumes by `Last-Event-ID` [WHATWG HTML §9.2.4], or `lastEventId` in the query for
 * clients that cannot set a header.
 */
import { FOR_GOOD, type Standing } from '../../access/authenticate.ts';
import { StandingWatch } from '../../access/standing-watch.ts';
import { durationMs } from '../../base/brands.ts';
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

export class SseEndpoint<Principal> {
  readonly #parts: SseParts<Principal>;
  readonly #streamParts: StreamParts;
  readonly #streams = new Set<EventStream>();
  readonly #watch: StandingWatch;
  #dirty: EventStream[] = [];
  #heartbeat: Cancel | undefined;
  #stopping = false;

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

  /** Answers a `GET` which `wantsEventStream`: with the stream, or with a problem document. */
  serve(exchange: Exchange, principal: Principal, standing: Standing = FOR_GOOD): void {
    const resolution = this.#resolve(exchange, principal);
    if (resolution.kind === 'refused') {
      replyProblem(exchange, resolution.error, challenge(resolution.error));
    } else if (exchange.request.method === 'HEAD') {
      exchange.reply(200, HEADERS);
    } else {
      this.#open(exchange, resolution.request, standing);
    }
  }

  /** Ends every stream; the clients come back by themselves. */
  stop(): void {
    this.#stopping = true;
    this.#watch.stop();
    this.#heartbeat?.();
    this.#heartbeat = undefined;
    for (const stream of [...this.#streams]) stream.close('SHUTTING_DOWN');
  }

  #resolve({ request }: Exchange, principal: Principal): Resolution {
    if (this.#stopping) {
      const error = new NodeError('SHUTTING_DOWN', 'this node is stopping', { retry: 'later' });
      return { kind: 'refused', error };
    }
    const { path, query } = request;
    const header = (name: string) => request.header(name);
    return this.#parts.resolve({ path, query, header }, principal, 'sse');
  }

  #open(exchange: Exchange, resolved: SubscriptionRequest, standing: Standing): void {
    const from = exchange.request.header('last-event-id') || resolved.from;
    const stream = new EventStream(this.#streamParts);
    this.#streams.add(stream);
    this.#watch.add(stream, standing);
    stream.hold(this.#parts.fanout.subscribe({ ...resolved, from }, stream));
    exchange.onAborted(() => stream.gone());
    stream.begin(exchange.stream(200, HEADERS), PREAMBLE);
    this.#beat();
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
      for (const stream of this.#streams) stream.heartbeat(HEARTBEAT);
      if (this.#streams.size > 0) this.#beat();
    });
  }
}

const challenge = (error: NodeError): HeaderList =>
  error.code === 'AUTHENTICATION_REQUIRED'
    ? ['www-authenticate', 'Basic realm="millrace", charset="UTF-8"']
    : [];

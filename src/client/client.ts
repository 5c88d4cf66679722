/**
 * `millrace/client`: one socket to a node for everything that a page or a program follows and
 * writes. Subscriptions are made again after every interruption, from where they were; what was
 * missed comes, or the present state where the node does not hold it any more.
 *
 *   const live = connect<Schema>();
 *   live.query('/Flight/?airport=SFO&sort(-delay)').subscribe((rows) => draw(rows));
 *   await live.patch('/Flight/AA100', { gate: 'B2' });
 */
import { Link, type SocketType, type Status } from './link.ts';
import { asFollowed, LiveQuery, type QueryFeed } from './live-query.ts';
import { type Acknowledged, LiveError, type LiveEvent, type RowAt, type Rows } from './protocol.ts';

export type { SocketLike, SocketType, Status } from './link.ts';
export { LiveQuery, type QueryStatus, type RowId } from './live-query.ts';
export { mergePatch } from './merge-patch.ts';
export {
  type Acknowledged,
  LiveError,
  type LiveEvent,
  type RowAt,
  type Rows,
} from './protocol.ts';

export interface ConnectOptions {
  /** Address of the node; in a page, by default, where it came from. */
  readonly url?: string;
  /** A token or key, or what yields one: asked at every connection, and before the old one ends. */
  readonly token?: string | (() => string | Promise<string>);
  /** Needed where there is no global one: Node 20, with the package `ws`. */
  readonly WebSocket?: SocketType;
  /** Time for a write to be answered, milliseconds. */
  readonly timeoutMs?: number;
  readonly onStatus?: (status: Status) => void;
  /** Told what an operator says to everybody. */
  readonly onBroadcast?: (value: unknown) => void;
}

export interface SubscribeOptions {
  /** Bursts a second. */
  readonly maxRate?: number;
  /** Position of the last event that was seen. */
  readonly from?: string;
  /** Changes only, without what there is now. */
  readonly omitCurrent?: boolean;
  /** Have changes of a row as what changed of it (RFC 7396). */
  readonly delta?: 'merge-patch';
  readonly onError?: (error: LiveError) => void;
}

export interface WriteTerms {
  /** An entity tag with its quotes, or `*`. */
  readonly ifMatch?: string;
  readonly ifNoneMatch?: string;
  /** The record's own lifetime, seconds. */
  readonly maxAge?: number;
}

interface Subscription {
  readonly as: number;
  readonly ask: Record<string, unknown>;
  readonly hear: (event: LiveEvent) => void;
  readonly fail: (error: LiveError) => void;
  position: string | undefined;
}

interface Waiting {
  readonly resolve: (answer: Acknowledged) => void;
  readonly reject: (error: LiveError) => void;
  readonly message: object;
  readonly timer: ReturnType<typeof setTimeout>;
  sent: boolean;
}

const TIMEOUT_MS = 10_000;
/** Writes that wait for an answer or a connection. */
const WAITING_MAX = 1_000;
const TIMER_MS_MAX = 2 ** 31 - 1;
const RETRY_MS = 1_000;

export class LiveClient<Schema extends Rows = Rows> {
  readonly #options: ConnectOptions;
  readonly #link: Link;
  readonly #subscriptions = new Map<number, Subscription>();
  readonly #queries = new Set<Pick<LiveQuery<unknown>, 'became' | 'resumed'>>();
  readonly #waiting = new Map<number, Waiting>();
  #serial = 0;
  /** What is asked may be sent: whoever has to sign in has done so. */
  #ready = false;
  /** Which of the connections it is. */
  #session = 0;
  #renewal: ReturnType<typeof setTimeout> | undefined;

  constructor(options: ConnectOptions = {}) {
    this.#options = options;
    const type = options.WebSocket ?? (globalThis as { WebSocket?: SocketType }).WebSocket;
    if (type === undefined)
      throw new TypeError('give connect({ WebSocket }): there is no global one');
    const renews = typeof options.token === 'function';
    const events = {
      opened: () => this.#opened(),
      heard: (message: Record<string, unknown>) => this.#heard(message),
      changed: (status: Status) => this.#changed(status),
    };
    this.#link = new Link(addressOf(options.url), type, events, renews);
  }

  get status(): Status {
    return this.#link.status;
  }

  /** Calls `fn` with each event of a record, a collection or a query; yields what ends that. */
  subscribe<Path extends string>(
    path: Path,
    fn: (event: LiveEvent<RowAt<Schema, Path>>) => void,
    options: SubscribeOptions = {},
  ): () => void {
    const { onError = () => undefined, from, ...terms } = options;
    const hear = fn as (event: LiveEvent) => void;
    return this.#follow({ subscribe: path, ...terms }, hear, onError, from).stop;
  }

  /** The rows of a query, or the row of a record, as they are now. */
  query<Path extends string>(
    path: Path,
    options: Pick<SubscribeOptions, 'maxRate' | 'delta'> = {},
  ): LiveQuery<RowAt<Schema, Path>> {
    const query: LiveQuery<RowAt<Schema, Path>> = new LiveQuery(path, (made): QueryFeed => {
      const hear = (event: LiveEvent) => made.hear(event as LiveEvent<RowAt<Schema, Path>>);
      const fail = (error: LiveError) => made.became('failed', error);
      const feed = this.#follow({ subscribe: asFollowed(path), ...options }, hear, fail);
      return {
        restart: feed.restart,
        stop: () => {
          feed.stop();
          this.#queries.delete(made);
        },
      };
    });
    this.#queries.add(query);
    return query;
  }

  /** Calls `fn` with how many follow a record or a collection, now and when it changes. */
  presence(path: string, fn: (count: number) => void): () => void {
    const hear = ({ count }: LiveEvent) => count !== undefined && fn(count);
    return this.#follow({ presence: path }, hear, () => undefined).stop;
  }

  put<Path extends string>(
    path: Path,
    value: RowAt<Schema, Path>,
    terms?: WriteTerms,
  ): Promise<Acknowledged> {
    return this.#write({ put: path, value, ...terms });
  }

  /** Top-level fields are replaced; with `merge-patch` by RFC 7396. */
  patch<Path extends string>(
    path: Path,
    value: Partial<RowAt<Schema, Path>>,
    terms?: WriteTerms & { readonly format?: 'merge-patch' },
  ): Promise<Acknowledged> {
    return this.#write({ patch: path, value, ...terms });
  }

  /** A new record in a collection; `location` of the answer says where. */
  post<Path extends string>(
    path: Path,
    value: Partial<RowAt<Schema, Path>>,
  ): Promise<Acknowledged> {
    return this.#write({ post: path, value });
  }

  delete(path: string, terms?: WriteTerms): Promise<Acknowledged> {
    return this.#write({ delete: path, ...terms });
  }

  /** A message to those who follow a record; it is not stored. */
  publish(path: string, value: unknown): Promise<Acknowledged> {
    return this.#write({ publish: path, value });
  }

  /** Shows a newer token, by the option or as given, without connecting again. */
  async refresh(token?: string): Promise<void> {
    await this.#signIn(token);
  }

  close(): void {
    this.#link.close();
  }

  async #opened(): Promise<void> {
    if (this.#options.token !== undefined) await this.#signIn();
    this.#ready = true;
    this.#session += 1;
    for (const one of this.#subscriptions.values()) this.#ask(one);
    for (const waiting of this.#waiting.values()) this.#send(waiting);
  }

  async #signIn(given?: string): Promise<void> {
    const { token } = this.#options;
    const shown = given ?? (typeof token === 'function' ? await token() : token);
    if (shown === undefined) return;
    clearTimeout(this.#renewal);
    await this.#write({ token: shown }, true).catch((error: LiveError) => {
      // A token that never changes is no better the next time.
      if (typeof token !== 'function' && error.status > 0) this.close();
      throw error;
    });
    const left = millisecondsLeft(shown);
    if (left === undefined || typeof token !== 'function') return;
    const early = Math.min(left * 0.8, TIMER_MS_MAX);
    this.#renewal = setTimeout(() => void this.#signIn().catch(() => undefined), early);
  }

  #follow(
    ask: Record<string, unknown>,
    hear: (event: LiveEvent) => void,
    fail: (error: LiveError) => void,
    from?: string,
  ): QueryFeed {
    this.#serial += 1;
    const as = this.#serial;
    const subscription: Subscription = { as, ask, hear, fail, position: from };
    this.#subscriptions.set(as, subscription);
    if (this.#ready) this.#ask(subscription);
    return {
      restart: () => {
        subscription.position = undefined;
        this.#link.say({ unsubscribe: as });
        this.#ask(subscription);
      },
      stop: () => {
        if (this.#subscriptions.delete(as)) this.#link.say({ unsubscribe: as });
      },
    };
  }

  #ask({ as, ask, position }: Subscription): void {
    this.#link.say(position === undefined ? { ...ask, as } : { ...ask, as, from: position });
  }

  #write(message: object, isFirst = false): Promise<Acknowledged> {
    return new Promise((resolve, reject) => {
      if (this.status === 'closed') return reject(new LiveError('CLOSED', 'the client is closed'));
      if (this.#waiting.size >= WAITING_MAX) {
        return reject(new LiveError('TOO_MANY_REQUESTS', `${WAITING_MAX} writes wait already`));
      }
      this.#serial += 1;
      const ack = this.#serial;
      const late = () => {
        this.#waiting.delete(ack);
        reject(new LiveError('TIMED_OUT', 'there was no answer in time; it may have been done'));
      };
      const timer = setTimeout(late, this.#options.timeoutMs ?? TIMEOUT_MS);
      const waiting = { resolve, reject, message: { ...message, ack }, timer, sent: false };
      this.#waiting.set(ack, waiting);
      if (isFirst || this.#ready) this.#send(waiting);
    });
  }

  #send(waiting: Waiting): void {
    if (!waiting.sent) waiting.sent = this.#link.say(waiting.message);
  }

  #heard(message: Record<string, unknown>): void {
    const { sub, ack, type, code, value } = message;
    if (typeof ack === 'number') this.#answered(ack, message);
    else if (type === 'broadcast') this.#options.onBroadcast?.(value);
    else if (typeof sub === 'number') {
      const subscription = this.#subscriptions.get(sub);
      if (subscription === undefined) return;
      if (type === 'error' && code !== undefined) this.#refused(subscription, errorOf(message));
      else this.#told(subscription, message as unknown as LiveEvent);
    }
  }

  #told(subscription: Subscription, event: LiveEvent): void {
    const { type, position, more } = event;
    // From neither may be resumed: of both, more is to come.
    if (type !== 'reset' && more !== true && position !== undefined) {
      subscription.position = position;
    }
    subscription.hear(event);
  }

  /** The server has ended it: what passes is tried again, from the present state. */
  #refused(subscription: Subscription, error: LiveError): void {
    const { status, code } = error;
    const isPassing = status >= 500 || status === 429 || code === 'POSITION_UNKNOWN';
    subscription.fail(error);
    if (!isPassing) {
      this.#subscriptions.delete(subscription.as);
      return;
    }
    subscription.position = undefined;
    const session = this.#session;
    setTimeout(
      () => {
        // Another connection has asked for it by itself.
        if (session !== this.#session || !this.#subscriptions.has(subscription.as)) return;
        this.#ask(subscription);
      },
      RETRY_MS * (1 + Math.random()),
    );
  }

  #answered(ack: number, message: Record<string, unknown>): void {
    const waiting = this.#waiting.get(ack);
    if (waiting === undefined) return;
    this.#waiting.delete(ack);
    clearTimeout(waiting.timer);
    if (message.type === 'error') waiting.reject(errorOf(message));
    else waiting.resolve(message as unknown as Acknowledged);
  }

  #changed(status: Status): void {
    if (status === 'open') {
      for (const query of this.#queries) query.resumed();
    } else {
      this.#ready = false;
      for (const query of this.#queries) query.became(status === 'closed' ? 'closed' : 'stale');
      this.#lost(status === 'closed');
    }
    if (status === 'closed') clearTimeout(this.#renewal);
    this.#options.onStatus?.(status);
  }

  /** What was sent and not answered may have been done or not; what was not sent still waits. */
  #lost(all: boolean): void {
    for (const [ack, waiting] of this.#waiting) {
      if (!waiting.sent && !all) continue;
      this.#waiting.delete(ack);
      clearTimeout(waiting.timer);
      const text = 'the connection ended before the answer; it may have been done';
      waiting.reject(new LiveError('CONNECTION_LOST', text));
    }
  }
}

/** Connects to a node, and stays connected until `close()`. */
export const connect = <Schema extends Rows = Rows>(
  options: ConnectOptions = {},
): LiveClient<Schema> => new LiveClient<Schema>(options);

const errorOf = ({ code, message, status }: Record<string, unknown>): LiveError =>
  new LiveError(String(code), String(message), Number(status ?? 0));

function addressOf(url: string | undefined): string {
  const page = (globalThis as { location?: { href: string } }).location?.href;
  const address = new URL(url ?? '/live', page);
  if (address.pathname === '/') address.pathname = '/live';
  address.protocol = address.protocol.replace('http', 'ws');
  return address.href;
}

/** Until the token expires, where it is one that says so [RFC7519 §4.1.4]. */
function millisecondsLeft(token: string): number | undefined {
  try {
    const payload = (token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/');
    const { exp } = JSON.parse(atob(payload)) as { exp?: unknown };
    return typeof exp === 'number' ? Math.max(0, exp * 1000 - Date.now()) : undefined;
  } catch {
    return undefined;
  }
}

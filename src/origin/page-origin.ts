/**
 * A rendering origin as the page cache sees it: one streaming HTTP/1.1 exchange a request, through
 * the same limits, breaker, retries and counters as every other call to the origin (`attempts.ts`).
 * A redirect, an error status and a coded body are passed on as they are.
 *
 * A request is repeated only when its method is idempotent, nothing of a streamed body was read,
 * and not one byte of a reply had come. A call holds its slot until the body has ended; an upgraded
 * connection holds none.
 */
import { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { Clock } from '../base/clock.ts';
import { NodeError } from '../base/errors.ts';
import type { StopSignal } from '../base/stop.ts';
import type {
  PageOrigin,
  PageOriginReply,
  PageOriginRequest,
  UpgradedOrigin,
} from '../cache/pages/ports.ts';
import { LIMITS } from '../config/limits.ts';
import type { OriginAgent } from './agent.ts';
import type { Attempts, Call } from './attempts.ts';
import type { AttemptOutcome } from './counters.ts';
import { originError } from './failures.ts';
import { type Answered, isUpgraded, PageExchange, remainderOf } from './page-exchange.ts';
import { fieldOf, fieldsToWire } from './page-fields.ts';
import {
  concludeFailure,
  endingOfStatus,
  type Replica,
  type Replicas,
  type ReplicaUse,
} from './replicas.ts';

export interface PageOriginParts {
  readonly name: string;
  readonly url: URL;
  /** Sent with every request, in the place of the client's; names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** `Host` to send: `origin` for that of the URL, or a name; `undefined`: the client's. */
  readonly host: string | undefined;
  readonly agent: OriginAgent;
  readonly attempts: Attempts;
  readonly clock: Clock;
  /** `undefined`: `url` is the only one. */
  readonly replicas: Replicas | undefined;
}

/**
 * What no request line can carry, or means another page to each who reads it, is the client's fault
 * and no failure of the origin [RFC9112 §3.2].
 */
function refuseTarget(target: string): void {
  if (/^\/[\x21\x22\x24-\x7e]*$/.test(target)) return;
  const message =
    'the target of the request has characters that no URL has (controls, spaces, "#", letters ' +
    'beyond ASCII); send them percent-encoded';
  throw new NodeError('REQUEST_MALFORMED', message, { blame: 'client' });
}

/** [RFC9110 §9.2.2] */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

export class HttpPageOrigin implements PageOrigin {
  readonly name: string;
  readonly #parts: PageOriginParts;

  constructor(parts: PageOriginParts) {
    this.name = parts.name;
    this.#parts = parts;
  }

  async fetch(request: PageOriginRequest): Promise<PageOriginReply> {
    refuseTarget(request.target);
    const answered = await this.#call(request, undefined);
    if (!isUpgraded(answered)) return answered;
    // undici gives a switched connection to no one who did not ask for it.
    answered.socket.destroy();
    throw originError('ORIGIN_BODY_INVALID', `origin ${this.name} switched protocols unasked`);
  }

  async upgrade(request: PageOriginRequest): Promise<UpgradedOrigin | PageOriginReply> {
    refuseTarget(request.target);
    return this.#call(request, fieldOf(request.fields, 'upgrade') ?? 'websocket');
  }

  close(): Promise<void> {
    return this.#parts.agent.close();
  }

  #call(request: PageOriginRequest, upgrade: string | undefined): Promise<Answered> {
    const upload = uploadOf(request.body);
    const tried = new Set<Replica>();
    const task = (use: ReplicaUse | undefined, signal: StopSignal): Promise<Answered> =>
      this.#exchange(request, { upload, upgrade, use }, signal);
    const call: Call<Answered> = {
      task: (signal) => this.#atReplica(request.target, tried, signal, task),
      signal: request.signal,
      background: request.background,
      source: request.source,
      mayRepeat: () => IDEMPOTENT.has(request.method) && !upload.isBegun(),
      outcomeOf,
      isUnwell: (answered) => answered.status >= 502 && answered.status <= 504,
      remainder: remainderOf,
      // An upload takes the time that the client needs; the reply's own deadline begins after it.
      timeoutMs: upload.isStreamed ? LIMITS.originBodyMsMax : undefined,
    };
    return this.#parts.attempts.run(call);
  }

  /** An attempt goes to a replica that was not tried before, if there is one. */
  async #atReplica(
    target: string,
    tried: Set<Replica>,
    signal: StopSignal,
    task: (use: ReplicaUse | undefined, signal: StopSignal) => Promise<Answered>,
  ): Promise<Answered> {
    const { replicas } = this.#parts;
    if (replicas === undefined) return task(undefined, signal);
    const use = replicas.take(target, tried);
    tried.add(use.replica);
    try {
      const answered = await task(use, signal);
      use.conclude(endingOfStatus(answered.status));
      // A body, or a connection that switched protocols, is under way until it ends.
      if (isUpgraded(answered)) answered.socket.once('close', use.release);
      else void remainderOf(answered).then(use.release);
      return answered;
    } catch (error) {
      concludeFailure(use, error, signal);
      use.release();
      throw error;
    }
  }

  async #exchange(request: PageOriginRequest, way: Way, signal: StopSignal): Promise<Answered> {
    const { upload } = way;
    const { name, clock, agent, attempts } = this.#parts;
    const dispatcher = await agent.load();
    if (signal.aborted) throw signal.reason;
    const exchange = new PageExchange(request, {
      name,
      clock,
      isFailing: () => agent.isFailing,
      onBytes: (bytes) => {
        attempts.bytes += bytes;
      },
    });
    const leave = () => exchange.abort(signal.reason);
    signal.addEventListener('abort', leave, { once: true });
    try {
      dispatcher.dispatch(this.#options(request, way), exchange);
      return await exchange.head;
    } catch (error) {
      // A client that breaks off its upload is no fault of the origin.
      throw upload.failure() ?? error;
    } finally {
      signal.removeEventListener('abort', leave);
    }
  }

  #options(
    request: PageOriginRequest,
    { upload, upgrade, use }: Way,
  ): Dispatcher.DispatchOptions & { readonly servername: string } {
    const { headers } = this.#parts;
    const url = use?.url ?? this.#parts.url;
    const host = this.#parts.host === 'origin' ? url.host : this.#parts.host;
    const fields = fieldsToWire(request.fields, headers, host ?? request.host);
    const length = upload.isStreamed ? request.bodyLength : undefined;
    if (length !== undefined) fields.push('content-length', String(length));
    return {
      origin: url.origin,
      path: `${url.pathname.replace(/\/$/, '')}${request.target}`,
      method: request.method,
      headers: fields,
      body: upload.open(),
      // Certificates are judged by the origin's own name, whatever `Host` says.
      servername: url.hostname,
      ...(upgrade === undefined ? {} : { upgrade }),
    };
  }
}

/** What one attempt takes along. */
interface Way {
  readonly upload: Upload;
  readonly upgrade: string | undefined;
  readonly use: ReplicaUse | undefined;
}

/** A request's body on its way out. */
interface Upload {
  readonly isStreamed: boolean;
  isBegun(): boolean;
  open(): Uint8Array | Readable | null;
  /** What the client's side of the body failed with. */
  failure(): NodeError | undefined;
}

function uploadOf(body: PageOriginRequest['body']): Upload {
  let begun = false;
  let failure: NodeError | undefined;
  async function* once(chunks: AsyncIterable<Uint8Array>) {
    begun = true;
    try {
      yield* chunks;
    } catch (error) {
      failure = brokenUpload(error);
      throw failure;
    }
  }
  const isStreamed = body !== undefined && !(body instanceof Uint8Array);
  return {
    isStreamed,
    isBegun: () => begun,
    open: () => {
      if (body === undefined || body instanceof Uint8Array) return body ?? null;
      return Readable.from(once(body), { objectMode: false });
    },
    failure: () => failure,
  };
}

function brokenUpload(error: unknown): NodeError {
  if (error instanceof NodeError) return error;
  const message = 'the body of the request broke off before its end';
  return new NodeError('BODY_MALFORMED', message, { blame: 'client', cause: error });
}

function outcomeOf({ status }: Answered): AttemptOutcome {
  if (status >= 500) return 'ORIGIN_STATUS';
  if (status === 304) return 'not_modified';
  return status === 404 || status === 410 ? 'absent' : 'ok';
}

/**
 * One HTTP exchange with a rendering origin, as undici tells of it: interim responses, the final
 * head, the body as it arrives, trailers; or an upgraded socket. Field lines keep their order and
 * repetition; nothing is decoded, followed or sent twice.
 *
 * Before the head everything that goes wrong rejects `head`; after it, it breaks the body. A reply
 * that had begun and broke is `ORIGIN_BODY_INVALID`, not "unreachable": it must not be repeated.
 */
import type { Duplex } from 'node:stream';
import type { Dispatcher } from 'undici';
import { durationMs } from '../base/brands.ts';
import type { Clock } from '../base/clock.ts';
import type { NodeError } from '../base/errors.ts';
import type {
  FieldLines,
  PageOriginReply,
  PageOriginRequest,
  UpgradedOrigin,
} from '../cache/pages/ports.ts';
import { LIMITS } from '../config/limits.ts';
import { BodyQueue } from './body-queue.ts';
import { asOriginError, misframed, originError } from './failures.ts';
import { fieldOf, fieldsFromWire, valuesOf } from './page-fields.ts';
import { isPlainlyFramed } from './whole-exchange.ts';

export interface ExchangeParts {
  /** Name of the origin, for messages. */
  readonly name: string;
  readonly clock: Clock;
  /** Whether a connection is failing at this very moment; see `OriginAgent`. */
  readonly isFailing: () => boolean;
  /** Told the size of a body when it ended, however it ended. */
  readonly onBytes: (bytes: number) => void;
}

export type Answered = PageOriginReply | UpgradedOrigin;

export const isUpgraded = (answered: Answered): answered is UpgradedOrigin => 'socket' in answered;

/** A reply whose body tells when the origin was done with it. */
export const remainderOf = (answered: Answered): Promise<'read' | 'left'> =>
  !isUpgraded(answered) && answered.body instanceof BodyQueue
    ? answered.body.finished
    : Promise.resolve('read');

export class PageExchange implements Dispatcher.DispatchHandler {
  readonly head: Promise<Answered>;
  readonly #parts: ExchangeParts;
  readonly #request: PageOriginRequest;
  readonly #requestedAt;
  #controller: Dispatcher.DispatchController | undefined;
  #resolve: (answered: Answered) => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;
  #isHeard = false;
  #isOver = false;
  #interims = 0;
  #bytes = 0;
  #body: BodyQueue | undefined;
  #stopWatching: () => void = () => undefined;

  constructor(request: PageOriginRequest, parts: ExchangeParts) {
    this.#request = request;
    this.#parts = parts;
    this.#requestedAt = parts.clock.now();
    this.head = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Gives up, for a reason of ours: the connection is destroyed. */
  abort(reason: unknown): void {
    if (this.#isOver) return;
    this.#end();
    this.#reject(reason);
    this.#body?.fail(reason);
    this.#hangUp();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#isOver) this.#hangUp();
  }

  onResponseStarted(): void {
    this.#isHeard = true;
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    const fields = fieldsFromWire(controller.rawHeaders);
    if (status < 200) this.#interim(status, fields);
    else if (!isPlainlyFramed(valuesOf(fields, 'transfer-encoding')))
      this.abort(misframed(this.#parts.name));
    else this.#final(controller, status, fields);
  }

  #final(controller: Dispatcher.DispatchController, status: number, fields: FieldLines): void {
    const { method } = this.#request;
    const hasBody = method !== 'HEAD' && status !== 204 && status !== 304;
    const body = new BodyQueue(hasBody ? lengthOf(fields) : 0, {
      resume: () => controller.resume(),
      abandon: () => this.abort(originError('ORIGIN_FAILED', 'nobody wants the rest')),
    });
    this.#body = body;
    this.#watchBody();
    const { requestedAt, receivedAt } = this.#times();
    this.#resolve({ status, fields, requestedAt, receivedAt, body });
    // undici takes the length that a 304 may tell [RFC9110 §8.6] for one that it has to have.
    if (!hasBody) this.#complete([]);
  }

  onRequestUpgrade(
    controller: Dispatcher.DispatchController,
    _status: number,
    _headers: unknown,
    socket: Duplex,
  ): void {
    if (this.#isOver) return void socket.destroy();
    this.#end();
    this.#resolve({ status: 101, fields: fieldsFromWire(controller.rawHeaders), socket });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Uint8Array): void {
    this.#bytes += chunk.byteLength;
    if (this.#body?.push(chunk) === false) controller.pause();
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.#isOver) return;
    // A body which lasts until the connection closes is whole only when that was in order.
    if (this.#parts.isFailing()) this.onResponseError(controller, new Error('reset'));
    else this.#complete(fieldsFromWire(controller.rawTrailers));
  }

  onResponseError(_: unknown, thrown: Error): void {
    if (this.#isOver) return;
    this.#end();
    const error = this.#failureOf(thrown);
    this.#reject(error);
    this.#body?.fail(error);
  }

  #interim(status: number, fields: FieldLines): void {
    this.#interims += 1;
    if (this.#interims > LIMITS.originInterimsMax) {
      const message = `origin ${this.#parts.name} sent interim responses without end`;
      this.abort(originError('ORIGIN_BODY_INVALID', message));
    } else {
      this.#request.onInterim?.(status, fields);
    }
  }

  #times() {
    return { requestedAt: this.#requestedAt, receivedAt: this.#parts.clock.now() };
  }

  #complete(trailers: FieldLines): void {
    this.#end();
    this.#body?.complete(trailers);
  }

  /** From the head on the body obeys the client's signal and its own longest time. */
  #watchBody(): void {
    const { clock, name } = this.#parts;
    const { signal } = this.#request;
    const leave = () => this.abort(signal.reason);
    const cancel = clock.after(durationMs(LIMITS.originBodyMsMax), () => {
      const message = `origin ${name} did not end its body in ${LIMITS.originBodyMsMax} ms`;
      this.abort(originError('ORIGIN_TIMED_OUT', message, { details: { origin: name } }));
    });
    signal.addEventListener('abort', leave, { once: true });
    this.#stopWatching = () => {
      cancel();
      signal.removeEventListener('abort', leave);
    };
  }

  #end(): void {
    this.#isOver = true;
    this.#stopWatching();
    if (this.#bytes > 0) this.#parts.onBytes(this.#bytes);
  }

  #hangUp(): void {
    this.#controller?.abort(new Error('given up'));
  }

  #failureOf(thrown: Error): NodeError {
    const { name } = this.#parts;
    const error = asOriginError(name, thrown);
    if (!this.#isHeard || !CUT.has(error.code)) return error;
    const where = this.#body === undefined ? 'in the head' : `after ${this.#bytes} bytes`;
    const message = `origin ${name} broke off its reply ${where} (${thrown.message})`;
    return originError('ORIGIN_BODY_INVALID', message, {
      cause: thrown,
      details: { origin: name, bytes: this.#bytes },
    });
  }
}

/** What a cut looks like to the library. */
const CUT: ReadonlySet<string> = new Set(['ORIGIN_UNREACHABLE', 'ORIGIN_FAILED']);

function lengthOf(fields: FieldLines): number | undefined {
  const told = fieldOf(fields, 'content-length');
  return told !== undefined && /^\d{1,15}$/.test(told) ? Number(told) : undefined;
}

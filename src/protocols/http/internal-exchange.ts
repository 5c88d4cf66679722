/**
 * A request that came by another way than HTTP (a message on a socket), put to the node's own
 * handler, so that whoever may do what, under which limits and conditions, is decided in one place.
 * The answer is gathered, up to a bound, and handed back whole.
 */
import { NodeError } from '../../base/errors.ts';
import { NEVER_STOPPED } from '../../base/stop.ts';
import { type FaultListener, runHandler } from './faults.ts';
import type { BodyWriter, Exchange, HeaderList, HttpHandler, HttpRequest } from './port.ts';
import { replyProblem } from './problem.ts';
import { streamOf } from './request-body.ts';

export interface InternalAnswer {
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: Uint8Array;
}

export interface InternalRequest {
  readonly request: HttpRequest;
  readonly body: Uint8Array;
  /** Bytes of the answer. */
  readonly answerBytesMax: number;
  /** Told which limit refused it. */
  readonly onLimit?: ((limit: string) => void) | undefined;
  readonly onDenied?: ((request: HttpRequest, what: string) => void) | undefined;
}

/** Never rejects: what fails is an answer, as over the wire. */
export function askHandler(
  handler: HttpHandler,
  asked: InternalRequest,
  onFault?: FaultListener | undefined,
): Promise<InternalAnswer> {
  const exchange = new InternalExchange(asked);
  runHandler(exchange, handler, onFault);
  return exchange.answer;
}

/** The value of a field of an answer, by its lower-case name. */
export function fieldOf({ headers }: InternalAnswer, name: string): string | undefined {
  const at = headers.findIndex((text, i) => i % 2 === 0 && text === name);
  return at < 0 ? undefined : headers[at + 1];
}

const NOTHING = new Uint8Array(0);

class InternalExchange implements Exchange {
  readonly request: HttpRequest;
  readonly answer: Promise<InternalAnswer>;
  readonly aborted = false;
  readonly signal = NEVER_STOPPED;
  readonly #body: Uint8Array;
  readonly #bytesMax: number;
  readonly #onLimit: ((limit: string) => void) | undefined;
  readonly #onDenied: InternalRequest['onDenied'];
  #settle: (answer: InternalAnswer) => void = () => undefined;
  #replied = false;

  constructor({ request, body, answerBytesMax, onLimit, onDenied }: InternalRequest) {
    this.request = request;
    this.#onLimit = onLimit;
    this.#onDenied = onDenied;
    this.#body = body;
    this.#bytesMax = answerBytesMax;
    this.answer = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  get replied(): boolean {
    return this.#replied;
  }
  onAborted(): void {}
  interim(): void {}
  limitHit(limit: string): void {
    this.#onLimit?.(limit);
  }
  denied(what: string): void {
    this.#onDenied?.(this.request, what);
  }
  async body(maxBytes: number): Promise<Uint8Array> {
    if (this.#body.byteLength <= maxBytes) return this.#body;
    const message = `the value is larger than ${maxBytes} bytes (limits.requestBodyBytesMax)`;
    throw new NodeError('BODY_TOO_LARGE', message, { blame: 'client' });
  }
  requestStream(maxBytes: number) {
    return streamOf(() => this.body(maxBytes), this.#body.byteLength);
  }
  reply(status: number, headers: HeaderList, body: Uint8Array | string = NOTHING): void {
    this.#replied = true;
    // The view that a caller hands over ends with this call.
    const kept = typeof body === 'string' ? Buffer.from(body) : new Uint8Array(body);
    this.#settle({ status, headers, body: kept });
  }
  stream(status: number, headers: HeaderList): BodyWriter {
    this.#replied = true;
    return new GatheringWriter(this.#bytesMax, (body) => {
      if (body !== undefined) this.#settle({ status, headers, body });
      else replyProblem(this, tooLong(this.#bytesMax));
    });
  }
  /** What was begun and broke off is no answer. */
  cut(): void {
    replyProblem(this, new NodeError('INTERNAL', 'the answer broke off'));
  }
}

/** `ended` is told the whole body, or nothing when it is too long or was given up. */
class GatheringWriter implements BodyWriter {
  readonly #bytesMax: number;
  readonly #ended: (body: Uint8Array | undefined) => void;
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;
  #over = false;

  constructor(bytesMax: number, ended: (body: Uint8Array | undefined) => void) {
    this.#bytesMax = bytesMax;
    this.#ended = ended;
  }

  get aborted(): boolean {
    return this.#over;
  }
  get bufferedBytes(): number {
    return this.#bytes;
  }
  write(chunk: Uint8Array | string): boolean {
    if (this.#over) return true;
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk.slice();
    this.#bytes += bytes.byteLength;
    this.#chunks.push(bytes);
    if (this.#bytes > this.#bytesMax) this.destroy();
    return true;
  }
  async drained(): Promise<void> {}
  end(chunk?: Uint8Array | string): void {
    if (chunk !== undefined) this.write(chunk);
    if (this.#over) return;
    this.#over = true;
    this.#ended(Buffer.concat(this.#chunks));
  }
  destroy(): void {
    if (this.#over) return;
    this.#over = true;
    this.#chunks.length = 0;
    this.#ended(undefined);
  }
}

const tooLong = (bytesMax: number): NodeError =>
  new NodeError('BODY_TOO_LARGE', `the answer is larger than ${bytesMax} bytes: ask over HTTP`, {
    blame: 'client',
  });

/** The method of a message that is delivered and not stored: no client of HTTP can ask for it. */
export const MESSAGE_METHOD = 'PUBLISH';

/**
 * A renderer's connection to its node: small, bounded HTTP over kept connections, by `node:http`
 * and not by `fetch`, which Next.js replaces with a caching one. Every request has a deadline and a
 * largest answer. A node that does not answer is left alone for a moment, so that a page does not
 * wait for it once for each thing that it looks up.
 */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';

export interface NodeClientOptions {
  readonly url: URL;
  readonly authorization: string | undefined;
  readonly timeoutMs: number;
  readonly bytesMax: number;
}

export interface NodeRequest {
  readonly method: 'GET' | 'PUT';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: Uint8Array | string | undefined;
}

export interface NodeAnswer {
  readonly status: number;
  readonly header: (name: string) => string | undefined;
  readonly body: Buffer;
}

/** Why there is no answer; never thrown further than to who falls back to doing without. */
export class NodeAway extends Error {
  override name = 'NodeAway';
}

const SOCKETS_MAX = 32;
/** Before the node closes them. */
const IDLE_MS = 30_000;
const PAUSE_MS = 2_000;
/** Failures in a row after which a node counts as away, though it takes connections. */
const FAILURES_MAX = 3;

export class NodeClient {
  readonly #options: NodeClientOptions;
  readonly #agent: HttpAgent;
  #awayUntil = 0;
  #failures = 0;

  constructor(options: NodeClientOptions) {
    this.#options = options;
    const settings = { keepAlive: true, maxSockets: SOCKETS_MAX, timeout: IDLE_MS };
    this.#agent =
      options.url.protocol === 'https:' ? new HttpsAgent(settings) : new HttpAgent(settings);
  }

  /** Rejects with `NodeAway`; a status is an answer, whatever it says. */
  async ask(request: NodeRequest): Promise<NodeAnswer> {
    if (performance.now() < this.#awayUntil) throw new NodeAway('the node did not answer lately');
    try {
      const answer = await this.#sendTwice(request);
      this.#failures = 0;
      return answer;
    } catch (cause) {
      this.#failures += 1;
      const isGone = codeOf(cause) === 'ECONNREFUSED' || this.#failures >= FAILURES_MAX;
      if (isGone) this.#awayUntil = performance.now() + PAUSE_MS;
      const { url } = this.#options;
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new NodeAway(`${request.method} ${url.origin}${request.path}: ${why}`, { cause });
    }
  }

  /** A kept connection may have been closed while the request was on its way: that says nothing. */
  async #sendTwice(request: NodeRequest): Promise<NodeAnswer> {
    try {
      return await this.#send(request);
    } catch (cause) {
      if (!['ECONNRESET', 'EPIPE'].includes(codeOf(cause) ?? '')) throw cause;
      return this.#send(request);
    }
  }

  #send({ method, path, headers, body }: NodeRequest): Promise<NodeAnswer> {
    const { url, authorization, timeoutMs, bytesMax } = this.#options;
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
    return new Promise((resolve, reject) => {
      const request = send(new URL(path, url), {
        method,
        agent: this.#agent,
        headers: {
          ...(authorization === undefined ? {} : { authorization }),
          ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
          ...headers,
        },
      });
      const late = setTimeout(
        () => request.destroy(new Error(`no answer within ${timeoutMs} ms`)),
        timeoutMs,
      );
      late.unref();
      request.once('close', () => clearTimeout(late));
      request.once('error', reject);
      request.once('response', (response) => {
        readBody(response, bytesMax).then(
          (bytes) => resolve(answerOf(response, bytes)),
          (error: Error) => {
            request.destroy();
            reject(error);
          },
        );
      });
      request.end(body);
    });
  }
}

const codeOf = (error: unknown): string | undefined =>
  error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;

const answerOf = (response: IncomingMessage, body: Buffer): NodeAnswer => ({
  status: response.statusCode ?? 0,
  header: (name) => [response.headers[name] ?? []].flat()[0],
  body,
});

async function readBody(response: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new Error(`the answer is larger than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  if (!response.complete) throw new Error('the answer broke off');
  return Buffer.concat(chunks, bytes);
}

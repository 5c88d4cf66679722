/**
 * The way out to HTTP origins for whole replies, over the origin's pool (`agent.ts`). It follows at
 * most three redirects of reads, each through the same guard, never to another scheme, and without
 * the configured header fields when they lead to another host (those may be secrets).
 */
import type { Agent, Dispatcher } from 'undici';
import type { NodeError } from '../base/errors.ts';
import { realSignal } from '../base/stop.ts';
import type { OriginAgent } from './agent.ts';
import { ACCEPTED_CODINGS, decompress } from './decompress.ts';
import type { OpenResponse, SendOptions } from './definition.ts';
import { asOriginError, misframed, originError, statusError } from './failures.ts';
import { concludeFailure, endingOfStatus, type Replicas } from './replicas.ts';
import { type OriginResponse, originResponse } from './response.ts';
import { type ReplyHead, WholeExchange } from './whole-exchange.ts';

export interface HttpClientOptions {
  readonly name: string;
  readonly agent: OriginAgent;
  readonly bodyMax: number;
  readonly redirectsMax: number;
  readonly decompressionRatioMax: number;
  readonly decompressionFloorBytes: number;
  /** Told the size of each body as it came over the wire. */
  readonly onBytes: (bytes: number) => void;
  /** What stands for the origin's one URL; `undefined`: nothing. */
  readonly replicas?: Replicas | undefined;
}

export interface HttpClient {
  request(url: URL, options: SendOptions): Promise<OriginResponse>;
  open(url: URL, options: SendOptions): Promise<OpenResponse>;
  /** Asks this very replica whether it is well; rejects when it is not. */
  probe(url: URL, options: SendOptions): Promise<void>;
  /** Loads the library ahead of the first request. */
  warm(): Promise<void>;
  /** Destroys every connection. */
  close(): Promise<void>;
}

export function createHttpClient(options: HttpClientOptions): HttpClient {
  const attempt = async <T>(task: (agent: Agent) => Promise<T>): Promise<T> => {
    try {
      return await task(await options.agent.load());
    } catch (error) {
      throw asOriginError(options.name, error);
    }
  };
  const atReplica = async <T extends { readonly status: number }>(
    url: URL,
    { signal }: SendOptions,
    replicas: Replicas,
    task: Task<T>,
  ): Promise<T> => {
    const use = replicas.take(url.pathname + url.search);
    const target = new URL(url.pathname + url.search, use.url.origin);
    try {
      const reply = await attempt((agent) => task(agent, target));
      use.conclude(endingOfStatus(reply.status));
      return reply;
    } catch (error) {
      concludeFailure(use, error, signal);
      throw error;
    } finally {
      use.release();
    }
  };
  const anywhere = <T extends { readonly status: number }>(
    url: URL,
    init: SendOptions,
    task: Task<T>,
  ): Promise<T> => {
    const { replicas } = options;
    if (replicas?.isFor(url) === true) return atReplica(url, init, replicas, task);
    return attempt((agent) => task(agent, url));
  };
  return {
    request: (url, init) =>
      anywhere(url, init, (agent, target) => requestWhole(agent, target, init, options)),
    open: (url, init) =>
      anywhere(url, init, (agent, target) => requestOpen(agent, target, init, options)),
    probe: async (url, init) => {
      const { status } = await attempt((agent) => requestWhole(agent, url, init, options));
      if (status >= 400) throw statusError(options.name, status, undefined, 'the health check');
    },
    warm: async () => void (await options.agent.load()),
    close: () => options.agent.close(),
  };
}

/** What is asked of the server at `target`. */
type Task<T> = (agent: Agent, target: URL) => Promise<T>;

async function requestOpen(
  agent: Agent,
  url: URL,
  init: SendOptions,
  options: HttpClientOptions,
): Promise<OpenResponse> {
  const signal = realSignal(init.signal);
  const send = async (target: URL, headers: Headers): Promise<OpenReply> => {
    const request = { ...requestOf(target, init, headers), bodyTimeout: 0, signal };
    const { statusCode: status, ...reply } = await agent.request(request);
    return { ...reply, status };
  };
  const drop = ({ body }: OpenReply) => void body.on('error', ignore).destroy();
  const reply = await followRedirects(url, init, options, send, drop);
  return {
    status: reply.status,
    headers: fieldsOf(reply.headers),
    body: reply.body,
    close: () => drop(reply),
  };
}

type OpenReply = ReplyHead & Pick<Dispatcher.ResponseData, 'body'>;

async function requestWhole(
  agent: Agent,
  url: URL,
  init: SendOptions,
  options: HttpClientOptions,
): Promise<OriginResponse> {
  const asked = { ...init, headers: { 'accept-encoding': ACCEPTED_CODINGS, ...init.headers } };
  const send = (target: URL, headers: Headers) => {
    const exchange = new WholeExchange({
      signal: init.signal,
      bodyMax: options.bodyMax,
      tooLarge: () => tooLarge(options),
      isFailing: () => options.agent.isFailing,
      misframed: () => misframed(options.name),
      isEndedByHead: (head) => redirectTarget(target, init.method, head) !== undefined,
    });
    try {
      agent.dispatch(requestOf(target, init, headers), exchange);
    } catch (error) {
      exchange.fail(error);
    }
    return exchange.reply;
  };
  const reply = await followRedirects(url, asked, options, send, ignore);
  options.onBytes(reply.body.byteLength);
  const fields = fieldsOf(reply.headers);
  return originResponse(reply.status, fields, await decoded(reply.body, fields, options));
}

/** Most are not encoded, and are there at once. */
function decoded(
  body: Uint8Array,
  fields: ReadonlyMap<string, string>,
  options: HttpClientOptions,
): Uint8Array | Promise<Uint8Array> {
  const coding = fields.get('content-encoding');
  if (coding === undefined) return body;
  return decompress(options.name, body, coding, {
    bytesMax: options.bodyMax,
    ratioMax: options.decompressionRatioMax,
    ratioFloorBytes: options.decompressionFloorBytes,
  });
}

function tooLarge(options: HttpClientOptions): NodeError {
  const message = `origin ${options.name} sent more than ${options.bodyMax} bytes (bodyMax)`;
  const details = { origin: options.name, limit: options.bodyMax };
  return originError('ORIGIN_BODY_TOO_LARGE', message, { details });
}

type Headers = Readonly<Record<string, string>>;

/** `drop`: what becomes of a reply that nobody reads. */
async function followRedirects<T extends ReplyHead>(
  url: URL,
  init: SendOptions,
  options: HttpClientOptions,
  send: (target: URL, headers: Headers) => Promise<T>,
  drop: (reply: T) => void,
): Promise<T> {
  let target = url;
  let headers = init.headers ?? {};
  for (let hops = 0; ; hops += 1) {
    const reply = await send(target, headers);
    const next = redirectTarget(target, init.method, reply);
    if (next === undefined) return reply;
    drop(reply);
    if (hops >= options.redirectsMax || next.protocol !== url.protocol) {
      throw refusedRedirect(options, next, reply.status);
    }
    if (next.host !== target.host) headers = withoutSecrets(headers);
    target = next;
  }
}

const ignore = (): void => {};

const requestOf = (url: URL, { method = 'GET', body }: SendOptions, headers: Headers) => ({
  origin: url.origin,
  path: url.pathname + url.search,
  method: method as Dispatcher.HttpMethod,
  headers,
  body: body ?? null,
});

/** Where a reply sends a read; writes are never sent twice. [RFC9110 §15.4] */
function redirectTarget(
  from: URL,
  method: string | undefined,
  { status, headers: { location } }: ReplyHead,
): URL | undefined {
  if (!REDIRECTS.has(status) || typeof location !== 'string') return undefined;
  if (method !== undefined && method !== 'GET' && method !== 'HEAD') return undefined;
  return URL.canParse(location, from.href) ? new URL(location, from) : undefined;
}

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

function refusedRedirect(options: HttpClientOptions, next: URL, status: number): NodeError {
  const why = `sent to ${next.origin}: at most ${options.redirectsMax} redirects, same scheme`;
  return statusError(options.name, status, undefined, `the request (${why})`);
}

const HARMLESS = new Set([
  'accept',
  'accept-encoding',
  'if-modified-since',
  'if-none-match',
  'last-event-id',
  'user-agent',
]);

const withoutSecrets = (headers: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => HARMLESS.has(name.toLowerCase())));

/** Header fields with lower-case names, repeated ones joined. [RFC9110 §5.3] */
function fieldsOf(headers: ReplyHead['headers']): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const name in headers) {
    const value = headers[name];
    if (value !== undefined) fields.set(name, Array.isArray(value) ? value.join(', ') : value);
  }
  return fields;
}

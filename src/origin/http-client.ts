/**
 * The way out to HTTP origins for whole replies, over the origin's pool (`agent.ts`). It follows at
 * most three redirects of reads, each through the same guard, never to another scheme, and without
 * the configured header fields when they lead to another host (those may be secrets).
 */
import type { Agent, Dispatcher } from 'undici';
import type { NodeError } from '../base/errors.ts';
import type { OriginAgent } from './agent.ts';
import { ACCEPTED_CODINGS, decompress } from './decompress.ts';
import type { OpenResponse, SendOptions } from './definition.ts';
import { asOriginError, originError, statusError } from './failures.ts';
import { concludeFailure, endingOfStatus, type Replicas } from './replicas.ts';
import { type OriginResponse, originResponse } from './response.ts';

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
    task: (agent: Agent, target: URL) => Promise<T>,
  ): Promise<T> => {
    if (options.replicas?.isFor(url) !== true) return attempt((agent) => task(agent, url));
    const use = options.replicas.take(url.pathname + url.search);
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
  return {
    request: (url, init) =>
      atReplica(url, init, (agent, target) => requestWhole(agent, target, init, options)),
    open: (url, init) =>
      atReplica(url, init, (agent, target) => requestOpen(agent, target, init, options)),
    probe: async (url, init) => {
      const { status } = await attempt((agent) => requestWhole(agent, url, init, options));
      if (status >= 400) throw statusError(options.name, status, undefined, 'the health check');
    },
    warm: async () => void (await options.agent.load()),
    close: () => options.agent.close(),
  };
}

async function requestOpen(
  agent: Agent,
  url: URL,
  init: SendOptions,
  options: HttpClientOptions,
): Promise<OpenResponse> {
  const reply = await followRedirects(agent, url, init, options, { bodyTimeout: 0 });
  return {
    status: reply.statusCode,
    headers: fieldsOf(reply.headers),
    body: reply.body,
    close: () => void reply.body.on('error', ignore).destroy(),
  };
}

async function requestWhole(
  agent: Agent,
  url: URL,
  init: SendOptions,
  options: HttpClientOptions,
): Promise<OriginResponse> {
  const headers = { 'accept-encoding': ACCEPTED_CODINGS, ...init.headers };
  const reply = await followRedirects(agent, url, { ...init, headers }, options, {});
  const fields = fieldsOf(reply.headers);
  const received = await readWhole(reply.body, options);
  const body = await decompress(options.name, received, fields.get('content-encoding'), {
    bytesMax: options.bodyMax,
    ratioMax: options.decompressionRatioMax,
    ratioFloorBytes: options.decompressionFloorBytes,
  });
  return originResponse(reply.statusCode, fields, body);
}

async function readWhole(
  body: Dispatcher.ResponseData['body'],
  options: HttpClientOptions,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop early destroys the body and with it the connection.
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size > options.bodyMax) throw tooLarge(options);
    chunks.push(chunk);
  }
  options.onBytes(size);
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, size);
}

function tooLarge(options: HttpClientOptions): NodeError {
  const message = `origin ${options.name} sent more than ${options.bodyMax} bytes (bodyMax)`;
  const details = { origin: options.name, limit: options.bodyMax };
  return originError('ORIGIN_BODY_TOO_LARGE', message, { details });
}

type Limits = Pick<Dispatcher.RequestOptions, 'bodyTimeout'>;

async function followRedirects(
  agent: Agent,
  url: URL,
  init: SendOptions,
  options: HttpClientOptions,
  limits: Limits,
): Promise<Dispatcher.ResponseData> {
  let target = url;
  let headers = init.headers ?? {};
  for (let hops = 0; ; hops += 1) {
    const reply = await send(agent, target, { ...init, headers }, limits);
    const next = redirectTarget(target, init.method ?? 'GET', reply);
    if (next === undefined) return reply;
    reply.body.on('error', ignore).destroy();
    if (hops >= options.redirectsMax || next.protocol !== url.protocol) {
      throw refusedRedirect(options, next, reply.statusCode);
    }
    if (next.host !== target.host) headers = withoutSecrets(headers);
    target = next;
  }
}

const ignore = (): void => {};

const send = (
  agent: Agent,
  url: URL,
  init: SendOptions,
  limits: Limits,
): Promise<Dispatcher.ResponseData> =>
  agent.request({
    ...limits,
    origin: url.origin,
    path: `${url.pathname}${url.search}`,
    method: (init.method ?? 'GET') as Dispatcher.HttpMethod,
    headers: { ...init.headers },
    body: init.body ?? null,
    signal: init.signal,
  });

/** Where a reply sends a read; writes are never sent twice. [RFC9110 §15.4] */
function redirectTarget(
  from: URL,
  method: string,
  reply: Dispatcher.ResponseData,
): URL | undefined {
  if (![301, 302, 303, 307, 308].includes(reply.statusCode)) return undefined;
  const location = reply.headers.location;
  if (typeof location !== 'string' || (method !== 'GET' && method !== 'HEAD')) return undefined;
  return URL.canParse(location, from.href) ? new URL(location, from) : undefined;
}

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
function fieldsOf(headers: Dispatcher.ResponseData['headers']): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) fields.set(name, Array.isArray(value) ? value.join(', ') : value);
  }
  return fields;
}

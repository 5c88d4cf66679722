/**
 * Cross-origin reading by browsers (the CORS protocol of the Fetch standard): answers preflights,
 * and puts the permission on every other answer. Off unless origins are configured; then each
 * answer varies by `Origin`, with or without the field, or a cache would mix them up.
 */
import { NodeError } from '../../base/errors.ts';
import type { StopSignal } from '../../base/stop.ts';
import type { BodyWriter, Exchange, HeaderList, HttpHandler, RequestStream } from './port.ts';
import { replyProblem } from './problem.ts';
import { METHODS } from './server-options.ts';

export interface CorsRules {
  /** Exact origins, or `*` for all. */
  readonly origins: readonly string[];
  /** Request fields that pages may send besides the harmless ones. */
  readonly headers: readonly string[];
  /** Fields of the answer that pages may read besides the harmless ones. */
  readonly exposeHeaders: readonly string[];
  /** Whether pages may send credentials; never together with `*`. */
  readonly credentials: boolean;
  /** How long a browser may keep a preflight's answer. */
  readonly maxAgeSeconds: number;
}

const ORIGIN_CHARS_TOLD_MAX = 100;
const PREFLIGHT_VARY = 'origin, access-control-request-method, access-control-request-headers';

/** `handler` itself when nothing is allowed. */
export function withCors(handler: HttpHandler, rules: CorsRules): HttpHandler {
  if (rules.origins.length === 0) return handler;
  const all = rules.origins.includes('*');
  const named = new Set(rules.origins);
  const common = commonFields(rules);
  const permission = (origin: string | undefined): HeaderList => {
    if (all) return ['access-control-allow-origin', '*', ...common];
    if (origin === undefined || !named.has(origin)) return [];
    return ['access-control-allow-origin', origin, ...common];
  };
  return (exchange) => {
    const { request } = exchange;
    const origin = request.header('origin');
    const granted = permission(origin);
    const asked = request.header('access-control-request-method');
    if (request.method === 'OPTIONS' && origin !== undefined && asked !== undefined) {
      if (granted.length === 0) return refuseOrigin(exchange, origin);
      return exchange.reply(204, preflightFields(granted, rules));
    }
    return handler(new SharedExchange(exchange, granted, !all));
  };
}

function commonFields({ credentials, exposeHeaders }: CorsRules): readonly string[] {
  const fields: string[] = [];
  if (credentials) fields.push('access-control-allow-credentials', 'true');
  if (exposeHeaders.length > 0) {
    fields.push('access-control-expose-headers', exposeHeaders.join(', '));
  }
  return fields;
}

/**
 * The browser says no more than that the permission is missing; the answer, which its network
 * panel and the access log show, says where it is given.
 */
function refuseOrigin(exchange: Exchange, origin: string): void {
  const told = JSON.stringify(origin.slice(0, ORIGIN_CHARS_TOLD_MAX));
  const message = `pages of ${told} may not call this node: list it in http.cors.origins`;
  const error = new NodeError('ACCESS_DENIED', message, { blame: 'client' });
  replyProblem(exchange, error, ['vary', PREFLIGHT_VARY]);
}

function preflightFields(granted: HeaderList, rules: CorsRules): HeaderList {
  return [
    ...granted,
    ...['access-control-allow-methods', METHODS],
    ...['access-control-allow-headers', rules.headers.join(', ')],
    ...['access-control-max-age', String(rules.maxAgeSeconds)],
    ...['vary', PREFLIGHT_VARY],
  ];
}

/** An exchange whose answers carry the permission. */
class SharedExchange implements Exchange {
  readonly request: Exchange['request'];
  readonly #inner: Exchange;
  readonly #granted: HeaderList;
  readonly #varies: boolean;

  constructor(inner: Exchange, granted: HeaderList, varies: boolean) {
    this.request = inner.request;
    this.#inner = inner;
    this.#granted = granted;
    this.#varies = varies;
  }

  get aborted(): boolean {
    return this.#inner.aborted;
  }
  get replied(): boolean {
    return this.#inner.replied;
  }
  get signal(): StopSignal {
    return this.#inner.signal;
  }
  onAborted(fn: () => void): void {
    this.#inner.onAborted(fn);
  }
  body(maxBytes: number): Promise<Uint8Array> {
    return this.#inner.body(maxBytes);
  }
  requestStream(maxBytes: number): RequestStream {
    return this.#inner.requestStream(maxBytes);
  }
  interim(status: number, headers: HeaderList): void {
    this.#inner.interim(status, headers);
  }
  limitHit(limit: string): void {
    this.#inner.limitHit(limit);
  }
  denied(what: string): void {
    this.#inner.denied(what);
  }
  reply(status: number, headers: HeaderList, body?: Uint8Array | string): void {
    this.#inner.reply(status, this.#with(headers), body);
  }
  stream(status: number, headers: HeaderList, length?: number): BodyWriter {
    return this.#inner.stream(status, this.#with(headers), length);
  }

  #with(headers: HeaderList): HeaderList {
    const fields = this.#varies ? varyingByOrigin(headers) : [...headers];
    fields.push(...this.#granted);
    return fields;
  }
}

function varyingByOrigin(headers: HeaderList): string[] {
  const fields = [...headers];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    if (fields[i] !== 'vary') continue;
    if (fields[i + 1] !== '*') fields[i + 1] = `${fields[i + 1]}, origin`;
    return fields;
  }
  fields.push('vary', 'origin');
  return fields;
}

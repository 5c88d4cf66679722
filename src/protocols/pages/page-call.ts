/**
 * A request for a page, as the cache sees it. What a hit does not need (the list of all fields, the
 * body, an abort signal) is made when somebody asks for it.
 */
import type { StopSignal } from '../../base/stop.ts';
import { parseRequestDirectives, type RequestDirectives } from '../../cache/directives.ts';
import { type PageTarget, pageTarget, type Scheme } from '../../cache/pages/cache-key.ts';
import { endToEnd, filterFields } from '../../cache/pages/fields.ts';
import type { ClientFacts } from '../../cache/pages/forward.ts';
import type { PageRequest } from '../../cache/pages/page-request.ts';
import type { FieldLines } from '../../cache/pages/ports.ts';
import type { CachePolicy } from '../../cache/policy.ts';
import type { Exchange, HttpRequest } from '../http/port.ts';

export interface CallTerms {
  readonly scheme: Scheme;
  readonly uploadBytesMax: number;
}

/** The client's scheme, when it is not that of the listener: then the key must tell. */
export const foreignScheme = (
  { toldScheme }: Pick<HttpRequest, 'toldScheme'>,
  { scheme }: Pick<CallTerms, 'scheme'>,
): Scheme | undefined => (toldScheme === scheme ? undefined : toldScheme);

export class PageCall implements PageRequest {
  readonly method: string;
  readonly policy: CachePolicy;
  readonly directives: RequestDirectives;
  readonly mayForce: boolean;
  readonly #exchange: Exchange;
  readonly #terms: CallTerms;
  readonly #host: string;
  readonly #query: string;
  readonly #scheme: Scheme | undefined;
  readonly #place: PageTarget;

  /** `query`: what is asked for, where that is not all that came. */
  constructor(
    exchange: Exchange,
    terms: CallTerms,
    policy: CachePolicy,
    query = exchange.request.query,
  ) {
    const { request } = exchange;
    this.#exchange = exchange;
    this.#terms = terms;
    this.policy = policy;
    this.method = request.method;
    // One spelling, as in the key: the origin may repeat it in the page.
    this.#host = (request.header('host') ?? '').toLowerCase();
    this.#query = query;
    const scheme = foreignScheme(request, terms);
    this.#scheme = scheme;
    this.#place = pageTarget(
      { host: this.#host, path: request.path, query, scheme },
      policy,
      this.field,
    );
    this.directives = parseRequestDirectives(
      request.header('cache-control'),
      request.header('pragma'),
    );
    this.mayForce = policy.settings.client.mayForceRevalidation;
  }

  get id(): string {
    return this.#place.id;
  }

  /** What is never stored, or may change something, is passed on as it came. */
  get target(): string {
    const { method, path } = this.#exchange.request;
    const query = this.#query;
    const isRead = method === 'GET' || method === 'HEAD';
    if (isRead && this.policy.settings.store.enabled) return this.#place.target;
    return query === '' ? path : `${path}?${query}`;
  }

  get client(): ClientFacts {
    const { remoteAddress: address, fetchId: requestId } = this.#exchange.request;
    const scheme = this.#scheme ?? this.#terms.scheme;
    return { host: this.#host, scheme, address, requestId };
  }

  readonly field = (name: string): string | undefined => this.#exchange.request.header(name);

  get fields(): FieldLines {
    return [...this.#exchange.request.headers()].flat();
  }

  get signal(): StopSignal {
    return this.#exchange.signal;
  }

  get bodyLength(): number | undefined {
    const told = this.field('content-length');
    return told === undefined ? undefined : Number(told);
  }

  get body(): PageRequest['body'] {
    const hasBody = this.field('transfer-encoding') !== undefined || (this.bodyLength ?? 0) > 0;
    if (!hasBody) return undefined;
    return () => this.#exchange.requestStream(this.#terms.uploadBytesMax);
  }

  get onInterim(): PageRequest['onInterim'] {
    return (status, fields) => {
      const goesOn = endToEnd(fields);
      const kept = filterFields(fields, (name) => goesOn(name) && name !== 'content-length');
      this.#exchange.interim(status, kept);
    };
  }
}

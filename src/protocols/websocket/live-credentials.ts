/**
 * What a socket brought to say whose it is, kept so that each write on it is judged as a request
 * that brings the same; a newer token takes the place of what it began with.
 */
import type { ClientCertificate } from '../../access/asking.ts';
import { IMPERSONATE_FIELD } from '../../access/impersonate.ts';
import { MESSAGE_METHOD } from '../http/internal-exchange.ts';
import type { HttpRequest } from '../http/port.ts';
import { RequestCopy } from '../http/request-copy.ts';
import type { Write } from './live-messages.ts';

/** Fields by which a request is judged. */
const JUDGED = [
  ...['authorization', 'cookie', IMPERSONATE_FIELD],
  ...['host', 'origin', 'sec-fetch-site'],
];
const METHODS: Readonly<Record<Write['verb'], string>> = {
  put: 'PUT',
  patch: 'PATCH',
  post: 'POST',
  delete: 'DELETE',
  publish: MESSAGE_METHOD,
};

export class LiveCredentials {
  readonly #address: string;
  readonly #certificate: ClientCertificate | undefined;
  readonly #fields: readonly string[];
  #authorization: string | undefined;

  constructor(opening: HttpRequest) {
    this.#address = opening.remoteAddress;
    this.#certificate = opening.certificate;
    this.#fields = JUDGED.flatMap((name) => {
      const value = opening.header(name);
      return value === undefined ? [] : [name, value];
    });
  }

  /** The request that a write with a body of so many bytes would be. */
  requestOf({ verb, path, query, fields }: Write, bytes: number): HttpRequest {
    const all = verb === 'delete' ? fields : [...fields, 'content-length', String(bytes)];
    return this.#request({ method: METHODS[verb], path, query, fields: all }, this.#authorization);
  }

  /** The request by which the same would be followed over HTTP. */
  following(path: string, query: string): HttpRequest {
    return this.#request({ method: 'GET', path, query, fields: [] }, this.#authorization);
  }

  /** A request which brings `authorization`, to find out whose it is. */
  asking(authorization: string): HttpRequest {
    return this.#request({ method: 'GET', path: '/', query: '', fields: [] }, authorization);
  }

  /** From now on this is what is brought. */
  renew(authorization: string): void {
    this.#authorization = authorization;
  }

  #request({ method, path, query, fields }: Asked, authorization: string | undefined): HttpRequest {
    const own = this.#fields;
    const kept =
      authorization === undefined
        ? own
        : own.filter((_, i) => !REPLACED.has(own[i - (i % 2)] ?? ''));
    const renewed = authorization === undefined ? [] : ['authorization', authorization];
    const request = new RequestCopy(method, path, query, [...kept, ...renewed, ...fields]);
    request.peer = { peerAddress: this.#address, certificate: this.#certificate };
    return request;
  }
}

type Asked = Pick<RequestCopy, 'method' | 'path' | 'query' | 'fields'>;

/** What a newer `Authorization` takes the place of. */
const REPLACED: ReadonlySet<string> = new Set(['authorization', 'cookie']);

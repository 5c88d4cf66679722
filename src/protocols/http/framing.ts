/**
 * The guard in front of every route, upgrades included: decides whether a request's head is framed
 * in a way that every hop must understand alike. What two parsers could read differently is refused
 * and its connection closed, so that a second request hidden behind it is never executed
 * (request smuggling, RFC 9112 §11.2).
 *
 * Pure: the engine gives the header fields as a flat list (lower-case name, value, name, value …)
 * and what its parser can be trusted with; it gets a refusal, or the framing of the body.
 */
import type { ErrorCode } from '../../base/errors.ts';

export interface FramingRules {
  /**
   * The engine decodes chunked uploads strictly. False for uWS, which skips bytes it should check.
   */
  readonly chunkedUploads: boolean;
  /** `Expect: 100-continue` is answered: by uWS at once, on node when the body is asked for. */
  readonly expectations: boolean;
  readonly headBytesMax: number;
  readonly urlBytesMax: number;
  readonly headerCountMax: number;
  /** Values of `Host` that are served, without ports; all when absent. */
  readonly allowedHosts?: ReadonlySet<string> | undefined;
}

export interface RequestHead {
  readonly method: string;
  readonly urlBytes: number;
  readonly fields: readonly string[];
  /** HTTP/1.0, where `Host` may be absent. */
  readonly hostOptional: boolean;
}

export interface Refusal {
  readonly code: ErrorCode;
  /** Status when it differs from the one of `code`. */
  readonly status?: number | undefined;
  readonly detail: string;
  readonly headers?: readonly string[] | undefined;
  /** The limit that was reached; none when the request is malformed. */
  readonly limit?: string | undefined;
}

/** Body bytes which follow the head; `CHUNKED` when only the last chunk tells. */
export type BodyFraming = number;
export const CHUNKED = -1;

const digits = /^[0-9]{1,15}$/;
/** A name or an IPv4 address; of percent-encodings, those of visible characters. */
const nameSyntax = String.raw`(?:[\w.~!$&'()*+,;=-]|%(?:[2-689A-Fa-f][\dA-Fa-f]|7[\dA-Ea-e]))*`;
const addressSyntax = String.raw`\[[\dA-Za-z:._~%-]+\]`;
/** `host [":" port]`; no user part, no path, no space [RFC3986 §3.2.2]. */
export const hostSyntax = new RegExp(String.raw`^(?:${nameSyntax}|${addressSyntax})(?::\d{0,5})?$`);

/** Returns the body's framing, or why the request is refused. */
export function inspectHead(head: RequestHead, rules: FramingRules): BodyFraming | Refusal {
  const { fields } = head;
  if (head.urlBytes > rules.urlBytesMax) {
    const detail = `the URL exceeds ${rules.urlBytesMax} bytes`;
    return { code: 'URL_TOO_LONG', detail, limit: 'urlBytesMax' };
  }
  if (fields.length > rules.headerCountMax * 2) {
    const detail = `the request has more than ${rules.headerCountMax} header fields`;
    return { code: 'HEADERS_TOO_LARGE', detail, limit: 'headerCountMax' };
  }
  let hosts = 0;
  let lengths = 0;
  let encodings = 0;
  let bytes = head.urlBytes;
  let length = '';
  let encoding = '';
  let host = '';
  let expect = '';
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] as string;
    const value = fields[i + 1] as string;
    bytes += name.length + value.length + 4;
    // By length first: most names end here with one comparison of integers.
    switch (name.length) {
      case 0:
        return malformed('a header field has no name');
      case 4:
        if (name === 'host') {
          hosts += 1;
          host = value;
        }
        break;
      case 6:
        if (name === 'expect') expect = value;
        break;
      case 14:
        if (name === 'content-length') {
          lengths += 1;
          length = value;
        }
        break;
      case 17:
        if (name === 'transfer-encoding') {
          encodings += 1;
          encoding = value;
        }
        break;
      default:
    }
  }
  if (bytes > rules.headBytesMax) {
    const detail = `the request head exceeds ${rules.headBytesMax} bytes`;
    return { code: 'HEADERS_TOO_LARGE', detail, limit: 'headBytesMax' };
  }
  if (hosts > 1 || (hosts === 0 && !head.hostOptional)) {
    return malformed('send exactly one Host field'); // [RFC9112 §3.2]
  }
  if (!hostSyntax.test(host))
    return malformed('the Host field is not a host: send a name or an address, and maybe a port');
  if (rules.allowedHosts?.has(hostName(host)) === false) {
    // A page whose name was bound to this machine would be served as if it were our own.
    const detail = 'this host name is not served here; see http.allowedHosts';
    return { code: 'HOST_REFUSED', detail }; // [RFC9110 §15.5.20]
  }
  if (lengths === 0 && encodings === 0 && expect === '') return 0;
  if (encodings > 0 && head.hostOptional) {
    return malformed('HTTP/1.0 knows no Transfer-Encoding'); // [RFC9112 §6.1]
  }
  return bodyFraming(head.method, { lengths, length, encodings, encoding, expect }, rules);
}

/** `undefined` for none, when every host is served. */
export const hostsOf = (hosts: readonly string[] = []): ReadonlySet<string> | undefined =>
  hosts.length === 0 ? undefined : new Set(hosts.map(hostName));

/** Lower case, without brackets and port. */
export function hostName(host: string): string {
  const lower = host.toLowerCase();
  if (lower.startsWith('[')) return lower.slice(1, Math.max(1, lower.indexOf(']')));
  const colon = lower.lastIndexOf(':');
  return colon === -1 || lower.indexOf(':') !== colon ? lower : lower.slice(0, colon);
}

interface BodyFields {
  readonly lengths: number;
  readonly length: string;
  readonly encodings: number;
  readonly encoding: string;
  readonly expect: string;
}

function bodyFraming(
  method: string,
  fields: BodyFields,
  rules: FramingRules,
): BodyFraming | Refusal {
  if (fields.lengths > 1) return malformed('Content-Length is repeated'); // [RFC9112 §6.3]
  if (fields.lengths === 1 && !digits.test(fields.length)) {
    return malformed('Content-Length is not a number');
  }
  if (fields.lengths > 0 && fields.encodings > 0) {
    return malformed('Content-Length and Transfer-Encoding exclude each other');
  }
  if (method === 'GET' || method === 'HEAD') {
    const empty = fields.encodings === 0 && Number(fields.length) === 0;
    if (!empty) return malformed(`a ${method} request must not have a body`);
  }
  const expected = refusedExpectation(fields.expect, rules);
  if (expected !== undefined) return expected;
  if (fields.encodings === 0) return Number(fields.length);
  if (!rules.chunkedUploads) {
    const detail = 'send a Content-Length: this engine takes no Transfer-Encoding';
    return { code: 'LENGTH_REQUIRED', detail };
  }
  if (fields.encodings === 1 && fields.encoding.toLowerCase() === 'chunked') return CHUNKED;
  const detail = 'the only supported Transfer-Encoding is chunked';
  return { code: 'REQUEST_MALFORMED', status: 501, detail }; // [RFC9112 §6.1]
}

function refusedExpectation(expect: string, rules: FramingRules): Refusal | undefined {
  if (expect === '') return undefined;
  if (rules.expectations && expect.toLowerCase() === '100-continue') return undefined;
  const detail = 'no expectation can be met; send the request without Expect';
  return { code: 'REQUEST_MALFORMED', status: 417, detail }; // [RFC9110 §10.1.1]
}

function malformed(detail: string): Refusal {
  return { code: 'REQUEST_MALFORMED', detail };
}

/**
 * Keeps response headers from being split. Neither uWS build checks what it writes, so both adapters
 * pass every field through here. A bad field is a mistake of our own code, or foreign text that should
 * have been checked at the edge: it fails that request with an assertion and sends nothing.
 */
import { AssertionFailure } from '../../base/assert.ts';

const unsafeInValue = /[\0\r\n]/;
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Written by the adapters themselves; a second line of these would change the framing. */
const reserved = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
]);

const PASSED_NAMES_MAX = 512;

/** Names which passed once. Field names come from a small set, so their check costs one look-up. */
const passedNames = new Set<string>();

/** Throws `AssertionFailure` for a field that would break the message. */
export function checkHeader(name: string, value: string): void {
  if (!passedNames.has(name)) checkName(name);
  if (unsafeInValue.test(value)) {
    throw new AssertionFailure(`header ${name} must not hold CR, LF or NUL`);
  }
}

/** Throws `AssertionFailure` unless each field of the flat list is safe to write. */
export function checkHeaders(headers: readonly string[]): void {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    checkHeader(headers[i] as string, headers[i + 1] as string);
  }
}

function checkName(name: string): void {
  if (!token.test(name)) throw new AssertionFailure('a header name must be a token');
  if (reserved.has(name.toLowerCase())) {
    throw new AssertionFailure(`header ${name} is written by the HTTP engine only`);
  }
  if (passedNames.size < PASSED_NAMES_MAX) passedNames.add(name);
}

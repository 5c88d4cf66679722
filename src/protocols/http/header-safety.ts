/**
 * Keeps response headers from being split. Neither uWS build checks what it writes, so both
 * adapters pass every field through here. A bad field is a mistake of our own code, or foreign text
 * that should have been checked at the edge: it fails that request with an assertion and sends
 * nothing.
 */
import { AssertionFailure } from '../../base/assert.ts';

/** Nearly every value has none of these, so one test decides for most. */
const unusual = /[^\t\x20-\x7e]/;
const unsafe = /[^\t\x20-\x7e\x80-\xff]/;
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
const PASSED_VALUE_LENGTH_MAX = 256;

/**
 * Names which passed once, each with the value that passed last. Field names come from a small set,
 * so their check costs one look-up; most values are those of the answer before.
 */
const passedNames = new Map<string, { value: string }>();

/**
 * Throws `AssertionFailure` unless each field of the flat list is safe to write. Returns whether
 * some value holds bytes beyond ASCII, which an engine that writes UTF-8 must be given as bytes.
 */
export function checkHeaders(headers: readonly string[]): boolean {
  let beyondAscii = false;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] as string;
    const value = headers[i + 1] as string;
    const passed = passedNames.get(name);
    if (passed?.value === value) continue;
    if (passed === undefined) checkName(name);
    if (unusual.test(value)) {
      checkValue(name, value);
      beyondAscii = true;
    } else if (passed !== undefined && value.length <= PASSED_VALUE_LENGTH_MAX) {
      passed.value = value;
    }
  }
  return beyondAscii;
}

/** The characters of RFC 9110 §5.5, one byte each on the wire. */
function checkValue(name: string, value: string): void {
  if (!unsafe.test(value)) return;
  throw new AssertionFailure(`header ${name} must not hold line ends or other control characters`);
}

function checkName(name: string): void {
  if (!token.test(name)) throw new AssertionFailure('a header name must be a token');
  if (reserved.has(name.toLowerCase())) {
    throw new AssertionFailure(`header ${name} is written by the HTTP engine only`);
  }
  if (passedNames.size < PASSED_NAMES_MAX) passedNames.set(name, { value: '' });
}

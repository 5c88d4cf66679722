/**
 * Prints what the caches did as the `Cache-Status` field (RFC 9211). A fresh hit, the hot path,
 * costs one concatenation. Tokens and integers are written bare; only `detail` can need quoting.
 */
import type { CacheStatus } from '../../cache/read-request.ts';

const token = /^[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*$/;
const unprintable = /[^\x20-\x7e]/g;
const escaped = /["\\]/g;

/** The field's value, such as `millrace; hit; ttl=12`. */
export function formatCacheStatus(status: CacheStatus): string {
  if (status.hit && status.detail === undefined && status.ttl !== undefined) {
    return `millrace; hit; ttl=${status.ttl}`;
  }
  // `hit` and `fwd` exclude each other [RFC9211 §2.2].
  let text = status.hit ? 'millrace; hit' : 'millrace';
  if (!status.hit && status.fwd !== undefined) text += `; fwd=${status.fwd}`;
  if (!status.hit && status.fwdStatus !== undefined) text += `; fwd-status=${status.fwdStatus}`;
  if (status.ttl !== undefined) text += `; ttl=${status.ttl}`;
  if (status.stored === true) text += '; stored';
  if (status.collapsed === true) text += '; collapsed';
  if (status.detail !== undefined) text += `; detail=${bareItem(status.detail)}`;
  return text;
}

/** A token where the text is one, else a quoted string of printable ASCII [RFC8941 §3.3.3]. */
function bareItem(text: string): string {
  if (token.test(text)) return text;
  return `"${text.replace(unprintable, '?').replace(escaped, '\\$&')}"`;
}

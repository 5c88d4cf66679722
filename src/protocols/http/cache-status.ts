/**
 * Prints what the caches did as the `Cache-Status` field (RFC 9211). A fresh hit, the hot path,
 * costs one look-up. Tokens and integers are written bare; only `detail` can need quoting.
 */
import type { CacheStatus } from '../../cache/read-request.ts';

const token = /^[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*$/;
const unprintable = /[^\x20-\x7e]/g;
const escaped = /["\\]/g;

const MEMO_SLOTS = 4096;
/** Texts of fresh hits by the seconds left, in slots. */
const memoTtls = new Float64Array(MEMO_SLOTS).fill(-1);
const memoTexts: string[] = new Array(MEMO_SLOTS).fill('');

/** The field's value, such as `millrace; hit; ttl=12`. */
export function formatCacheStatus(status: CacheStatus): string {
  if (status.hit && status.detail === undefined && status.ttl !== undefined) {
    return freshHit(status.ttl);
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

/** Many entries have few lifetimes left between them: a text is made once, and is flat. */
function freshHit(ttl: number): string {
  const slot = ttl & (MEMO_SLOTS - 1);
  if (memoTtls[slot] === ttl) return memoTexts[slot] as string;
  const text = `millrace; hit; ttl=${ttl}`;
  memoTtls[slot] = ttl;
  memoTexts[slot] = text;
  return text;
}

/** A token where the text is one, else a quoted string of printable ASCII [RFC8941 §3.3.3]. */
function bareItem(text: string): string {
  if (token.test(text)) return text;
  return `"${text.replace(unprintable, '?').replace(escaped, '\\$&')}"`;
}

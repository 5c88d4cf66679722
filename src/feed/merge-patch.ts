/**
 * The change from one JSON value to another as a merge patch [RFC 7396], for subscribers who hold
 * the former. Not every change can be said so: a member that becomes `null` would be read as its
 * removal, and what is no object is replaced as a whole. Those, and patches that are no shorter
 * than the value, are left to be sent as the value itself.
 */

type Json = { readonly [name: string]: unknown };

/** JSON of the patch; `undefined` when the whole value is to be sent. */
export function mergePatchOf(before: string, after: string): string | undefined {
  // Two such numbers may be one to this parser.
  if (LONG_INTEGER.test(before) || LONG_INTEGER.test(after)) return undefined;
  // A client that merges with care for nothing would take this for what objects inherit.
  if (before.includes('__proto__') || after.includes('__proto__')) return undefined;
  const patch = difference(parsed(before), parsed(after));
  if (patch === undefined) return undefined;
  const text = JSON.stringify(patch);
  return text.length < after.length ? text : undefined;
}

const LONG_INTEGER = /(?<![.\d])\d{16,}/;

/** Says that nothing is different. */
export const EMPTY_PATCH = '{}';

/** `undefined` when no patch says it. */
function difference(before: unknown, after: unknown): Json | undefined {
  if (!isObject(before) || !isObject(after)) return undefined;
  const patch: Record<string, unknown> = {};
  for (const name of Object.keys(before)) if (!Object.hasOwn(after, name)) patch[name] = null;
  for (const [name, value] of Object.entries(after)) {
    const former = Object.hasOwn(before, name) ? before[name] : undefined;
    if (isSame(former, value)) continue;
    const nested = difference(former, value);
    if (nested === undefined && !isSayable(value)) return undefined;
    patch[name] = nested ?? value;
  }
  return patch;
}

/** Whether a patch that holds the value puts just that where there was no object. */
function isSayable(value: unknown): boolean {
  if (value === null) return false;
  return isObject(value) ? Object.values(value).every(isSayable) : true;
}

function isSame(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (typeof one !== 'object' || typeof other !== 'object') return false;
  return one !== null && other !== null && JSON.stringify(one) === JSON.stringify(other);
}

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

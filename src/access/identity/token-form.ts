/**
 * Looks at a token without believing it: who is said to have issued it, and whether it is of a form
 * that is worth verifying. Everything that is refused here costs microseconds: tokens that are too
 * long, that bring or point to a key of their own, that name a key like a path, that say a claim
 * twice, or that want no signature at all [RFC8725 §3.1, §3.5].
 */
import { LIMITS } from '../../config/limits.ts';

export interface TokenForm {
  readonly algorithm: string;
  readonly keyId: string | undefined;
  readonly issuer: string | undefined;
}

const PART = /^[\w-]+$/;
const KEY_ID = /^[\w.=-]{1,128}$/;
/** Header fields by which a token would bring its own key, or ask for what nobody here knows. */
const REFUSED_FIELDS = ['jku', 'jwk', 'x5u', 'x5c', 'crit', 'b64', 'enc', 'zip'];

/** `undefined` for what cannot be a token that anybody here has issued. */
export function tokenForm(token: string): TokenForm | undefined {
  if (token.length > LIMITS.tokenCharsMax) return undefined;
  const parts = token.split('.');
  const [head = '', body = '', signature = ''] = parts;
  if (parts.length !== 3 || ![head, body, signature].every((part) => PART.test(part))) {
    return undefined;
  }
  const header = decoded(head);
  const payload = decoded(body);
  if (header === undefined || payload === undefined) return undefined;
  if (REFUSED_FIELDS.some((name) => Object.hasOwn(header, name))) return undefined;
  const { alg, kid } = header;
  if (typeof alg !== 'string' || /^none$/i.test(alg) || alg.startsWith('HS')) return undefined;
  if (kid !== undefined && !(typeof kid === 'string' && KEY_ID.test(kid))) return undefined;
  const { iss } = payload;
  return { algorithm: alg, keyId: kid, issuer: typeof iss === 'string' ? iss : undefined };
}

function decoded(part: string): Record<string, unknown> | undefined {
  const text = Buffer.from(part, 'base64url').toString('utf8');
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject && !saysTwice(text) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

const STRING_OR_MARK = /"(?:[^"\\]|\\.)*"|[{}[\]:,]/g;

/** Whether an object of a well-formed JSON text has two members of one name [RFC7519 §4]. */
function saysTwice(text: string): boolean {
  const open: (Set<string> | undefined)[] = [];
  let last = '';
  for (const [mark] of text.matchAll(STRING_OR_MARK)) {
    if (mark === '{') open.push(new Set());
    else if (mark === '[') open.push(undefined);
    else if (mark === '}' || mark === ']') open.pop();
    else if (mark === ':') {
      const names = open.at(-1);
      const name = JSON.parse(last) as string;
      if (names?.has(name) === true) return true;
      names?.add(name);
    }
    last = mark;
  }
  return false;
}

/** The `jti` of a token of good form, believed by nobody: it only names what is to be revoked. */
export function tokenId(token: string): string | undefined {
  const jti = decoded(token.split('.')[1] ?? '')?.jti;
  return typeof jti === 'string' && jti.length <= LIMITS.nameCharsMax ? jti : undefined;
}

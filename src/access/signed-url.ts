/**
 * URLs that carry their own permission: whoever has one reads what it names, until it ends. Three
 * parameters stand at the end of the query, the last of which is an HMAC over host, path, the rest
 * of the query, the end and the name of the key:
 *
 *   https://www.example.com/films/1.mp4?q=hd&mr-expires=1767225600&mr-key=k1&mr-signature=…
 *
 * Whatever signs shares a secret with the node, so that an application can do it too. What is asked
 * for is the rest: the parameters are neither in the cache key nor told to the origin.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

export interface UrlKey {
  readonly name: string;
  readonly secret: string;
}

/** What a signature is for; path and query as they stand in a request, without `?`. */
export interface SignedTarget {
  readonly host: string;
  readonly path: string;
  readonly query: string;
}

export type UrlVerdict =
  /** `query` is what is asked for. */
  | { readonly kind: 'good'; readonly query: string }
  | { readonly kind: 'unsigned' | 'wrong' | 'ended' };

const SIGNED = /(?:^|&)mr-expires=(\d{1,11})&mr-key=([\w.-]{1,64})&mr-signature=([\w-]{43})$/;

export class SignedUrls {
  #keys: ReadonlyMap<string, string> = new Map();

  constructor(keys: readonly UrlKey[]) {
    this.use(keys);
  }

  /** What other keys have signed is good no more. */
  use(keys: readonly UrlKey[]): void {
    this.#keys = new Map(keys.map(({ name, secret }) => [name, secret]));
  }

  verify({ host, path, query }: SignedTarget, nowMs: number): UrlVerdict {
    const found = SIGNED.exec(query);
    if (found === null) return { kind: 'unsigned' };
    const [whole, expires = '', name = '', given = ''] = found;
    const secret = this.#keys.get(name);
    if (secret === undefined) return { kind: 'wrong' };
    const rest = query.slice(0, query.length - whole.length);
    const wanted = hmac({ host, path, query: rest }, { name, secret }, expires);
    // 43 characters are 32 bytes, so both are as long.
    if (!timingSafeEqual(wanted, Buffer.from(given, 'base64url'))) return { kind: 'wrong' };
    if (Number(expires) * 1000 <= nowMs) return { kind: 'ended' };
    return { kind: 'good', query: rest };
  }
}

/** The query of a signed URL, without `?`. */
export function signedQuery(target: SignedTarget, key: UrlKey, expiresAtSeconds: number): string {
  const expires = String(expiresAtSeconds);
  const signature = hmac(target, key, expires).toString('base64url');
  const own = `mr-expires=${expires}&mr-key=${key.name}&mr-signature=${signature}`;
  return target.query === '' ? own : `${target.query}&${own}`;
}

/** None of the pieces can hold a line break: a request has none. */
function hmac({ host, path, query }: SignedTarget, { name, secret }: UrlKey, expires: string) {
  const text = ['v1', host.toLowerCase(), path, query, expires, name].join('\n');
  return createHmac('sha256', secret).update(text).digest();
}

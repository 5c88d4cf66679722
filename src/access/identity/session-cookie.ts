/**
 * The cookie of a browser that has signed in, and the protection of what it may set off. The cookie
 * is sent to this host only, over a trustworthy connection only, never to scripts, and never with a
 * request that another site has caused. Unsafe requests must say besides that they come from here,
 * and that they carry JSON, which no form can send [Fetch §3.2, RFC6265bis §5.5].
 */
import type { Asking } from '../asking.ts';

/** The prefix makes browsers insist on `Secure`, `Path=/` and no `Domain`. */
export const SESSION_COOKIE = '__Host-millrace';
const VALUE = /^[\w-]{43}$/;

/** The value of the session cookie; `undefined` when there is none that could be one. */
export function sessionOf(cookies: string | undefined): string | undefined {
  if (cookies === undefined || !cookies.includes(SESSION_COOKIE)) return undefined;
  for (const pair of cookies.split(';')) {
    const at = pair.indexOf('=');
    if (at < 0 || pair.slice(0, at).trim() !== SESSION_COOKIE) continue;
    const value = pair.slice(at + 1).trim();
    return VALUE.test(value) ? value : undefined;
  }
  return undefined;
}

const ATTRIBUTES = 'Path=/; HttpOnly; Secure; SameSite=Strict';

export const setCookie = (value: string, seconds: number): string =>
  `${SESSION_COOKIE}=${value}; ${ATTRIBUTES}; Max-Age=${seconds}`;

export const clearCookie = (): string => `${SESSION_COOKIE}=; ${ATTRIBUTES}; Max-Age=0`;

const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'CONNECT']);
const BODIES: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

/** Why a request with a cookie is not taken; `undefined` when it comes from our own pages. */
export function crossSiteProblem(asking: Asking): string | undefined {
  if (SAFE.has(asking.method)) return undefined;
  const site = asking.header('sec-fetch-site');
  if (site !== undefined && site !== 'same-origin' && site !== 'none') {
    return `a page of another origin caused this request (Sec-Fetch-Site: ${site})`;
  }
  if (site === undefined && !isOwn(asking.header('origin'), asking.header('host'))) {
    return 'a request with a session cookie must name its own origin (Origin, Sec-Fetch-Site)';
  }
  const type = asking.header('content-type')?.toLowerCase() ?? '';
  const isPlain = /^(text\/plain|multipart\/|application\/x-www-form-urlencoded)/.test(type);
  if (BODIES.has(asking.method) && (type === '' || isPlain)) {
    return 'a request with a session cookie must be of a type that no form can send, such as JSON';
  }
  return undefined;
}

function isOwn(origin: string | undefined, host: string | undefined): boolean {
  if (origin === undefined || host === undefined || !URL.canParse(origin)) return false;
  return new URL(origin).host === host.toLowerCase();
}

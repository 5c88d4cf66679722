/**
 * Which scheme the client speaks when a proxy ends TLS in front: what trusted proxies say of it in
 * `X-Forwarded-Proto`, else in `Forwarded` [RFC7239 §5.4]. Read from the right, past as many hops
 * as are trusted, as the client's address is: what stands left of the last of them was written by
 * somebody nobody vouches for. A proxy in the middle that overwrites the field leaves one word; it
 * is then its word. What is neither http nor https (ws and wss are written by some) tells nothing.
 */
import { isIP } from 'node:net';
import { bareAddress, HOPS_MAX, hopsFromRight, type ProxyTrust } from './client-address.ts';
import { unmapped } from './remote-address.ts';

interface Asked {
  header(name: string): string | undefined;
}

type ToldScheme = 'http' | 'https';

const SCHEMES: ReadonlyMap<string, ToldScheme> = new Map([
  ['http', 'http'],
  ['https', 'https'],
  ['ws', 'http'],
  ['wss', 'https'],
]);

/** `undefined` when `peer` is nobody's proxy, or says nothing. */
export function toldSchemeOf(
  request: Asked,
  peer: () => string,
  trust: ProxyTrust,
): ToldScheme | undefined {
  const word = request.header('x-forwarded-proto');
  const forwarded = word === undefined ? request.header('forwarded') : undefined;
  if ((word ?? forwarded) === undefined || !trust.trusts(peer())) return undefined;
  if (word === undefined) return ofForwarded(forwarded ?? '', trust);
  const words = hopsFromRight(word);
  const depth = trustedHops(request.header('x-forwarded-for'), trust);
  return SCHEMES.get((words[Math.min(depth, words.length - 1)] ?? '').toLowerCase());
}

/** How many proxies stand between the client and the nearest one, as far as they are known. */
function trustedHops(forwardedFor: string | undefined, trust: ProxyTrust): number {
  if (forwardedFor === undefined) return 0;
  const hops = hopsFromRight(forwardedFor).map(bareAddress);
  const client = hops.findIndex((hop) => isIP(hop) === 0 || !trust.trusts(unmapped(hop)));
  // All of them are proxies: the outermost spoke of whoever came to it.
  return client < 0 ? Math.max(0, hops.length - 1) : client;
}

function ofForwarded(field: string, trust: ProxyTrust): ToldScheme | undefined {
  let told: string | undefined;
  for (const element of elementsFromRight(field)) {
    told = element.get('proto');
    const address = bareAddress(element.get('for') ?? '');
    if (isIP(address) === 0 || !trust.trusts(unmapped(address))) break;
  }
  return SCHEMES.get((told ?? '').toLowerCase());
}

const PAIR = /\s*([!#$%&'*+.^_`|~\w-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s",;]*))\s*(;|,|$)/y;

/**
 * `for=192.0.2.1;proto=https, for="[2001:db8::1]"` [RFC7239 §4]. Nothing of a field that is not
 * well formed: an open quote of a client would swallow what the proxies wrote behind it.
 */
function elementsFromRight(field: string): ReadonlyMap<string, string>[] {
  const elements: Map<string, string>[] = [];
  let element = new Map<string, string>();
  PAIR.lastIndex = 0;
  while (PAIR.lastIndex < field.length) {
    const pair = PAIR.exec(field);
    if (pair === null) return [];
    const [, name = '', quoted, token, end] = pair;
    element.set(name.toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? token ?? '');
    if (end === ';') continue;
    elements.push(element);
    element = new Map();
  }
  return elements.reverse().slice(0, HOPS_MAX);
}

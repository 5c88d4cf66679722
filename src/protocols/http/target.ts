/**
 * What stands between method and version of a request line [RFC9112 §3.2]: a path, or a whole URL,
 * as a proxy is asked. The host of that URL is the one that is asked for, whatever `Host` says:
 * it takes the place of the field here, before anything looks at it, so that lists of hosts, keys
 * of pages and purges know only one. `*`, of OPTIONS, is a path to those who see requests.
 *
 * Pure. What is neither is left as it is, to be refused: no such path begins with a slash.
 */
import { hostSyntax } from './framing.ts';

export interface Target {
  readonly path: string;
  readonly query: string;
  /** Those of the URL, of one that is whole. */
  readonly authority?: string | undefined;
  readonly scheme?: 'http' | 'https' | undefined;
}

/** `http://host:port` and what follows it: a path, a query, or nothing; never a fragment. */
const wholeUrl = /^(https?):\/\/([^/?#]+)([/?][^#]*)?$/i;

export function parseTarget(method: string, text: string): Target {
  if (text.startsWith('/')) return split(text);
  const [, scheme = '', authority = '', rest = ''] = wholeUrl.exec(text) ?? [];
  // An http URL without a host is none [RFC9110 §4.2.1].
  if (!hostSyntax.test(authority) || authority === '' || authority.startsWith(':')) {
    return { path: text, query: '' };
  }
  const known = scheme.toLowerCase() === 'https' ? 'https' : 'http';
  // That is how the server itself is meant through a proxy [RFC9112 §3.2.4].
  const path = rest === '' && method === 'OPTIONS' ? '*' : rest;
  return {
    ...split(path.startsWith('/') || path === '*' ? path : `/${path}`),
    ...{ authority, scheme: known },
  };
}

/** A path, or `*` where OPTIONS asks about the server itself [RFC9110 §9.3.7]. */
export const isServed = (method: string, path: string): boolean =>
  path.startsWith('/') || (path === '*' && method === 'OPTIONS');

/**
 * The fields with the host that is asked for [RFC9112 §3.2.2]. A `Host` that is repeated, no host,
 * or missing where it must not be stays so, and is refused.
 */
export function withAuthority(
  fields: readonly string[],
  authority: string,
  hostOptional: boolean,
): readonly string[] {
  const at = fields.findIndex((text, i) => i % 2 === 0 && text === 'host');
  if (at < 0) return hostOptional ? ['host', authority, ...fields] : fields;
  const isSound = hostSyntax.test(fields[at + 1] ?? '');
  return isSound ? fields.with(at + 1, authority) : fields;
}

function split(text: string): Target {
  const mark = text.indexOf('?');
  if (mark < 0) return { path: text, query: '' };
  return { path: text.slice(0, mark), query: text.slice(mark + 1) };
}

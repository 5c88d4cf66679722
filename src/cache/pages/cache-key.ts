/**
 * The key of a page: host, path, the query without what the policy ignores, and the header fields
 * and cookies that the policy names. What is left out of the key is left out of what the origin is
 * asked, so that no client can smuggle it into another's page. Pure.
 */
import type { PolicySettings } from '../policy.ts';
import type { FieldLookup } from './vary.ts';

type KeySettings = PolicySettings['key'];

export interface PageTarget {
  /** What the origin is asked for. */
  readonly target: string;
  /** Where the page is stored: begins with the host and the target. */
  readonly id: string;
}

export function pageTarget(
  url: { readonly host: string; readonly path: string; readonly query: string },
  settings: KeySettings,
  field: FieldLookup,
): PageTarget {
  const query = url.query === '' ? '' : normalisedQuery(url.query, settings.query);
  const target = query === '' ? url.path : `${url.path}?${query}`;
  const base = url.host.toLowerCase() + target;
  const { headers, cookies } = settings;
  if (headers.length === 0 && cookies.length === 0) return { target, id: base };
  return { target, id: base + keyedFields(settings, field) };
}

function keyedFields({ headers, cookies }: KeySettings, field: FieldLookup): string {
  const lines = headers.map((name) => `\n${name}=${field(name) ?? ''}`);
  const cookie = cookies.length === 0 ? undefined : listedCookies(field('cookie'), cookies);
  return lines.join('') + (cookie === undefined ? '' : `\ncookie=${cookie}`);
}

/** The named cookies of a request, in the order of the policy. */
export function listedCookies(
  header: string | undefined,
  names: readonly string[],
): string | undefined {
  if (header === undefined) return undefined;
  const pairs = header.split(';').map((pair) => pair.trim());
  const found = names.flatMap((name) => pairs.filter((pair) => pair.startsWith(`${name}=`)));
  return found.length === 0 ? undefined : found.join('; ');
}

function normalisedQuery(query: string, settings: KeySettings['query']): string {
  const parts = query.split('&').filter((part) => !isIgnored(nameOf(part), settings.ignore));
  // A stable sort: several values of one name keep their order.
  if (settings.sort) parts.sort((left, right) => compare(nameOf(left), nameOf(right)));
  return parts.join('&');
}

const compare = (left: string, right: string): number => (left < right ? -1 : left > right ? 1 : 0);

function nameOf(part: string): string {
  const equals = part.indexOf('=');
  return equals < 0 ? part : part.slice(0, equals);
}

const isIgnored = (name: string, patterns: readonly string[]): boolean =>
  patterns.some((pattern) =>
    pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern,
  );

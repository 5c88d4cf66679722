/**
 * The key of a page: host, path, the query without what the policy ignores, the header fields and
 * cookies that the policy names, and the scheme where a proxy in front tells of another than the
 * node speaks. What is left out of the key is left out of what the origin is asked, so that no
 * client can smuggle it into another's page. Pure.
 */
import type { CachePolicy, PolicySettings } from '../policy.ts';
import type { FieldLookup } from './vary.ts';

type KeySettings = PolicySettings['key'];

/** What of a policy says how pages are keyed. */
interface Keying {
  readonly settings: { readonly key: KeySettings };
  readonly hooks: CachePolicy['hooks'];
}

export type Scheme = 'http' | 'https';

/** Schemes that may be in the key of a page. */
export type ToldSchemes = readonly Scheme[];

/** Of none where nobody may tell of one; else of both, since nodes of a cluster may differ. */
export const toldSchemes = (trustedProxies: readonly string[]): ToldSchemes =>
  trustedProxies.length === 0 ? [] : ['http', 'https'];

export interface PageUrl {
  readonly host: string;
  readonly path: string;
  readonly query: string;
  /** What the client speaks, when it is another than the node's own. */
  readonly scheme?: Scheme | undefined;
}

export interface PageTarget {
  /** What the origin is asked for. */
  readonly target: string;
  /** Where the page is stored: begins with the host and the target. */
  readonly id: string;
}

/** Where a page is looked for, and what its origin is asked for. */
export function pageTarget(url: PageUrl, policy: Keying, field: FieldLookup): PageTarget {
  const { settings, hooks } = policy;
  const place = unhookedTarget(url, settings.key, field);
  const { scheme } = url;
  if (hooks.cacheKey === undefined && scheme === undefined) return place;
  const id = hooks.cacheKey === undefined ? place.id : hooks.cacheKey(place.id);
  return { target: place.target, id: scheme === undefined ? id : withScheme(id, scheme) };
}

export interface UrlKeys {
  /** The key of the URL itself, as it is told to whoever purges it. */
  readonly id: string;
  readonly ids: readonly string[];
  /** Pages whose keys begin so belong to the URL as well. */
  readonly prefixes: readonly string[];
}

/** Every key under which a URL may be stored, for whatever fields and scheme of a request. */
export function keysOfUrl(
  url: PageUrl,
  policy: Keying,
  schemes: ToldSchemes,
  field: FieldLookup = () => undefined,
): UrlKeys {
  const { key } = policy.settings;
  const hook = policy.hooks.cacheKey;
  if (hook !== undefined) {
    // What it makes of a key only itself knows: it is given that of this very request.
    const id = hook(unhookedTarget(url, key, field).id);
    return { id, ids: inSchemes(id, schemes), prefixes: [] };
  }
  const { id } = unhookedTarget(url, { ...key, headers: [], cookies: [] }, field);
  const isKeyed = key.headers.length > 0 || key.cookies.length > 0;
  if (isKeyed) return { id, ids: [id], prefixes: [`${id}\n`] };
  return { id, ids: inSchemes(id, schemes), prefixes: [] };
}

const inSchemes = (id: string, schemes: ToldSchemes): readonly string[] => [
  id,
  ...schemes.map((scheme) => withScheme(id, scheme)),
];

/** No name of a field begins with a colon, so that none can pass for it. */
const withScheme = (id: string, scheme: Scheme): string => `${id}\n:scheme=${scheme}`;

function unhookedTarget(url: PageUrl, settings: KeySettings, field: FieldLookup): PageTarget {
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

/** Whether a request has cookies beside the named ones. */
export const hasOtherCookies = (header: string, names: readonly string[]): boolean =>
  header
    .split(';')
    .map((pair) => pair.trim())
    .some((pair) => pair !== '' && !names.some((name) => pair.startsWith(`${name}=`)));

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

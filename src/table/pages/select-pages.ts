/**
 * Which page table a URL belongs to: one for its host before one for all hosts, then the longest
 * path. The same for requests, operations and subscriptions.
 */
import { pageTarget } from '../../cache/pages/cache-key.ts';
import { policyByPath } from '../../cache/pages/page-rules.ts';
import type { CachePolicy } from '../../cache/policy.ts';
import type { TableDefinition } from '../../schema/definition.ts';

interface Declared {
  readonly definition: Pick<TableDefinition, 'pages'>;
}

export function selectPages<T extends Declared>(
  tables: readonly T[],
  host: string | undefined,
  path: string,
): T | undefined {
  return tables
    .filter(({ definition: { pages } }) => {
      return pages !== undefined && takesPath(pages.path, path) && takesHost(pages.host, host);
    })
    .sort((left, right) => pagesRank(right.definition) - pagesRank(left.definition))[0];
}

export const takesPath = (pattern: string, path: string): boolean =>
  pattern.endsWith('*') ? path.startsWith(pattern.slice(0, -1)) : path === pattern;

/** The port of `Host` counts only when the table names one. */
export function takesHost(declared: string | undefined, told: string | undefined): boolean {
  if (declared === undefined) return true;
  const host = told?.toLowerCase();
  return host === declared || host?.replace(/:\d+$/, '') === declared;
}

function pagesRank({ pages }: Pick<TableDefinition, 'pages'>): number {
  const path = pages?.path ?? '';
  return (pages?.host === undefined ? 0 : 100_000) + path.length * 2 + (path.endsWith('*') ? 0 : 1);
}

export interface PageKey {
  readonly id: string;
  /** Fields or cookies of the request are in the key: the page has one entry for each value. */
  readonly isKeyed: boolean;
}

/** Under which key the page at a URL is stored, without fields of a request. */
export function pageKeyOf(policy: CachePolicy, url: URL): PageKey {
  const { settings, hooks } = policyByPath(policy)(url.pathname);
  const { headers, cookies } = settings.key;
  const place = { host: url.host, path: url.pathname, query: url.search.slice(1) };
  const unkeyed = { ...settings.key, headers: [], cookies: [] };
  const { id } = pageTarget(place, unkeyed, () => undefined);
  if (hooks.cacheKey !== undefined) return { id: hooks.cacheKey(id), isKeyed: false };
  return { id, isKeyed: headers.length > 0 || cookies.length > 0 };
}

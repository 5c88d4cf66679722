/** The page table and the key of a URL, for operations: as a request for it would find them. */
import { pageTarget } from '../../cache/pages/cache-key.ts';
import { policyByPath } from '../../cache/pages/page-rules.ts';
import type { CachePolicy } from '../../cache/policy.ts';
import type { TableDefinition } from '../../schema/definition.ts';
import { pageRoutes } from './page-routes.ts';

interface Declared {
  readonly definition: Pick<TableDefinition, 'pages'>;
}

export function selectPages<T extends Declared>(
  tables: readonly T[],
  host: string | undefined,
  path: string,
): T | undefined {
  const places = tables.flatMap((table) => {
    const { pages } = table.definition;
    return pages === undefined ? [] : [{ path: pages.path, host: pages.host, table }];
  });
  return pageRoutes(places)({ path, header: () => host })?.table;
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

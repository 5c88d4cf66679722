/** The page table and the key of a URL, for operations: as a request for it would find them. */
import { keysOfUrl, type ToldSchemes, type UrlKeys } from '../../cache/pages/cache-key.ts';
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

/** Under which keys the page at a URL is stored, whatever the fields of a request. */
export function pageKeysOf(policy: CachePolicy, url: URL, schemes: ToldSchemes): UrlKeys {
  const place = { host: url.host, path: url.pathname, query: url.search.slice(1) };
  return keysOfUrl(place, policyByPath(policy)(url.pathname), schemes);
}

/** The page which a `url` argument names: its table, and the key it is stored under. */
import { pageTarget } from '../cache/pages/cache-key.ts';
import { policyByPath } from '../cache/pages/page-rules.ts';
import { selectPages } from '../table/pages/select-pages.ts';
import type { Table } from '../table/table.ts';
import { type Arguments, type OperationContext, usage } from './operation.ts';

export interface NamedPage {
  readonly table: Table;
  readonly id: string;
  /** Fields or cookies of the request are in the key: the page has one entry for each value. */
  readonly isKeyed: boolean;
}

/** With a `table` that one, else the page table that serves the URL. Throws `USAGE`. */
export function pagesAt(args: Arguments, { tables }: OperationContext): NamedPage {
  const { url: written, table: named } = args;
  const url = typeof written === 'string' ? parsed(written) : undefined;
  if (url === undefined) throw usage('url: a URL with its host, such as https://www.example.com/a');
  const among = tables
    .all()
    .filter(({ definition }) => named === undefined || named === definition.typeName);
  const table = selectPages(among, url.host, url.pathname);
  if (table === undefined) throw usage(`url: no page table serves ${url.host}${url.pathname}`);
  return { table, ...pageKeyOf(table, url) };
}

/** Without a scheme as well: the key has none. */
function parsed(written: string): URL | undefined {
  const whole = /^https?:\/\//i.test(written) ? written : `http://${written}`;
  const url = URL.canParse(whole) ? new URL(whole) : undefined;
  return url?.host === '' ? undefined : url;
}

function pageKeyOf({ policy }: Table, url: URL): Omit<NamedPage, 'table'> {
  const { settings, hooks } = policyByPath(policy)(url.pathname);
  const { headers, cookies } = settings.key;
  const place = { host: url.host, path: url.pathname, query: url.search.slice(1) };
  const unkeyed = { ...settings.key, headers: [], cookies: [] };
  const { id } = pageTarget(place, unkeyed, () => undefined);
  if (hooks.cacheKey !== undefined) return { id: hooks.cacheKey(id), isKeyed: false };
  return { id, isKeyed: headers.length > 0 || cookies.length > 0 };
}

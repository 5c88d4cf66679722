/** The page which a `url` argument names: its table, and the keys it is stored under. */
import type { UrlKeys } from '../cache/pages/cache-key.ts';
import { pageKeysOf, selectPages } from '../table/pages/select-pages.ts';
import type { Table } from '../table/table.ts';
import { type Arguments, type OperationContext, usage } from './operation.ts';

export interface NamedPage extends UrlKeys {
  readonly table: Table;
}

/** With a `table` that one, else the page table that serves the URL. Throws `USAGE`. */
export function pagesAt(args: Arguments, { tables, pageSchemes }: OperationContext): NamedPage {
  const { url: written, table: named } = args;
  const url = typeof written === 'string' ? parsed(written) : undefined;
  if (url === undefined) throw usage('url: a URL with its host, such as https://www.example.com/a');
  const among = tables
    .all()
    .filter(({ definition }) => named === undefined || named === definition.typeName);
  const table = selectPages(among, url.host, url.pathname);
  if (table === undefined) throw usage(`url: no page table serves ${url.host}${url.pathname}`);
  return { table, ...pageKeysOf(table.policy, url, pageSchemes) };
}

/** Without a scheme as well: the key has none. */
function parsed(written: string): URL | undefined {
  const whole = /^https?:\/\//i.test(written) ? written : `http://${written}`;
  const url = URL.canParse(whole) ? new URL(whole) : undefined;
  return url?.host === '' ? undefined : url;
}

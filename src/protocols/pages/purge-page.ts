/**
 * `PURGE` of a page's URL, or `POST` with `X-Method-Override: PURGE` for clients that cannot send
 * the method: the page in all its variants may not be reused by any read, on any thread, that
 * begins after the answer. `X-Purge-Soft: 1` makes it stale instead, so that the policy's stale
 * permissions still apply. Neither reaches the origin. That nothing is stored is no error: what is
 * on its way to the store is purged as well.
 */
import { NodeError } from '../../base/errors.ts';
import { pageTarget } from '../../cache/pages/cache-key.ts';
import type { CachePolicy } from '../../cache/policy.ts';
import type { PurgeScope, Table } from '../../table/table.ts';
import type { Exchange } from '../http/port.ts';
import { replyProblem } from '../http/problem.ts';

export interface PagePurges {
  readonly table: Pick<Table, 'definition' | 'invalidate'>;
  /** Whether who asks may purge the page; answers 401 or 403 when not. */
  readonly permits: (exchange: Exchange, id: string) => Promise<boolean>;
}

export function isPurge({ request }: Exchange): boolean {
  if (request.method !== 'POST') return request.method === 'PURGE';
  return request.header('x-method-override')?.toUpperCase() === 'PURGE';
}

/** Whether it purged; answered it has in any case. Rejects with the errors of a commit. */
export async function purgePage(
  exchange: Exchange,
  policy: CachePolicy,
  { table, permits }: PagePurges,
): Promise<boolean> {
  const { id, scopes } = pagesOf(exchange, policy);
  if (!(await permits(exchange, id))) return false;
  const told = exchange.request.header('x-purge-soft') ?? '0';
  if (told !== '0' && told !== '1') {
    const why = `X-Purge-Soft: ${JSON.stringify(told)} is neither 1 (make it stale) nor 0`;
    replyProblem(exchange, new NodeError('USAGE', why, { blame: 'client' }));
    return false;
  }
  const soft = told === '1';
  await Promise.all(scopes.map((scope) => table.invalidate(scope, { soft, reason: 'purge' })));
  const said = { table: table.definition.typeName, purged: [id], soft };
  const headers = ['content-type', 'application/json', 'cache-control', 'no-store'];
  if (!exchange.aborted) exchange.reply(200, headers, `${JSON.stringify(said)}\n`);
  return true;
}

interface PurgedPages {
  /** Host and target, as they are told to the client and held against grants. */
  readonly id: string;
  readonly scopes: readonly PurgeScope[];
}

/** Where fields of the request are in the key, the pages for all their values are meant. */
function pagesOf({ request }: Exchange, { settings, hooks }: CachePolicy): PurgedPages {
  const field = (name: string) => request.header(name);
  const host = request.header('host') ?? '';
  const url = { host, path: request.path, query: request.query };
  const { id: own } = pageTarget(url, settings.key, field);
  if (hooks.cacheKey !== undefined) {
    const id = hooks.cacheKey(own);
    return { id, scopes: [{ keys: [id] }] };
  }
  const { headers, cookies } = settings.key;
  const { id } = pageTarget(url, { ...settings.key, headers: [], cookies: [] }, field);
  const isKeyed = headers.length > 0 || cookies.length > 0;
  return { id, scopes: isKeyed ? [{ keys: [id] }, { prefix: `${id}\n` }] : [{ keys: [id] }] };
}

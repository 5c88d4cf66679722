/**
 * `PURGE` of a page's URL, or `POST` with `X-Method-Override: PURGE` for clients that cannot send
 * the method: the page in all its variants may not be reused by any read, on any thread, that
 * begins after the answer. `X-Purge-Prefix: 1` means every page whose address begins so;
 * `X-Purge-Group: a, b` the pages of these groups, wherever in the table. `X-Purge-Soft: 1` makes
 * them stale instead, so that the policy's stale permissions still apply. None of it reaches the
 * origin. That nothing is stored is no error: what is on its way to the store is purged as well.
 */
import { NodeError } from '../../base/errors.ts';
import { keysOfUrl, type ToldSchemes } from '../../cache/pages/cache-key.ts';
import type { CachePolicy } from '../../cache/policy.ts';
import type { PurgeNote } from '../../table/purge-note.ts';
import { groupScope } from '../../table/record-groups.ts';
import type { PurgeScope, Table } from '../../table/table.ts';
import type { Exchange, HttpRequest } from '../http/port.ts';
import { replyProblem } from '../http/problem.ts';

export interface PagePurges {
  readonly table: Pick<Table, 'definition' | 'invalidate'>;
  /**
   * The name of who asks, when they may purge the page, or without an `id` any of the table;
   * answers 401 or 403 when they may not.
   */
  readonly permits: (exchange: Exchange, id: string | undefined) => Promise<string | undefined>;
  readonly onPurged: (note: PurgeNote) => void;
  readonly schemes: ToldSchemes;
}

const GROUPS_MAX = 256;
const GROUP_CHARS_MAX = 1_024;

export function isPurge({ request }: Exchange): boolean {
  if (request.method !== 'POST') return request.method === 'PURGE';
  return request.header('x-method-override')?.toUpperCase() === 'PURGE';
}

/** Whether it purged; answered it has in any case. Rejects with the errors of a commit. */
export async function purgePage(
  exchange: Exchange,
  policy: CachePolicy,
  { table, permits, onPurged, schemes }: PagePurges,
): Promise<boolean> {
  const asked = purgeOf(exchange.request, policy, schemes);
  if (typeof asked === 'string') {
    replyProblem(exchange, new NodeError('USAGE', asked, { blame: 'client' }));
    return false;
  }
  const by = await permits(exchange, asked.kind === 'url' ? asked.id : undefined);
  if (by === undefined) return false;
  const { kind, scopes, purged, soft, count } = asked;
  await Promise.all(scopes.map((scope) => table.invalidate(scope, { soft, reason: 'purge' })));
  const { typeName } = table.definition;
  const { remoteAddress: address } = exchange.request;
  onPurged({ by, address, via: 'request', kind, tables: [typeName], purged, soft, count });
  const headers = ['content-type', 'application/json', 'cache-control', 'no-store'];
  const said = { table: typeName, purged, soft };
  if (!exchange.aborted) exchange.reply(200, headers, `${JSON.stringify(said)}\n`);
  return true;
}

interface AskedPurge extends Pick<PurgeNote, 'kind' | 'purged' | 'soft' | 'count'> {
  /** Host and target, as they are told to the client and held against grants. */
  readonly id: string;
  readonly scopes: readonly PurgeScope[];
}

/** What a request asks for, or what is wrong with it. */
function purgeOf(
  request: HttpRequest,
  policy: CachePolicy,
  schemes: ToldSchemes,
): AskedPurge | string {
  const flags = { soft: '', prefix: '' };
  for (const name of ['soft', 'prefix'] as const) {
    const told = request.header(`x-purge-${name}`) ?? '0';
    if (told !== '0' && told !== '1') {
      return `X-Purge-${name}: ${JSON.stringify(told)} is neither 1 nor 0`;
    }
    flags[name] = told;
  }
  const soft = flags.soft === '1';
  const groups = request.header('x-purge-group');
  const { id, scopes } = pagesOf(request, policy, schemes);
  if (groups === undefined) {
    if (flags.prefix !== '1') return { kind: 'url', id, scopes, purged: [id], soft, count: 1 };
    return { kind: 'prefix', id, scopes: [{ prefix: id }], purged: { prefix: id }, soft, count: 1 };
  }
  if (flags.prefix === '1') return 'X-Purge-Prefix and X-Purge-Group do not go together';
  const names = groupNames(groups);
  if (names.length === 0 || names.length > GROUPS_MAX) {
    return `X-Purge-Group: 1 to ${GROUPS_MAX} names of groups, separated by commas`;
  }
  const purged = { groups: names };
  return { kind: 'group', id, scopes: [{ groups: names }], purged, soft, count: names.length };
}

/** As `Cache-Groups` writes them, or bare. */
function groupNames(field: string): readonly string[] {
  const names = field.split(',').map((name) => name.trim().replace(/^"(.*)"$/, '$1'));
  return names.filter((name) => name !== '' && name.length <= GROUP_CHARS_MAX).map(groupScope);
}

interface PurgedPages {
  readonly id: string;
  readonly scopes: readonly PurgeScope[];
}

/** Where fields of the request are in the key, the pages for all their values are meant. */
function pagesOf(request: HttpRequest, policy: CachePolicy, schemes: ToldSchemes): PurgedPages {
  const field = (name: string) => request.header(name);
  const url = { host: field('host') ?? '', path: request.path, query: request.query };
  const { id, ids, prefixes } = keysOfUrl(url, policy, schemes, field);
  return { id, scopes: [{ keys: ids }, ...prefixes.map((prefix) => ({ prefix }))] };
}

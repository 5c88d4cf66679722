/**
 * The stored pages of a page type as records: `/<name>/` lists and searches them without touching a
 * body, `/<name>/<key>` tells what is stored of one page and why it would be reused or not. They
 * are not written here: what is not to be used any more is purged.
 */
import { refusalOf } from '../../access/authorise.ts';
import type { RowAccess, RowPermit } from '../../access/row-access.ts';
import type { RecordId } from '../../base/brands.ts';
import { NodeError } from '../../base/errors.ts';
import { recordIdFromUrl } from '../../table/record-key.ts';
import { replyProblem } from '../http/problem.ts';
import { describeTable } from './describe.ts';
import { readCollection } from './read-collection.ts';
import { accessed, type RestCall, refuse, unstoredHeaders } from './rest-call.ts';

const ALLOW = 'GET, HEAD, OPTIONS';
const SLASH = 0x2f;

export function servePageRecords(call: RestCall): void | Promise<void> {
  const { exchange, rest } = call;
  const { method } = exchange.request;
  if (method === 'OPTIONS') return exchange.reply(204, ['allow', ALLOW]);
  if (method !== 'GET' && method !== 'HEAD') return refuseMethod(call);
  const access = accessed(call, 'read');
  if (access === undefined) return undefined;
  if (rest.length > 1 && rest.charCodeAt(rest.length - 1) !== SLASH) {
    return inspectPage(call, access);
  }
  if (rest === '' && exchange.request.query === '') return describeTable(call);
  return readCollection(call);
}

function refuseMethod({ exchange, resource }: RestCall): void {
  const { typeName } = resource.table.definition;
  const why =
    `${typeName} holds copies of pages, which are read here and not written; ` +
    'to have one rendered anew, PURGE its URL';
  const error = new NodeError('METHOD_NOT_ALLOWED', why, { blame: 'client' });
  replyProblem(exchange, error, ['allow', ALLOW]);
}

/** Tells all that is known of a page: a grant of some attributes or rows does not cover that. */
function inspectPage(call: RestCall, access: 'whole' | RowAccess): void {
  const { exchange, resource, rest, principal } = call;
  const { table, meter, monotonic } = resource;
  const startedAt = monotonic();
  const id = recordIdFromUrl(table.definition, rest.slice(1));
  if (access !== 'whole' && !access.permits.some((permit) => coversPage(permit, id))) {
    refuse(exchange, table.definition, 'read', refusalOf(principal));
    return;
  }
  const inspection = table.inspect(id);
  if (!inspection.stored) {
    const why = `no page is stored as ${JSON.stringify(id)}; a key begins with the host`;
    throw new NodeError('NOT_FOUND', why, { blame: 'client' });
  }
  const body = Buffer.from(JSON.stringify({ id, ...inspection }));
  const headers = ['content-type', 'application/json', ...unstoredHeaders(call)];
  exchange.reply(200, headers, body);
  meter.answered(exchange.request.method, 200, 'collection', startedAt, body.length);
}

const coversPage = (permit: RowPermit, id: RecordId): boolean =>
  permit.isOfKeysOnly && permit.coversKey(id);

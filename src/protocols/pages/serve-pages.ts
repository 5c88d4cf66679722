/**
 * Page tables over HTTP: finds the table of a request, asks it, and prints the result. On a hit
 * everything from here to the socket is synchronous, and the stored lines and bytes go out as they
 * are; conditions and ranges of the client are evaluated on what is sent.
 */
import type { DeltaSeconds } from '../../base/brands.ts';
import { NodeError } from '../../base/errors.ts';
import { pageTarget, type Scheme } from '../../cache/pages/cache-key.ts';
import type { PageReads } from '../../cache/pages/page-reads.ts';
import type { PageResult } from '../../cache/pages/page-request.ts';
import type { CachePolicy } from '../../cache/policy.ts';
import type { CacheStatus } from '../../cache/read-request.ts';
import type { Target } from '../../feed/resolve.ts';
import type { ExportProtocol, TableDefinition } from '../../schema/definition.ts';
import type { PagePlace } from '../../table/pages/page-routes.ts';
import { formatCacheStatus } from '../http/cache-status.ts';
import type { Encodings } from '../http/encodings.ts';
import type { Exchange, HttpRequest } from '../http/port.ts';
import { problemStatus, replyProblem } from '../http/problem.ts';
import { foreignScheme, PageCall } from './page-call.ts';
import { mayEncode, replyEncoded, varyingByCoding } from './page-encodings.ts';
import { type PageHeads, toldFields } from './page-heads.ts';
import { isPurge, type PagePurges, purgePage } from './purge-page.ts';
import { REFUSAL_FIELDS, signedRequest, type UrlSignatures } from './signed-page.ts';
import { conditionFields, isNotModified, replyStored } from './stored-reply.ts';

export interface PageResource extends PagePlace {
  readonly reads: PageReads;
  readonly meter: {
    answered(
      method: string,
      status: number,
      served: string,
      startedAt: number,
      bytes: number,
    ): void;
  };
  readonly monotonic: () => number;
  /** That of the listener. */
  readonly scheme: Scheme;
  readonly uploadBytesMax: number;
  readonly purges: PagePurges;
  readonly signatures: UrlSignatures;
  readonly heads: PageHeads;
  /** `undefined`: pages are answered as they came. */
  readonly encodings: Encodings | undefined;
  readonly definition: TableDefinition;
  /** In which protocols its pages can be followed at their own addresses. */
  readonly follows: ReadonlySet<ExportProtocol>;
}

/** The key of a page as it is followed: that of a request for it. */
export function pageKey(
  resource: PageResource,
  { path, query, header = () => undefined, toldScheme }: Target,
): string {
  const scheme = foreignScheme({ toldScheme }, resource);
  const url = { host: header('host') ?? '', path, query, scheme };
  return pageTarget(url, resource.reads.policyOf(path), header).id;
}

/** Whether a page is one that is stored at all, and so may change here. */
export const canFollow = (
  { reads, follows }: PageResource,
  path: string,
  protocol: ExportProtocol,
): boolean => {
  if (!follows.has(protocol)) return false;
  const { store, client } = reads.policyOf(path).settings;
  return store.enabled && !client.signedUrls;
};

/** The page table that takes a request; `undefined` says that none does. */
export type ServePages = (
  request: Pick<HttpRequest, 'path' | 'header'>,
) => PageResource | undefined;

const UNANSWERABLE: ReadonlySet<string> = new Set(['CONNECT', 'TRACE']);

export function servePage(exchange: Exchange, resource: PageResource): void | Promise<void> {
  const { method } = exchange.request;
  if (UNANSWERABLE.has(method)) {
    const why = `${method} is not passed on to the origin of pages`;
    return replyProblem(exchange, new NodeError('METHOD_NOT_ALLOWED', why, { blame: 'client' }));
  }
  const startedAt = resource.monotonic();
  const policy = resource.reads.policyOf(exchange.request.path);
  if (isPurge(exchange)) {
    return purgePage(exchange, policy, resource.purges).then((isPurged) => {
      if (isPurged) resource.meter.answered('PURGE', 200, 'purged', startedAt, 0);
    });
  }
  let query: string | undefined;
  if (policy.settings.client.signedUrls) {
    const signed = signedRequest(exchange.request, resource.signatures);
    if (signed.kind === 'refused') return replyProblem(exchange, signed.error, REFUSAL_FIELDS);
    query = signed.query;
  }
  const call = new PageCall(exchange, resource, policy, query);
  let sending: Promise<void> | undefined;
  const reading = resource.reads.read(call, (result) => {
    if (exchange.aborted) return leave(result);
    sending = answer(exchange, resource, policy, result);
    // It is the adapter's to hear of, once the reading is over.
    sending?.catch(() => undefined);
    const { status, served } = verdictOf(result);
    resource.meter.answered(method, status, served, startedAt, 0);
  });
  return reading === undefined ? sending : reading.then(() => sending);
}

/** Nobody is there any more: a body on its way loses this reader. */
function leave(result: PageResult): void {
  if (result.kind === 'stored') result.file?.close();
  else if (result.kind === 'arriving') void result.body?.[Symbol.asyncIterator]().return?.();
}

function verdictOf(result: PageResult): { readonly status: number; readonly served: string } {
  switch (result.kind) {
    case 'stored':
      return { status: result.entry.status, served: result.cacheStatus.hit ? 'fresh' : 'stale' };
    case 'arriving':
      return { status: result.status, served: 'fetched' };
    case 'refused':
      return { status: 504, served: 'refused' };
    case 'failed':
      return { status: problemStatus(result.error.code), served: 'failed' };
  }
}

function answer(
  exchange: Exchange,
  { heads, encodings }: PageResource,
  policy: CachePolicy,
  result: PageResult,
): Promise<void> | undefined {
  switch (result.kind) {
    case 'stored': {
      const head = heads.of(result.entry, policy);
      const { lines } = head;
      const headers = withFacts(head.told, result);
      if (isNotModified(exchange, result.entry.status, lines)) {
        result.file?.close();
        exchange.reply(304, conditionFields(headers));
        return undefined;
      }
      if (head.mayEncode && encodings !== undefined) {
        if (replyEncoded(exchange, { page: result, lines, headers }, encodings)) return undefined;
      }
      return replyStored(exchange, result, headers);
    }
    case 'arriving':
      return replyArriving(exchange, policy, result);
    case 'refused': {
      const why = 'the request said only-if-cached, and nothing stored here may answer it';
      const error = new NodeError('NOT_CACHED', why, { blame: 'client' });
      replyProblem(exchange, error, ['cache-status', formatCacheStatus(result.cacheStatus)]);
      return undefined;
    }
    case 'failed': {
      const fields = ['cache-status', formatCacheStatus(result.cacheStatus)];
      replyProblem(exchange, result.error, fields);
      return undefined;
    }
  }
}

/** Adds what differs from answer to answer. */
function withFacts(
  told: readonly string[],
  facts: { readonly age: DeltaSeconds | undefined; readonly cacheStatus: CacheStatus },
): string[] {
  const status = formatCacheStatus(facts.cacheStatus);
  return facts.age === undefined
    ? [...told, 'cache-status', status]
    : [...told, 'age', String(facts.age), 'cache-status', status];
}

async function replyArriving(
  exchange: Exchange,
  policy: CachePolicy,
  result: Extract<PageResult, { kind: 'arriving' }>,
): Promise<void> {
  const { status, fields, body, length } = result;
  const age = result.age > 0 ? result.age : undefined;
  const mayBeEncoded = result.isShared && mayEncode(status, fields, length, policy);
  const lines = mayBeEncoded ? varyingByCoding(fields) : fields;
  const told = toldFields(lines, policy, result.isShared);
  const headers = withFacts(told, { ...result, age });
  if (isNotModified(exchange, status, fields)) {
    leave(result);
    exchange.reply(304, conditionFields(headers));
    return;
  }
  if (body === undefined) {
    exchange.stream(status, headers, exchange.request.method === 'HEAD' ? length : 0).end();
    return;
  }
  const writer = exchange.stream(status, headers, length);
  try {
    for await (const chunk of body) {
      if (!writer.write(chunk)) await writer.drained();
      if (writer.aborted) break;
    }
    writer.end();
  } catch {
    // The client must see that the body is incomplete; the cause was counted where it arose.
    writer.destroy();
  }
}

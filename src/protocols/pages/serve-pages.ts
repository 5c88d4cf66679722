/**
 * Page tables over HTTP: finds the table of a request, asks it, and prints the result. On a hit
 * everything from here to the socket is synchronous, and the stored lines and bytes go out as they
 * are; conditions and ranges of the client are evaluated on what is sent.
 */
import { type DeltaSeconds, entityTag } from '../../base/brands.ts';
import { NodeError } from '../../base/errors.ts';
import { parseHttpDate } from '../../base/http-date.ts';
import type { Entry } from '../../cache/entry.ts';
import { fieldOf, filterFields } from '../../cache/pages/fields.ts';
import type { PageReads } from '../../cache/pages/page-reads.ts';
import type { PageResult } from '../../cache/pages/page-request.ts';
import { formatContentRange, parseContentRange, sliceOfPart } from '../../cache/pages/partial.ts';
import { decodeFields } from '../../cache/pages/stored-fields.ts';
import type { CacheStatus } from '../../cache/read-request.ts';
import { parseEntityTag } from '../../cache/reply-fields.ts';
import { formatCacheStatus } from '../http/cache-status.ts';
import { notModified } from '../http/conditional.ts';
import type { Exchange } from '../http/port.ts';
import { problemStatus, replyProblem } from '../http/problem.ts';
import { contentRange, parseRange, rangeStillHolds } from '../http/range.ts';
import { PageCall } from './page-call.ts';

export interface PageResource {
  /** As declared: `/blog/*` takes everything below, `/about` only itself. */
  readonly path: string;
  /** Lower case; `undefined` takes every host. */
  readonly host: string | undefined;
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
  readonly scheme: 'http' | 'https';
  readonly uploadBytesMax: number;
}

/** Serves a request when a page table takes it; `undefined` says that none does. */
export type ServePages = (exchange: Exchange) => PageResource | undefined;

/** The table of a request: one for its host before one for all, the longest path first. */
export function pageRoutes(resources: readonly PageResource[]): ServePages {
  const rank = ({ host, path }: PageResource): number =>
    (host === undefined ? 0 : 100_000) + path.length * 2 + (path.endsWith('*') ? 0 : 1);
  const ordered = [...resources].sort((left, right) => rank(right) - rank(left));
  return ({ request }) =>
    ordered.find(({ host, path }) => {
      const takesPath = path.endsWith('*')
        ? request.path.startsWith(path.slice(0, -1))
        : request.path === path;
      return takesPath && (host === undefined || isHost(request.header('host'), host));
    });
}

/** The port of `Host` counts only when the table names one. */
function isHost(field: string | undefined, host: string): boolean {
  const told = field?.toLowerCase();
  return told === host || told?.replace(/:\d+$/, '') === host;
}

const UNANSWERABLE: ReadonlySet<string> = new Set(['CONNECT', 'TRACE']);

export function servePage(exchange: Exchange, resource: PageResource): void | Promise<void> {
  const { method } = exchange.request;
  if (UNANSWERABLE.has(method)) {
    const why = `${method} is not passed on to the origin of pages`;
    return replyProblem(exchange, new NodeError('METHOD_NOT_ALLOWED', why, { blame: 'client' }));
  }
  const startedAt = resource.monotonic();
  const call = new PageCall(exchange, { ...resource, policy: resource.reads.policy });
  let sending: Promise<void> | undefined;
  const reading = resource.reads.read(call, (result) => {
    if (exchange.aborted) return leave(result);
    sending = answer(exchange, resource, result);
    const { status, served } = verdictOf(result);
    resource.meter.answered(method, status, served, startedAt, 0);
  });
  return reading?.then(() => sending);
}

/** Nobody is there any more: a body on its way loses this reader. */
function leave(result: PageResult): void {
  if (result.kind === 'arriving') void result.body?.[Symbol.asyncIterator]().return?.();
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
  resource: PageResource,
  result: PageResult,
): Promise<void> | undefined {
  switch (result.kind) {
    case 'stored':
      replyStored(exchange, resource, result);
      return undefined;
    case 'arriving':
      return replyArriving(exchange, resource, result);
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

/** What every answer says besides the lines of the origin. */
function withOwnFields(
  lines: readonly string[],
  resource: PageResource,
  facts: { readonly age: DeltaSeconds | undefined; readonly cacheStatus: CacheStatus },
  isShared: boolean,
): string[] {
  const { cacheControl, cdnCacheControl } = resource.reads.policy.settings.client;
  const told = isShared
    ? [...toldAs('cache-control', cacheControl), ...toldAs('cdn-cache-control', cdnCacheControl)]
    : [];
  const list = told.length === 0 ? [...lines] : filterFields(lines, (name) => !told.includes(name));
  list.push(...told);
  if (facts.age !== undefined) list.push('age', String(facts.age));
  list.push('via', '1.1 millrace', 'cache-status', formatCacheStatus(facts.cacheStatus));
  return list;
}

const toldAs = (name: string, value: string): string[] => (value === '' ? [] : [name, value]);

function replyStored(
  exchange: Exchange,
  resource: PageResource,
  result: Extract<PageResult, { kind: 'stored' }>,
): void {
  const { entry } = result;
  const lines = decodeFields(entry.meta.fieldLines);
  const headers = withOwnFields(lines, resource, result, true);
  if (isNotModified(exchange, entry.status, lines)) {
    exchange.reply(304, conditionFields(headers));
    return;
  }
  if (entry.status === 206) {
    replyPart(exchange, entry, headers);
    return;
  }
  const range = exchange.request.method === 'GET' ? exchange.request.header('range') : undefined;
  if (range === undefined || entry.status !== 200) {
    exchange.reply(entry.status, headers, entry.body);
    return;
  }
  replyRange(exchange, entry, headers, range);
}

/** [RFC9110 §14.2] Ranges of a stored whole; several at once are answered with the whole. */
function replyRange(exchange: Exchange, entry: Entry, headers: string[], range: string): void {
  const { body } = entry;
  const condition = exchange.request.header('if-range');
  const holds = rangeStillHolds(condition, entry.meta.originTag, entry.meta.lastModified);
  const verdict = holds ? parseRange(range, body.length) : ({ kind: 'whole' } as const);
  if (verdict.kind === 'unsatisfiable') {
    exchange.reply(416, [...headers, 'content-range', `bytes */${body.length}`]);
    return;
  }
  const [only, second] = verdict.kind === 'parts' ? verdict.ranges : [];
  if (only === undefined || second !== undefined) {
    exchange.reply(200, headers, body);
    return;
  }
  const fields = [...headers, 'content-range', contentRange(only, body.length)];
  exchange.reply(206, fields, body.subarray(only.first, only.last + 1));
}

/** A stored part, as it came or cut to what lies within it. */
function replyPart(exchange: Exchange, entry: Entry, headers: string[]): void {
  const range = exchange.request.header('range');
  const part = parseContentRange(fieldOf(headers, 'content-range'));
  const slice =
    entry.meta.askedRange === range || part === undefined
      ? undefined
      : sliceOfPart(range, part, entry.body.length);
  if (slice === undefined) {
    exchange.reply(206, headers, entry.body);
    return;
  }
  const fields = filterFields(headers, (name) => name !== 'content-range');
  fields.push('content-range', formatContentRange(slice.range));
  exchange.reply(206, fields, entry.body.subarray(slice.from, slice.to));
}

/** [RFC9110 §13.1.2, §13.1.3], [RFC9111 §4.3.2]: without `Last-Modified`, `Date` stands for it. */
function isNotModified(exchange: Exchange, status: number, lines: readonly string[]): boolean {
  const { request } = exchange;
  const ifNoneMatch = request.header('if-none-match');
  const ifModifiedSince = request.header('if-modified-since');
  if (status !== 200 || (ifNoneMatch === undefined && ifModifiedSince === undefined)) return false;
  if (request.method !== 'GET' && request.method !== 'HEAD') return false;
  const told = fieldOf(lines, 'etag');
  const tag = parseEntityTag(told) ?? (told === undefined ? undefined : entityTag(told));
  const date = fieldOf(lines, 'last-modified') ?? fieldOf(lines, 'date');
  const modified = date === undefined ? undefined : parseHttpDate(date);
  return notModified({ ifNoneMatch, ifModifiedSince }, tag, modified);
}

/** What a 304 tells: nothing of the content that it does not bring [RFC9110 §15.4.5]. */
const conditionFields = (headers: readonly string[]): string[] =>
  filterFields(headers, (name) => !name.startsWith('content-') || name === 'content-location');

async function replyArriving(
  exchange: Exchange,
  resource: PageResource,
  result: Extract<PageResult, { kind: 'arriving' }>,
): Promise<void> {
  const { status, fields, body, length } = result;
  const age = result.age > 0 ? result.age : undefined;
  const headers = withOwnFields(fields, resource, { ...result, age }, result.isShared);
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

/**
 * Serves the files of a folder (an application's `public/`): index pages, conditional requests,
 * ranges, and the `.br` and `.gz` files that a build left beside the originals. Nothing is cached
 * here: the kernel does that. What it does not find it leaves to the caller.
 */
import { realpath } from 'node:fs/promises';
import { type EntityTag, type EpochMs, entityTag, epochMs } from '../../base/brands.ts';
import { acceptsCoding } from './accept.ts';
import { notModified } from './conditional.ts';
import { contentTypeOf } from './content-types.ts';
import { formatHttpDate } from './http-date.ts';
import type { Exchange, HeaderList } from './port.ts';
import { type ByteRange, contentRange, parseRange, rangeStillHolds } from './range.ts';
import { noSniff, pageSecurity } from './security-headers.ts';
import { type FileSegment, sendSegments } from './static-body.ts';
import { type OpenFile, openBelow, relativePath } from './static-path.ts';

const codings = [
  { name: 'br', suffix: '.br' },
  { name: 'gzip', suffix: '.gz' },
] as const;

const cacheControl = 'public, max-age=0, must-revalidate';

export interface StaticFiles {
  /**
   * Answers with a file; resolves with false, nothing sent, when there is none for this request.
   */
  serve(exchange: Exchange): Promise<boolean>;
}

/** Serves `folder`; one that does not exist serves nothing until it does. */
export function createStaticFiles(folder: string): StaticFiles {
  return {
    async serve(exchange) {
      const { method, path } = exchange.request;
      if (method !== 'GET' && method !== 'HEAD') return false;
      const relative = relativePath(path);
      if (relative === undefined) return false;
      const root = await realpath(folder).catch(() => undefined);
      if (root === undefined) return false;
      return serveBelow(exchange, root, relative);
    },
  };
}

async function serveBelow(exchange: Exchange, root: string, relative: string): Promise<boolean> {
  const wanted = relative === '' || relative.endsWith('/') ? `${relative}index.html` : relative;
  const found = await openBelow(root, wanted);
  if (found === undefined) return false;
  try {
    if (found.stats.isFile()) return await serveFile(exchange, root, wanted, found);
    if (!found.stats.isDirectory()) return false;
  } finally {
    await found.handle.close();
  }
  return redirectToFolder(exchange, root, wanted);
}

/** Relative links of an index page need the slash. */
async function redirectToFolder(exchange: Exchange, root: string, path: string): Promise<boolean> {
  const index = await openBelow(root, `${path}/index.html`);
  if (index === undefined) return false;
  await index.handle.close();
  const { query } = exchange.request;
  const location = `${exchange.request.path}/${query === '' ? '' : `?${query}`}`;
  exchange.reply(308, ['location', location, 'cache-control', cacheControl]);
  return true;
}

async function serveFile(
  exchange: Exchange,
  root: string,
  path: string,
  original: OpenFile,
): Promise<boolean> {
  const { coded, hasCodings } = await openCoded(exchange, root, path, original);
  try {
    const file = coded?.file ?? original;
    const lastModified = epochMs(original.stats.mtimeMs);
    const tag = tagOf(file, coded?.name);
    const headers: HeaderList = [
      ...(path.endsWith('.html') ? pageSecurity : noSniff),
      'cache-control',
      cacheControl,
      'etag',
      tag,
      'last-modified',
      formatHttpDate(lastModified),
      'accept-ranges',
      'bytes',
      ...(hasCodings ? ['vary', 'accept-encoding'] : []),
      ...(coded === undefined ? [] : ['content-encoding', coded.name]),
    ];
    await answer(exchange, { file, headers, tag, lastModified, contentType: contentTypeOf(path) });
    return true;
  } finally {
    await coded?.file.handle.close();
  }
}

interface Representation {
  readonly file: OpenFile;
  readonly headers: HeaderList;
  readonly tag: EntityTag;
  readonly lastModified: EpochMs;
  readonly contentType: string;
}

async function answer(exchange: Exchange, page: Representation): Promise<void> {
  const { request } = exchange;
  const conditions = {
    ifNoneMatch: request.header('if-none-match'),
    ifModifiedSince: request.header('if-modified-since'),
  };
  if (notModified(conditions, page.tag, page.lastModified)) {
    exchange.reply(304, page.headers);
    return;
  }
  const length = page.file.stats.size;
  const holds = rangeStillHolds(request.header('if-range'), page.tag, page.lastModified);
  const range = request.method === 'GET' && holds ? request.header('range') : undefined;
  const verdict = parseRange(range, length);
  if (verdict.kind === 'unsatisfiable') {
    exchange.reply(416, [...page.headers, 'content-range', `bytes */${length}`]);
  } else if (verdict.kind === 'parts') {
    await answerParts(exchange, page, verdict.ranges);
  } else {
    const headers = [...page.headers, 'content-type', page.contentType];
    await sendSegments(exchange, 200, headers, page.file.handle, [{ first: 0, bytes: length }]);
  }
}

async function answerParts(
  exchange: Exchange,
  page: Representation,
  ranges: readonly ByteRange[],
): Promise<void> {
  const length = page.file.stats.size;
  const [only] = ranges;
  const type = page.contentType;
  const segment = ({ first, last }: ByteRange) => ({ first, bytes: last - first + 1 });
  const { handle } = page.file;
  if (ranges.length === 1 && only !== undefined) {
    const fields = ['content-type', type, 'content-range', contentRange(only, length)];
    await sendSegments(exchange, 206, [...page.headers, ...fields], handle, [segment(only)]);
    return;
  }
  // Nobody but us knows the boundary before the body is made, so it need not be random.
  const boundary = `millrace-${page.tag.replace(/[^a-z0-9]/gi, '')}`;
  const segments: FileSegment[] = [];
  for (const range of ranges) {
    const head = `content-type: ${type}\r\ncontent-range: ${contentRange(range, length)}`;
    segments.push(`\r\n--${boundary}\r\n${head}\r\n\r\n`, segment(range));
  }
  segments.push(`\r\n--${boundary}--\r\n`);
  const fields = ['content-type', `multipart/byteranges; boundary=${boundary}`];
  await sendSegments(exchange, 206, [...page.headers, ...fields], handle, segments);
}

interface Coded {
  readonly name: string;
  readonly file: OpenFile;
}

/** The best coded sibling that is not older than its original. */
async function openCoded(
  exchange: Exchange,
  root: string,
  path: string,
  original: OpenFile,
): Promise<{ coded: Coded | undefined; hasCodings: boolean }> {
  const accepted = exchange.request.header('accept-encoding');
  let hasCodings = false;
  for (const { name, suffix } of codings) {
    const file = await openBelow(root, path + suffix);
    if (file === undefined) continue;
    const current = file.stats.isFile() && file.stats.mtimeMs >= original.stats.mtimeMs;
    if (current) hasCodings = true;
    if (current && acceptsCoding(accepted, name)) return { coded: { name, file }, hasCodings };
    await file.handle.close();
  }
  return { coded: undefined, hasCodings };
}

/** Size and time to the millisecond: what changes when a deployment replaces a file. */
function tagOf({ stats }: OpenFile, coding: string | undefined): EntityTag {
  const core = `${stats.size.toString(36)}-${Math.trunc(stats.mtimeMs).toString(36)}`;
  return entityTag(coding === undefined ? `"${core}"` : `"${core}-${coding}"`);
}

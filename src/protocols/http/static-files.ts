/**
 * Serves the files of a folder (an application's `public/`): index pages, conditional requests,
 * ranges, and the `.br` and `.gz` files that a build left beside the originals. Nothing is cached
 * here: the kernel does that. What it does not find it leaves to the caller.
 */
import { realpath } from 'node:fs/promises';
import { type EntityTag, entityTag, epochMs } from '../../base/brands.ts';
import { formatHttpDate } from '../../base/http-date.ts';
import { acceptsCoding } from './accept.ts';
import { fileSource } from './byte-source.ts';
import { contentTypeOf } from './content-types.ts';
import type { Exchange, HeaderList } from './port.ts';
import { sendRepresentation } from './representation.ts';
import { noSniff, pageSecurity } from './security-headers.ts';
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
    const { handle, stats } = file;
    const source = fileSource(handle, stats.size);
    const contentType = contentTypeOf(path);
    await sendRepresentation(exchange, { source, headers, tag, lastModified, contentType });
    return true;
  } finally {
    await coded?.file.handle.close();
  }
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

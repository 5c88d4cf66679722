/**
 * `GET /live/client.js`: the client of `/live` for pages, as one module of the same version as the
 * node that serves it. Read once, when it is first asked for.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { EntityTag } from '../../base/brands.ts';
import { lazy } from '../../base/lazy.ts';
import { notModified } from '../http/conditional.ts';
import type { HttpHandler } from '../http/port.ts';

export const CLIENT_PATH = '/live/client.js';

/** `file`: where the build has put it. */
export function createClientFile(file: URL): HttpHandler {
  const content = lazy(() => {
    const bytes = readFileSync(file);
    const hash = createHash('sha256').update(bytes).digest('base64url').slice(0, 16);
    return { bytes, tag: `"${hash}"` as EntityTag };
  });
  return (exchange) => {
    const { method } = exchange.request;
    if (method !== 'GET' && method !== 'HEAD') return exchange.reply(405, ['allow', 'GET, HEAD']);
    const { bytes, tag } = content();
    const headers = ['etag', tag, 'cache-control', 'public, max-age=300, must-revalidate'];
    const ifNoneMatch = exchange.request.header('if-none-match');
    const conditions = { ifNoneMatch, ifModifiedSince: undefined };
    if (notModified(conditions, tag, undefined)) return exchange.reply(304, headers);
    const type = ['content-type', 'text/javascript; charset=utf-8'];
    return exchange.reply(200, [...headers, ...type], bytes);
  };
}

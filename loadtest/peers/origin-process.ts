/**
 * The origin behind all caches under test: answers `/items/<id>` with a record of 1 KB and
 * `/pages/<n>/<id>` with a page of n KB, after a delay, with a status, or never, as
 * `/control?delay=200&status=500&hang=1` last said; counts what it was asked since then, told at
 * `/count`. A process of its own, so that it can be pinned.
 */
import { createServer } from 'node:http';

const filler = 'The quick brown fox jumps over the lazy dog. '.repeat(40);
const settings = { delayMs: 0, status: 200, hang: false, count: 0, bytes: 1024, maxAge: 3600 };

function record(id: string): string {
  const head = `{"id":${JSON.stringify(id)},"kind":"bench","text":"`;
  return `${head}${filler.slice(0, settings.bytes - head.length - 2)}"}`;
}

/** A page of so many bytes. */
function pageOf(id: string, bytes: number): string {
  const text = `<!doctype html><title>${id}</title>`;
  return text + filler.repeat(Math.ceil(bytes / filler.length)).slice(0, bytes - text.length);
}

function control(query: URLSearchParams): void {
  settings.count = 0;
  settings.delayMs = Number(query.get('delay') ?? 0);
  settings.status = Number(query.get('status') ?? 200);
  settings.hang = query.get('hang') === '1';
  settings.maxAge = Number(query.get('maxAge') ?? 3600);
}

const server = createServer((request, reply) => {
  const url = new URL(request.url ?? '/', 'http://origin');
  if (url.pathname === '/control') {
    control(url.searchParams);
    reply.end('ok');
  } else if (url.pathname === '/count') {
    reply.end(String(settings.count));
  } else {
    settings.count += 1;
    if (settings.hang) return;
    const id = decodeURIComponent(url.pathname.slice(url.pathname.lastIndexOf('/') + 1));
    const page = /^\/pages\/(\d+)\//.exec(url.pathname);
    const body = page === null ? record(id) : pageOf(id, Number(page[1]) * 1024);
    const headers = {
      'content-type': page === null ? 'application/json' : 'text/html; charset=utf-8',
      'content-length': String(Buffer.byteLength(body)),
      'cache-control': `max-age=${settings.maxAge}`,
      etag: `"${id}-1"`,
      vary: 'accept-encoding',
    };
    const answer = () => reply.writeHead(settings.status, headers).end(body);
    if (settings.delayMs > 0) setTimeout(answer, settings.delayMs);
    else answer();
  }
});

server.keepAliveTimeout = 120_000;
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  process.stdout.write(`listening http://127.0.0.1:${port}\n`);
});

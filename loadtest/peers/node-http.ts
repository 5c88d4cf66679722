/**
 * What Node's own HTTP server costs for the same answer from memory. Prints `listening <url>`.
 *
 * Usage: node-http.ts '{"body":"…","headers":["name","value"]}'
 */
import { createServer } from 'node:http';

const options = JSON.parse(process.argv[2] ?? '{}') as { body?: string; headers?: string[] };
const body = Buffer.from(options.body ?? 'x'.repeat(1024));
const headers = ['content-length', String(body.length), ...(options.headers ?? [])];

const server = createServer((request, reply) => {
  if (request.headers['if-none-match'] !== undefined) reply.writeHead(304).end();
  else reply.writeHead(200, headers).end(body);
});
server.keepAliveTimeout = 120_000;
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  process.stdout.write(`listening http://127.0.0.1:${port}\n`);
});

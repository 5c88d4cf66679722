/** Large pages cost no memory, hit or miss; a body that broke off leaves nothing behind. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, get as httpGet, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';
import { patternAt, patternChunks } from '../support/pattern.ts';
import { ENGINES } from '../support/scenario-apps.ts';
import { volume } from '../support/volume.ts';

const MB = 1024 * 1024;
const LARGE_BYTES = volume(130, 300) * MB;
// Less than one body; the collector of a busy machine comes late, so not by much.
const GROWTH_BYTES_MAX = 96 * MB;
const POLICY =
  'freshness: { default: 1h, jitter: 0% }\nstore: { bodyMax: 400MiB }\n' +
  'client: { mayForceRevalidation: false }\n';
const SMALL_POLICY = 'freshness: { default: 1h, jitter: 0% }\nstore: { bodyMax: 2MiB }\n';

interface Asked {
  readonly requests: string[];
  cutAfter: number | undefined;
}

/** Answers `/…/<bytes>` with so many bytes of the pattern, and `?chunked` without their length. */
async function answer(
  asked: Asked,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  // Whether a page is stored is asked for by HEAD, which may come before it is.
  if (request.method === 'GET') asked.requests.push(request.url ?? '');
  const url = new URL(request.url ?? '', 'http://origin');
  const bytes = Number(url.pathname.split('/').at(-1));
  const length = url.searchParams.has('chunked') ? {} : { 'content-length': String(bytes) };
  response.writeHead(200, { etag: '"pattern"', ...length });
  const sent = asked.cutAfter ?? bytes;
  await pipeline(Readable.from(patternChunks(sent)), response, { end: sent === bytes });
  if (sent < bytes) response.destroy();
}

/** Memory of all threads, without the pages of files. */
function ownBytes({ process }: NodeProcess): number {
  const status = readFileSync(`/proc/${process.pid}/status`, 'utf8');
  return Number(/^RssAnon:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

async function digestOf(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex');
}

const bodyFiles = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
    /[/\\][0-9a-f]{32}$/.test(file),
  );

describe.each(ENGINES)('large pages over %s', (engine) => {
  const asked: Asked = { requests: [], cutAfter: undefined };
  const origin = createServer((request, response) => {
    answer(asked, request, response).catch(() => response.destroy());
  });
  let node: NodeProcess;
  const open = (target: string): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      httpGet(`${node.http}${target}`, { agent: false }, resolve).once('error', reject);
    });
  const served = async (target: string): Promise<string> => digestOf(await open(target));
  const expected = (bytes: number): Promise<string> => digestOf(patternChunks(bytes));
  const stored = (target: string): Promise<unknown> =>
    until(`a stored ${target}`, async () => {
      const response = await node.fetch(target, { method: 'HEAD' });
      return (response.headers.get('cache-status') ?? '').includes('; hit');
    });

  beforeAll(async () => {
    await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', () => resolve()));
    const url = `http://127.0.0.1:${(origin.address() as AddressInfo).port}`;
    node = await startNode({
      files: {
        'schema.graphql':
          'type Page @pages(origin: "web", policy: "site", path: "/*")\n' +
          'type Small @pages(origin: "web", policy: "small", path: "/small/*")\n',
        'origins/web.yaml': `kind: http\nurl: ${url}\nallowPrivate: true\nretries: 0\n`,
        'cache-policies/site.yaml': POLICY,
        'cache-policies/small.yaml': SMALL_POLICY,
      },
      flags: ['--threads', '1'],
      env: { MILLRACE_HTTP_ENGINE: engine },
    });
  });
  afterAll(async () => {
    await node.dispose();
    origin.closeAllConnections();
    origin.close();
  });
  beforeEach(() => {
    asked.requests.length = 0;
    asked.cutAfter = undefined;
  });

  it.skipIf(process.platform !== 'linux').each([
    ['stored as it arrives', `/${LARGE_BYTES}`, 2],
    ['passed on', `/small/${LARGE_BYTES}`, 2],
    ['passed on once it proves too large', `/small/${LARGE_BYTES}?chunked`, 2],
  ])('cost no memory when %s', async (_, target, readings) => {
    await served('/20971520');
    await served('/small/20971521');
    const before = ownBytes(node);
    let most = before;
    const watch = setInterval(() => {
      most = Math.max(most, ownBytes(node));
    }, 20);
    const sum = await expected(LARGE_BYTES);
    try {
      for (let reading = 0; reading < readings; reading += 1) {
        expect(await served(target)).toBe(sum);
        if (!target.startsWith('/small')) await stored(target);
      }
    } finally {
      clearInterval(watch);
    }
    expect(asked.requests.filter((url) => url === target)).toHaveLength(
      target.startsWith('/small') ? readings : 1,
    );
    expect(most - before).toBeLessThan(GROWTH_BYTES_MAX);
  });

  it('reach a reader who stands still in whole, and those who come meanwhile', async () => {
    const bytes = 30 * MB;
    const target = `/slow/${bytes}`;
    const stalled = await open(target);
    stalled.pause();
    const sum = await expected(bytes);
    expect(await Promise.all([served(target), served(target)])).toEqual([sum, sum]);
    expect(await digestOf(stalled)).toBe(sum);
    expect(asked.requests).toEqual([target]);
  });

  it('are cut into ranges from their file [RFC9110 §14.2]', async () => {
    const target = `/ranged/${3 * MB}`;
    await served(target);
    await stored(target);
    asked.requests.length = 0;
    const range = `bytes=${2 * MB}-${2 * MB + 9}`;
    const part = await node.fetch(target, { headers: { range } });
    expect(part.status).toBe(206);
    expect(part.headers.get('content-range')).toBe(`bytes ${2 * MB}-${2 * MB + 9}/${3 * MB}`);
    expect(Buffer.from(await part.arrayBuffer())).toEqual(Buffer.from(patternAt(2 * MB, 10)));
    const known = await node.fetch(target, { headers: { 'if-none-match': '"pattern"' } });
    expect(known.status).toBe(304);
    const head = await node.fetch(target, { method: 'HEAD' });
    expect(head.headers.get('content-length')).toBe(String(3 * MB));
    expect(asked.requests).toEqual([]);
  });

  it('leave nothing behind when they break off', async () => {
    const target = `/cut/${9 * MB}`;
    asked.cutAfter = 6 * MB;
    const before = bodyFiles(node.folder).length;
    await expect(served(target)).rejects.toThrow();
    asked.cutAfter = undefined;
    await until('the file to go', () => bodyFiles(node.folder).length === before);
    expect(await served(target)).toBe(await expected(9 * MB));
    expect(asked.requests).toHaveLength(2);
  });
});

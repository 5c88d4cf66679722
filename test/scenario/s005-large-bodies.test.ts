/** Large bodies: memory does not grow with them; none that was acknowledged is lost or wrong. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { get as httpGet, type IncomingMessage, request } from 'node:http';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';
import { patternAt, patternChunks } from '../support/pattern.ts';
import { ENGINES } from '../support/scenario-apps.ts';
import { volume } from '../support/volume.ts';

const MB = 1024 * 1024;
const BODY_BYTES = volume(130, 200) * MB;
// Less than one body; the collector of a busy machine comes late, so not by much.
const GROWTH_BYTES_MAX = 96 * MB;
const SCHEMA =
  'type File @table @export(public: [read, insert, update, delete]) { id: ID @primaryKey }';

const start = (engine: string, threads: number, folder?: string): Promise<NodeProcess> =>
  startNode({
    files: { 'schema.graphql': SCHEMA },
    env: { MILLRACE_HTTP_ENGINE: engine },
    flags: ['--threads', String(threads)],
    ...(folder === undefined ? {} : { folder }),
  });

/** Memory of all threads, without the pages of files. */
function ownBytes({ process }: NodeProcess): number {
  const status = readFileSync(`/proc/${process.pid}/status`, 'utf8');
  return Number(/^RssAnon:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

/** Sends the pattern; resolves with the status, or rejects when the connection breaks. */
async function upload(node: NodeProcess, target: string, length: number): Promise<number> {
  const headers = { 'content-type': 'a/b', 'content-length': String(length) };
  const sending = request(`${node.http}${target}`, { method: 'PUT', headers, agent: false });
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    sending.once('response', resolve);
    sending.once('error', reject);
  });
  const [response] = await Promise.all([answered, pipeline(patternChunks(length), sending)]);
  response.resume();
  return response.statusCode ?? 0;
}

/** Sends a part of a body and no more. */
function beginUpload(node: NodeProcess, target: string): void {
  const headers = { 'content-type': 'a/b', 'content-length': String(100 * MB) };
  const sending = request(`${node.http}${target}`, { method: 'PUT', headers, agent: false });
  sending.on('error', () => undefined);
  sending.write(patternAt(0, 3 * MB));
}

const open = (node: NodeProcess, target: string): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    httpGet(`${node.http}${target}`, { agent: false }, resolve).once('error', reject);
  });

async function digestOf(chunks: AsyncIterable<Buffer>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex');
}

/** The digest of what a `GET` answers; rejects when the answer is cut. */
const served = async (node: NodeProcess, target: string): Promise<string> =>
  digestOf(await open(node, target));

/** The files of bodies. */
function bodyFiles(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return names
    .map((name) => path.join(folder, name))
    .filter((file) => /[/\\][0-9a-f]{32}$/.test(file) && statSync(file).isFile());
}

let node: NodeProcess | undefined;
afterEach(() => node?.dispose());

describe.skipIf(process.platform !== 'linux').each(ENGINES)('a large body over %s', (engine) => {
  it('costs no memory, neither coming nor going to a slow reader', async () => {
    node = await start(engine, 1);
    expect(await upload(node, '/File/warm', 20 * MB)).toBe(201);
    await served(node, '/File/warm');
    const before = ownBytes(node);
    let most = before;
    const watched = node;
    const watch = setInterval(() => {
      most = Math.max(most, ownBytes(watched));
    }, 20);
    try {
      expect(await upload(node, '/File/large', BODY_BYTES)).toBe(201);
      const stalled = await open(node, '/File/large');
      stalled.pause();
      expect(await served(node, '/File/large')).toBe(await digestOf(patternChunks(BODY_BYTES)));
      // It was left standing meanwhile, and has all of it to come.
      expect(await digestOf(stalled)).toBe(await digestOf(patternChunks(BODY_BYTES)));
    } finally {
      clearInterval(watch);
    }
    expect(most - before).toBeLessThan(GROWTH_BYTES_MAX);
  });
});

describe.each([1, 2])('bodies in files, %i thread(s)', (threads) => {
  it('are whole after kill -9 when they were acknowledged, and orphans are swept', async () => {
    node = await start('uws', threads);
    const acknowledged: number[] = [];
    const uploads: Promise<unknown>[] = [];
    for (let index = 0; index < 12; index += 1) {
      const length = 2 * MB + index * 1_111;
      const sent = upload(node, `/File/f${index}`, length).then((status) => {
        if (status === 201) acknowledged.push(index);
      });
      uploads.push(sent.catch(() => undefined));
    }
    // These never end, so they are in the middle whenever the process dies.
    for (let index = 0; index < 4; index += 1) beginUpload(node, `/File/endless${index}`);
    const { folder } = node;
    await until(
      'some acknowledged and all begun',
      () => acknowledged.length >= 4 && bodyFiles(folder).length >= acknowledged.length + 4,
    );
    await node.stop('SIGKILL');
    await Promise.all(uploads);
    expect(bodyFiles(folder).length).toBeGreaterThan(acknowledged.length);
    node = await start('uws', threads, folder);
    for (const index of acknowledged) {
      const expected = await digestOf(patternChunks(2 * MB + index * 1_111));
      expect(await served(node, `/File/f${index}`)).toBe(expected);
    }
    const rows = (await (await node.fetch('/File/')).json()) as { id: string }[];
    expect(rows.filter(({ id }) => id.startsWith('endless'))).toEqual([]);
    await until('orphans to be removed', () => bodyFiles(folder).length === rows.length);
  });

  it('are read on every thread, whichever took them', async () => {
    node = await start('node', threads);
    const length = 3 * MB;
    const expected = await digestOf(patternChunks(length));
    for (let index = 0; index < 4; index += 1) {
      expect(await upload(node, `/File/t${index}`, length)).toBe(201);
      for (let read = 0; read < 4; read += 1) {
        expect(await served(node, `/File/t${index}`)).toBe(expected);
      }
    }
  });
});

describe('a body which the disk has changed', () => {
  it('is never served whole, nor in part', async () => {
    node = await start('uws', 1);
    expect(await upload(node, '/File/flipped', 2 * MB)).toBe(201);
    await node.stop();
    const { folder } = node;
    const [file = ''] = bodyFiles(folder);
    const bytes = readFileSync(file);
    expect(bytes.equals(patternAt(0, 2 * MB))).toBe(true);
    bytes[MB] = (bytes[MB] ?? 0) ^ 1;
    writeFileSync(file, bytes);
    node = await start('uws', 1, folder);
    const part = await node.fetch('/File/flipped', { headers: { range: 'bytes=0-9' } });
    expect(part.status).toBe(500);
    await expect(served(node, '/File/flipped')).rejects.toThrow();
    expect(node.stderr() + node.stdout()).toContain('is not what was written');
  });
});

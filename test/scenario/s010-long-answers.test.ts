/** Long answers, in each format, to quick and to stalled readers: memory stays flat. */
import { readFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import { createGunzip } from 'node:zlib';
import { decode } from 'cbor-x';
import { unpackMultiple } from 'msgpackr';
import { afterEach, describe, expect, it } from 'vitest';
import { type NodeProcess, startNode } from '../support/node-process.ts';
import { ENGINES } from '../support/scenario-apps.ts';
import { volume } from '../support/volume.ts';

/** What stalled readers have not taken is twice what memory may grow by. */
const ROWS = volume(40_000, 100_000);
const GROWTH_BYTES_MAX = 64 * 1024 * 1024;
const SCHEMA = `
type Row @table @export(public: [read, insert, update]) {
  id: ID @primaryKey
  place: Int
  note: String
}`;

interface Form {
  readonly accept: string;
  readonly gzip?: boolean;
  /** How many rows a body holds. */
  readonly count: (body: Buffer) => number;
}

const lines = (body: Buffer): number => body.toString('latin1').split('\n').length - 1;
const elements = (value: unknown): number => (value as readonly unknown[]).length;
const ofJson = (body: Buffer): number => elements(JSON.parse(body.toString()));

const FORMS: readonly Form[] = [
  { accept: 'application/json', count: ofJson },
  { accept: 'application/json', gzip: true, count: ofJson },
  { accept: 'application/x-ndjson', count: lines },
  { accept: 'text/csv', count: (body) => lines(body) - 1 },
  { accept: 'text/csv', gzip: true, count: (body) => lines(body) - 1 },
  { accept: 'application/cbor', count: (body) => elements(decode(body)) },
  { accept: 'application/x-msgpack', count: (body) => elements(unpackMultiple(body)) },
];

/** Memory of all threads, without the pages of the store's file. */
function ownBytes({ process }: NodeProcess): number {
  const status = readFileSync(`/proc/${process.pid}/status`, 'utf8');
  return Number(/^RssAnon:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

function ask(node: NodeProcess, form: Form, limit = ROWS): Promise<IncomingMessage> {
  const coding = form.gzip === true ? 'gzip' : 'identity';
  const headers = { accept: form.accept, 'accept-encoding': coding };
  return new Promise((resolve, reject) => {
    get(`${node.http}/Row/?limit(${limit})`, { headers, agent: false }, resolve).once(
      'error',
      reject,
    );
  });
}

async function rowsOf(form: Form, answer: IncomingMessage): Promise<number> {
  expect([form.accept, answer.headers['content-encoding']]).toEqual([
    form.accept,
    form.gzip === true ? 'gzip' : undefined,
  ]);
  const body = form.gzip === true ? answer.pipe(createGunzip()) : answer;
  return form.count(await buffer(body));
}

/** Takes a little, looks elsewhere, and takes a little more. */
async function rowsReadSlowly(form: Form, answer: IncomingMessage): Promise<number> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer) {
    chunks.push(chunk);
    await wait(5);
  }
  return form.count(Buffer.concat(chunks));
}

async function fill(node: NodeProcess): Promise<void> {
  const note = 'n'.repeat(150);
  const rows = Array.from({ length: ROWS }, (_, place) =>
    JSON.stringify({ id: `r${place}`, place, note }),
  );
  const response = await node.fetch('/Row/?onError=stop', {
    method: 'PUT',
    body: rows.join('\n'),
    headers: { 'content-type': 'application/x-ndjson' },
  });
  expect(await response.json()).toEqual({ written: ROWS, failed: 0, errors: [] });
}

let node: NodeProcess | undefined;
afterEach(() => node?.dispose());

describe.skipIf(process.platform !== 'linux').each(ENGINES)('a long answer over %s', (engine) => {
  it('is complete in every format and costs no memory, whoever does not read', async () => {
    node = await startNode({
      files: { 'schema.graphql': SCHEMA },
      env: { MILLRACE_HTTP_ENGINE: engine },
      flags: ['--threads', '1'],
    });
    await fill(node);
    for (const form of FORMS) await rowsOf(form, await ask(node, form, 5_000));
    const before = ownBytes(node);
    let most = before;
    const watched = node;
    const watch = setInterval(() => {
      most = Math.max(most, ownBytes(watched));
    }, 20);
    try {
      const stalled: IncomingMessage[] = [];
      for (const form of [...FORMS, ...FORMS]) stalled.push((await ask(node, form)).pause());
      const [plain] = FORMS;
      const slow = plain === undefined ? 0 : rowsReadSlowly(plain, await ask(node, plain));
      for (const form of FORMS) {
        expect([form, await rowsOf(form, await ask(node, form))]).toEqual([form, ROWS]);
      }
      expect(await slow).toBe(ROWS);
      for (const answer of stalled) answer.destroy();
    } finally {
      clearInterval(watch);
    }
    console.info(`${engine}: grew by ${((most - before) / 2 ** 20).toFixed(1)} MiB`);
    expect(most - before).toBeLessThan(GROWTH_BYTES_MAX);
  }, 240_000);
});

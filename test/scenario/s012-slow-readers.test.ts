/**
 * Clients that read slowly, and never stop to: an event stream, a WebSocket, the answer to a query
 * and a file. The engine's patience is ten seconds, far less than they take for what is on its way
 * in the kernel; they are to get everything all the same.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';
import { headOf, RawConnection } from '../support/raw-connection.ts';
import { ENGINES } from '../support/scenario-apps.ts';

/** More than fits into the buffers of two sockets. */
const ROWS = 20_000;
const FILE_BYTES = 12_000_000;
const SCHEMA = `
type Row @table @export(public: [read, insert, subscribe]) { id: ID @primaryKey, note: String }
`;
const note = 'n'.repeat(500);
const UPGRADE = [
  ...['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'],
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];
/** 40 KB a second for thirteen seconds at least. */
const SIPS = 130;
const SIP_BYTES = 4_096;
const SIP_EVERY_MS = 100;

async function fill(node: NodeProcess): Promise<void> {
  const rows = Array.from({ length: ROWS }, (_, i) => JSON.stringify({ id: `r${i}`, note }));
  const headers = { 'content-type': 'application/x-ndjson' };
  const body = rows.join('\n');
  const filled = await node.fetch('/Row/', { method: 'PUT', body, headers });
  expect(await filled.json()).toMatchObject({ written: ROWS });
}

/** Asks, sips at the answer, and then takes the rest of it. */
async function sip(node: NodeProcess, target: string, fields: readonly string[] = []) {
  const peer = new RawConnection(node.http);
  peer.socket.pause();
  peer.send(`${headOf(`GET ${target}`, fields)}\r\n`);
  await until('an answer', () => peer.socket.readableLength > 0);
  for (let i = 0; i < SIPS; i += 1) {
    peer.socket.read(Math.min(SIP_BYTES, peer.socket.readableLength));
    await wait(SIP_EVERY_MS);
  }
  peer.socket.resume();
  return peer;
}

/** The frames of a chunked body stand in the middle of rows. */
const rowsIn = ({ text }: RawConnection): number =>
  text.replaceAll(/\r\n[0-9a-f]+\r\n/g, '').split('"note":').length - 1;

async function untilAllRows(peer: RawConnection): Promise<void> {
  const enough = () => peer.ended || peer.text.length > ROWS * note.length;
  await until('as much as all rows', enough, 60_000);
  await until('all rows', () => peer.ended || rowsIn(peer) === ROWS, 60_000);
  expect([peer.ended, rowsIn(peer)]).toEqual([false, ROWS]);
}

const open: NodeProcess[] = [];
afterEach(() => Promise.all(open.splice(0).map((node) => node.dispose())));

async function readSlowly(engine: string): Promise<void> {
  const node = await startNode({
    files: {
      'schema.graphql': SCHEMA,
      'public/file.txt': 'x'.repeat(FILE_BYTES),
      // A busy machine sips more slowly: only the engine's own patience is to be tried here.
      'millrace.yaml': 'limits: { idleTimeoutSeconds: 600, writeQueueAgeMsMax: 60s }\n',
    },
    env: { MILLRACE_HTTP_ENGINE: engine },
  });
  open.push(node);
  await fill(node);
  const [stream, socket, query, file] = await Promise.all([
    sip(node, '/Row/', ['Accept: text/event-stream']),
    sip(node, '/Row/', UPGRADE),
    sip(node, `/Row/?limit(${ROWS})`),
    sip(node, '/file.txt'),
  ]);
  await untilAllRows(stream);
  await untilAllRows(socket);
  const isOver = () => query.ended || query.text.endsWith('\r\n0\r\n\r\n');
  await until('the end of the query', isOver, 60_000);
  expect(rowsIn(query)).toBe(ROWS);
  const body = () => file.text.length - file.text.indexOf('\r\n\r\n') - 4;
  await until('the whole file', () => file.ended || body() === FILE_BYTES, 60_000);
  expect(body()).toBe(FILE_BYTES);
  for (const peer of [stream, socket, query, file]) peer.destroy();
}

// Both at once: what it takes is mostly the slow reading.
it(`a slow reader gets all of what it reads, over ${ENGINES.join(' and ')}`, async () => {
  await Promise.all(ENGINES.map(readSlowly));
}, 240_000);

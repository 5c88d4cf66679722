/**
 * One subscriber of eleven stops reading, over each protocol at once: the others get every change,
 * the node does not keep for it what it does not read, and once it reads again, or comes back, it
 * ends at exactly what the table holds.
 */
import { describe, expect, it } from 'vitest';
import {
  type LiveReader,
  MqttReader,
  SocketReader,
  StreamReader,
} from '../support/live-readers.ts';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';
import { WireClient } from '../support/wire-client.ts';

const KEYS = ['a', 'b', 'c', 'd'];
/** Until then all read. */
const WARM = 8;
const CHANGES = 64;
const PAD = 'x'.repeat(128 * 1024);
/** Of each protocol: those who follow what the stalled one follows, and those of a small table. */
const BESIDE = 1;
const OF_TICKS = 9;
const PATIENCE_MS = 60_000;

type Make = (node: NodeProcess, table: string, name: string) => LiveReader;
const KINDS: Readonly<Record<string, Make>> = {
  socket: ({ ws }, table) => new SocketReader(ws, `/${table}/`),
  live: ({ ws }, table) => new SocketReader(ws, `/${table}/`, {}),
  stream: ({ http }, table) => new StreamReader(http, `/${table}/`),
  'mqtt 0': ({ mqtt }, table, name) => new MqttReader(mqtt, `${table}/#`, name, 0),
  'mqtt 1': ({ mqtt }, table, name) => new MqttReader(mqtt, `${table}/#`, name, 1),
};
/** [TARGETS §3] */
const HELD_BYTES_MAX = 1024 * 1024;

const readers = (node: NodeProcess, table: string, name: string, count: number): LiveReader[] =>
  Object.entries(KINDS).flatMap(([kind, make]) =>
    Array.from({ length: count }, (_, at) => make(node, table, `${name} ${kind} ${at}`)),
  );
const access = '@export(public: [read, insert, update, subscribe]) { id: ID @primaryKey, n: Int';

/** What the node holds for each of its clients that they do not read. */
async function heldBytes(node: NodeProcess): Promise<number[]> {
  const { sessions } = await node.operate({ operation: 'sessions_list' });
  return (sessions as { bufferedBytes: number }[]).map((one) => one.bufferedBytes);
}

describe.each([
  ['uws', '2'],
  ['node', '1'],
])('readers that stall, over %s with %s thread(s)', (engine, threads) => {
  it('cost the others nothing and end at the table', { timeout: 240_000 }, async () => {
    const node = await startNode({
      files: {
        'schema.graphql': `type Item @table ${access}, pad: String }\ntype Tick @table ${access} }`,
        'millrace.yaml': `
store: { durability: process }
mqtt: { requireAuthentication: false }
limits: { writeQueueAgeMsMax: 60s, idleTimeoutSeconds: 600 }
`,
      },
      flags: ['--threads', threads],
      env: { MILLRACE_HTTP_ENGINE: engine },
    });
    const writer = new WireClient(node.http);
    const stalled = readers(node, 'Item', 'stalled', 1);
    const beside = readers(node, 'Item', 'beside', BESIDE);
    const ticking = readers(node, 'Tick', 'ticking', OF_TICKS);
    const all = [...stalled, ...beside, ...ticking];
    try {
      for (const reader of all) await reader.connect();
      const write = async (from: number, to: number, of: readonly LiveReader[]) => {
        for (let n = from; n <= to; n += 1) {
          const key = KEYS[n % KEYS.length] ?? '';
          await writer.put(`/Item/${key}`, { n, pad: PAD });
          await writer.put(`/Tick/${key}`, { n });
          // Who reads is given the time to: this test's own slowness must not conflate.
          const isTold = ({ picture, failure }: LiveReader) =>
            failure !== undefined || picture.newest(key) === n;
          await until(`change ${n}`, () => of.every(isTold), PATIENCE_MS);
          for (const { failure } of of) if (failure !== undefined) throw failure;
        }
      };
      await write(1, WARM, all);
      for (const reader of stalled) reader.stall();
      await write(WARM + 1, CHANGES, [...beside, ...ticking]);
      const held = await heldBytes(node);
      console.info(`${engine}: ${held.length} sessions, at most ${Math.max(...held)} bytes held`);
      // An engine may have cut off who takes nothing: it comes back.
      expect(held.length).toBeGreaterThanOrEqual(all.length - stalled.length);
      expect(Math.max(...held)).toBeLessThan(HELD_BYTES_MAX);
      const newest = Object.fromEntries(
        KEYS.map((key, at) => [key, CHANGES - ((CHANGES - at) % KEYS.length)]),
      );
      const shown = ({ picture }: LiveReader) =>
        Object.fromEntries([...picture.rows].map(([id, { n }]) => [id, n]));
      for (const reader of stalled) {
        expect([reader.name, shown(reader)]).not.toEqual([reader.name, newest]);
        reader.resume();
      }
      for (const reader of stalled) {
        await until(
          reader.name,
          async () => {
            if (reader.failure !== undefined) throw reader.failure;
            // It was told that it is too late, and comes back.
            if (reader.isLost) await reader.connect();
            return KEYS.every((key) => reader.picture.rows.get(key)?.n === newest[key]);
          },
          PATIENCE_MS,
        );
      }
      for (const reader of all) expect(Object.keys(shown(reader)).sort()).toEqual(KEYS);
    } finally {
      for (const reader of all) reader.drop();
      writer.close();
      await node.dispose();
    }
  });
});

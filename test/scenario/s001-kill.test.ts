/**
 * Nothing that was acknowledged is lost to `kill -9`: 64 writers, killed at a random moment, round
 * after round on one folder. `MILLRACE_TEST_ROUNDS` sets the number of rounds.
 */
import { describe, expect, it } from 'vitest';
import { pass } from '../support/cache-apps.ts';
import { type NodeProcess, startNode } from '../support/node-process.ts';
import { WireClient } from '../support/wire-client.ts';

const ROUNDS = Number(process.env.MILLRACE_TEST_ROUNDS ?? 3);
const WRITERS = 64;
const KEYS = 5;
const BUCKETS = 7;
const SCHEMA = `
type Item @table @export(public: [read, insert, update]) {
  id: ID @primaryKey
  writer: Int
  seq: Int
  bucket: String @indexed
}
`;

interface Row {
  readonly id: string;
  readonly writer: number;
  readonly seq: number;
  readonly bucket: string;
}

/** What a writer has sent and what was acknowledged; one write at a time, so they differ by one. */
interface Ledger {
  sent: number;
  acknowledged: number;
}

const start = (threads: number, durability: string, folder?: string): Promise<NodeProcess> =>
  startNode({
    files: {
      'schema.graphql': SCHEMA,
      'millrace.yaml': `store: { durability: ${durability} }\n`,
    },
    flags: ['--threads', String(threads)],
    ...(folder === undefined ? {} : { folder }),
  });

/** Writes until the connection breaks. */
async function write(node: NodeProcess, writer: number, ledger: Ledger): Promise<void> {
  const client = new WireClient(node.http);
  try {
    for (;;) {
      const seq = ledger.sent + 1;
      ledger.sent = seq;
      const record = { writer, seq, bucket: `b${(writer + seq) % BUCKETS}` };
      const { status, text } = await client.put(`/Item/w${writer}-${seq % KEYS}`, record);
      if (status !== 201 && status !== 204) throw new Error(`${status} ${text}`);
      ledger.acknowledged = seq;
    }
  } catch (error) {
    // Anything but a broken connection is a fault of the node.
    if (!(error instanceof Error) || !('code' in error)) throw error;
  } finally {
    client.close();
  }
}

async function rowsOf(node: NodeProcess, query: string): Promise<readonly Row[]> {
  const response = await node.fetch(`/Item/${query}`);
  expect(response.status).toBe(200);
  return (await response.json()) as readonly Row[];
}

/** The newest of a writer's numbers up to `last`, for each of its keys. */
function prefixState(last: number): ReadonlyMap<number, number> {
  const state = new Map<number, number>();
  for (let seq = Math.max(1, last - KEYS + 1); seq <= last; seq += 1) state.set(seq % KEYS, seq);
  return state;
}

function checkWriter(writer: number, ledger: Ledger, rows: readonly Row[]): void {
  const found = new Map(rows.map(({ id, seq }) => [Number(id.split('-')[1]), seq]));
  const last = Math.max(0, ...found.values());
  const label = `writer ${writer}: acknowledged ${ledger.acknowledged}, sent ${ledger.sent}`;
  expect(last, label).toBeGreaterThanOrEqual(ledger.acknowledged);
  expect(last, label).toBeLessThanOrEqual(ledger.sent);
  expect(Object.fromEntries(found), label).toEqual(Object.fromEntries(prefixState(last)));
  // The next round goes on from what is there.
  ledger.sent = last;
  ledger.acknowledged = last;
}

async function checkIndexes(node: NodeProcess, rows: readonly Row[]): Promise<void> {
  for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
    const name = `b${bucket}`;
    const indexed = await rowsOf(node, `?bucket=${name}`);
    const scanned = rows.filter((row) => row.bucket === name);
    expect(indexed.map(({ id }) => id).sort()).toEqual(scanned.map(({ id }) => id).sort());
    expect(indexed.every((row) => row.bucket === name)).toBe(true);
  }
}

const cases = [
  { threads: 1, durability: 'flushed' },
  { threads: 1, durability: 'process' },
  { threads: 2, durability: 'flushed' },
] as const;

describe('kill -9', () => {
  it.each(cases)(
    'loses no acknowledged write: $threads thread(s), $durability [DESIGN §1.5]',
    async ({ threads, durability }) => {
      const ledgers = Array.from({ length: WRITERS }, () => ({ sent: 0, acknowledged: 0 }));
      let node = await start(threads, durability);
      try {
        for (let round = 1; round <= ROUNDS; round += 1) {
          const writing = ledgers.map((ledger, writer) => write(node, writer, ledger));
          await pass(100 + Math.random() * 400);
          await node.stop('SIGKILL');
          await Promise.all(writing);
          node = await start(threads, durability, node.folder);
          const rows = await rowsOf(node, '');
          ledgers.forEach((ledger, writer) => {
            checkWriter(
              writer,
              ledger,
              rows.filter((row) => row.writer === writer),
            );
          });
          await checkIndexes(node, rows);
        }
      } finally {
        await node.dispose();
      }
      const total = ledgers.reduce((sum, { acknowledged }) => sum + acknowledged, 0);
      console.info(`${threads} thread(s), ${durability}: ${ROUNDS} rounds, ${total} writes kept`);
      expect(total).toBeGreaterThan(WRITERS);
    },
    30_000 + ROUNDS * 10_000,
  );
});

/**
 * Who hears of a write can read it, on every thread: a write through one connection, then at once a
 * read through another, over two app threads. `MILLRACE_TEST_READS` sets the number of reads.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NodeProcess, startNode } from '../support/node-process.ts';
import { WireClient } from '../support/wire-client.ts';

const READS = Number(process.env.MILLRACE_TEST_READS ?? 5_000);
const PAIRS = 16;

describe('two app threads beside the store thread', () => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startNode({
      files: {
        'schema.graphql':
          'type Item @table @export(public: [read, insert, update]) {\n' +
          '  id: ID @primaryKey, n: Int @indexed, pair: Int @indexed }',
        // Acknowledged right after the commit, so that the reader comes as early as it can.
        'millrace.yaml': 'store: { durability: process }\n',
      },
      flags: ['--threads', '2'],
    });
  });
  afterAll(() => node.dispose());

  it(
    'never read an older record than the one acknowledged before [DESIGN §4]',
    async () => {
      const old: string[] = [];
      let reads = 0;
      const pair = async (index: number) => {
        const writer = new WireClient(node.http);
        const reader = new WireClient(node.http);
        for (let n = 1; n <= READS / PAIRS; n += 1) {
          const { status } = await writer.put(`/Item/p${index}`, { n, pair: index });
          if (status >= 300) throw new Error(`a write was answered ${status}`);
          const { text } = await reader.get(`/Item/p${index}`);
          reads += 1;
          if ((JSON.parse(text) as { n: number }).n !== n) old.push(`${n} read as ${text}`);
        }
        writer.close();
        reader.close();
      };
      await Promise.all(Array.from({ length: PAIRS }, (_, index) => pair(index)));
      console.info(`${reads} reads after acknowledged writes, ${old.length} old`);
      expect(old).toEqual([]);
    },
    60_000 + READS * 5,
  );

  it('never query an older index than the write acknowledged before', async () => {
    const old: string[] = [];
    const query = async (index: number) => {
      const writer = new WireClient(node.http);
      const reader = new WireClient(node.http);
      for (let n = 1; n <= 50; n += 1) {
        await writer.put(`/Item/q${index}`, { n, pair: 100 + index });
        const { text } = await reader.get(`/Item/?pair=${100 + index}`);
        const [row] = JSON.parse(text) as readonly { n: number }[];
        if (row?.n !== n) old.push(`${n} read as ${text}`);
      }
      writer.close();
      reader.close();
    };
    await Promise.all([0, 1, 2, 3].map(query));
    expect(old).toEqual([]);
  });

  it('share the connections between them', async () => {
    // Each thread counts its own; a thread that served nobody would prove nothing above.
    const counted = await node.metric('millrace_http_requests_total', { method: 'GET' });
    expect(counted).toBeGreaterThanOrEqual(READS);
  });
});

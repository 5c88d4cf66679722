/**
 * Limits that stand deep in the code, and not at the door: what `millrace.yaml` sets is in force
 * there too, on every thread.
 */
import { describe, expect, it } from 'vitest';
import { startNode } from '../support/node-process.ts';

const SCHEMA = `
type Item @table @export(public: [read, insert, update]) { id: ID @primaryKey name: String }
`;
const JSON_TYPE = { 'content-type': 'application/json' };

describe.each([1, 2])('limits deep in the code, with %s threads', (threads) => {
  it('are in force when they are set, on every thread', async () => {
    const set = { queryConditionsMax: 3, queryRowsScannedMax: 300, operationRecordsMax: 4 };
    const yaml = `limits: ${JSON.stringify(set)}\n`;
    const node = await startNode({
      files: { 'schema.graphql': SCHEMA, 'millrace.yaml': yaml },
      flags: ['--threads', String(threads)],
    });
    try {
      const rows = Array.from({ length: 700 }, (_, i) => ({ id: `${i}`, name: 'n' }));
      await node.fetch('/Item/', { method: 'PUT', body: JSON.stringify(rows), headers: JSON_TYPE });
      // Each connection is answered by a thread of the kernel's choice.
      for (let i = 0; i < 8; i += 1) {
        const many = await node.fetch('/Item/?id=1|id=2|id=3|id=4');
        expect([many.status, await many.text()]).toEqual([
          400,
          expect.stringContaining('at most 3'),
        ]);
        const scan = await node.fetch('/Item/?name=x');
        expect([scan.status, await scan.text()]).toEqual([
          422,
          expect.stringContaining('at 300 rows'),
        ]);
      }
      const inserted = node.operate({ operation: 'insert', table: 'Item', records: rows });
      await expect(inserted).rejects.toThrow('at most 4');
    } finally {
      await node.dispose();
    }
  });
});

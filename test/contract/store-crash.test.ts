/**
 * The store is killed while 64 writers write, again and again: what was acknowledged is there, each
 * writer's writes are a prefix of what it wrote, and the indexes agree with the rows. A few rounds
 * by default; `STORE_CRASH_ROUNDS=50` makes it the whole run.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { openLmdbStore } from '../../src/store/lmdb/open.ts';
import type { Store } from '../../src/store/store-options.ts';
import { checkRecord, definitions, ITEM, indexedValues } from './store-fixture.ts';

const ROUNDS = Number(process.env.STORE_CRASH_ROUNDS ?? 3);
const ACKNOWLEDGED_BEFORE_KILL = 300;
const WRITER = new URL('./store-crash-writer.ts', import.meta.url).href;

let path: string;
let child: ChildProcess | undefined;

beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), 'millrace-crash-'));
});
afterEach(async () => {
  child?.kill('SIGKILL');
  await rm(path, { recursive: true, force: true });
});

/** Writer → last number that was acknowledged to it, when the process was killed. */
async function writeUntilKilled(): Promise<Map<string, number>> {
  const script = `await import(${JSON.stringify(WRITER)})`;
  const running = spawn(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '-e', script],
    { env: { ...process.env, STORE_PATH: path }, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  child = running;
  const exited = once(running, 'exit');
  const acknowledged = new Map<string, number>();
  let count = 0;
  for await (const line of createInterface({ input: running.stdout })) {
    const [writer = '', number = '0'] = line.split(' ');
    acknowledged.set(writer, Number(number));
    count += 1;
    // What still comes out of the pipe was acknowledged too, and is counted.
    if (count === ACKNOWLEDGED_BEFORE_KILL) running.kill('SIGKILL');
  }
  await exited;
  return acknowledged;
}

function rowsOf(store: Store): Map<string, number> {
  const rows = new Map<string, number>();
  let after: string | number | undefined;
  do {
    after = store.scan(ITEM, { limit: 1_000, after }, (entry) => {
      const { tag, price } = JSON.parse(Buffer.from(entry.body).toString());
      rows.set(tag, Math.max(rows.get(tag) ?? 0, price));
    }).next;
  } while (after !== undefined);
  return rows;
}

it(
  'loses nothing that was acknowledged when it is killed',
  async () => {
    const acknowledged = new Map<string, number>();
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [writer, last] of await writeUntilKilled()) acknowledged.set(writer, last);
      const store = await openLmdbStore({
        ...{ path, definitions, clock: systemClock, indexedValues, checkRecord },
      });
      const rows = rowsOf(store);
      const missing = [...acknowledged].filter(([writer, last]) => (rows.get(writer) ?? 0) < last);
      const { entries } = store.tableSize(ITEM);
      // Numbers count up from 1 without a gap: a prefix, and as many index entries as rows.
      const total = [...rows.values()].reduce((sum, last) => sum + last, 0);
      const indexed = store.countByIndex(ITEM, { attribute: 'tag' }, 1_000_000);
      await store.close();
      expect(missing).toEqual([]);
      expect([entries, indexed]).toEqual([total, total]);
    }
    expect(acknowledged.size).toBe(64);
  },
  60_000 + ROUNDS * 20_000,
);

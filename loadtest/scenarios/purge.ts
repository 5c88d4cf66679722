/**
 * Purging a group, whatever it holds: how long until no read is answered with
 * what was purged any more (it is in force), and until it is acknowledged (it is on the disk).
 * Measured at the store itself; that other threads see the same memory is the tests' to show.
 *
 * Estimate: effect is one write to shared memory, some microseconds; the acknowledgement is one
 * commit and its flush, half a millisecond on an idle disk.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { parseSchemas } from '../../src/schema/parse-schema.ts';
import { openLmdbStore } from '../../src/store/lmdb/open.ts';
import type { Store } from '../../src/store/store-options.ts';
import type { WriteOp } from '../../src/table/store-port.ts';
import type { Bench, Scenario } from '../harness/context.ts';
import { median, spread } from '../harness/statistics.ts';

const SCHEMA = 'type Page @pages(origin: "web")';
const BATCH = 5_000;
const ROUNDS = 50;
const GROUP = 'news';

interface Purged {
  readonly effectMs: number;
  readonly acknowledgedMs: number;
}

function pageOp(table: WriteOp['table'], at: number): WriteOp {
  const later = (Date.now() + 86_400_000) as never;
  return {
    kind: 'put',
    table,
    id: `www.example.com/page/${at}`,
    variant: '',
    entryKind: 'record',
    status: 200,
    body: Buffer.from(`<p>${at}</p>`),
    meta: { contentType: 'text/html', groups: [GROUP] },
    times: {
      freshUntil: later,
      staleWhileRevalidateUntil: later,
      staleIfErrorUntil: later,
      evictAt: later,
    },
    storedAt: Date.now() as never,
    initialAge: 0 as never,
    mustValidate: false,
    staleForbidden: false,
    reason: 'client',
  };
}

async function fill(store: Store, table: WriteOp['table'], pages: number): Promise<void> {
  for (let at = 0; at < pages; at += BATCH) {
    const ops = Array.from({ length: Math.min(BATCH, pages - at) }, (_, one) =>
      pageOp(table, at + one),
    );
    await store.commit(ops, 'process');
  }
}

/** One purge of the group, watched by this thread's reads, which see shared memory as all do. */
async function purgeOnce(store: Store, table: WriteOp['table'], at: number): Promise<Purged> {
  await store.commit([pageOp(table, at)], 'process');
  const id = `www.example.com/page/${at}`;
  const isValid = () =>
    store.withEntry(table, id, '', (entry) =>
      entry === undefined ? false : store.invalidations(table).judge(entry).kind === 'valid',
    );
  if (!isValid()) throw new Error('the page is not valid before its purge');
  const startedAt = performance.now();
  const scope = { kind: 'group', group: GROUP } as const;
  const committing = store.commit(
    [{ kind: 'invalidate', table, scope, soft: false, reason: 'purge' }],
    'flushed',
  );
  let effectMs = Number.NaN;
  while (Number.isNaN(effectMs)) {
    if (!isValid()) effectMs = performance.now() - startedAt;
    else await new Promise((resolve) => setImmediate(resolve));
  }
  await committing;
  return { effectMs, acknowledgedMs: performance.now() - startedAt };
}

async function run(bench: Bench) {
  const pages = bench.settings.large ? 1_000_000 : 100_000;
  const path = mkdtempSync(join(tmpdir(), 'millrace-purge-'));
  const { schema } = parseSchemas([{ text: SCHEMA, file: 'schema.graphql' }]);
  const [definition] = schema?.tables ?? [];
  if (definition === undefined) throw new Error('the schema has no table');
  const store = await openLmdbStore({
    ...{ path, definitions: [definition], clock: systemClock, limits: {} },
    checkRecord: () => undefined,
    indexedValues: () => ({}),
  });
  const purges: Purged[] = [];
  try {
    await fill(store, definition.name, pages);
    for (let round = 0; round < ROUNDS; round += 1) {
      purges.push(await purgeOnce(store, definition.name, round));
    }
  } finally {
    await store.close();
    rmSync(path, { recursive: true, force: true });
  }
  const effects = purges.map(({ effectMs }) => effectMs);
  const acknowledged = purges.map(({ acknowledgedMs }) => acknowledgedMs);
  const effect = median(effects);
  return {
    title: 'Purging a group',
    estimate: 'in force within some microseconds; acknowledged after one commit and its flush.',
    table: [
      ['entries in the group', 'in force ms', 'acknowledged ms', 'best acknowledged ms'],
      [
        String(pages),
        spread(effects, 3),
        spread(acknowledged, 2),
        Math.min(...acknowledged).toFixed(2),
      ],
    ],
    verdicts: [
      {
        target: 'in force < 1 ms for 1,000,000 entries',
        result: `${effect.toFixed(3)} ms with ${pages}`,
        met: pages >= 1_000_000 ? effect < 1 : undefined,
      },
    ],
    notes: ['the acknowledgement waits for the disk: it says how fast that is'],
  };
}

export const purge: Scenario = { name: 'purge', run };

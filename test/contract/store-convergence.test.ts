/**
 * Three stores that are written to at random and hand each other what they know in any order, by
 * streams and by snapshots: at the end all have the same bytes, and digests that say so. One more
 * start, after a clean end and after a crash, finds cursors, notes and digests as they were.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nodeId, type RecordId, sequence } from '../../src/base/brands.ts';
import { LmdbEngine } from '../../src/store/lmdb/engine.ts';
import { openLmdbStore } from '../../src/store/lmdb/open.ts';
import { openMemoryStore } from '../../src/store/memory/open.ts';
import { readIdentity, writeIdentity } from '../../src/store/meta.ts';
import type { Store } from '../../src/store/store-options.ts';
import type { WriteOp } from '../../src/table/store-port.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { flushed, replicaOf, snapshot, stream } from '../support/replica-nodes.ts';
import {
  checkRecord,
  definitions,
  ITEM,
  indexedValues,
  patch,
  put,
  remove,
  textOf,
} from './store-fixture.ts';

const NODES = 3;
const IDS = ['a', 'b', 7] as const;

type Step =
  | { readonly kind: 'write'; readonly node: number; readonly op: WriteOp }
  | { readonly kind: 'stream' | 'snapshot'; readonly from: number; readonly to: number };

const id = fc.constantFrom<RecordId>(...IDS);
const value = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.constantFrom('x', null));
const record = fc.dictionary(fc.constantFrom('z', 'tag', 'n', '5'), value, {
  maxKeys: 3,
  noNullPrototype: true,
});
/** Of one node alone: SPEC §15. */
const MINE = { secret: 'of one node' };
const op: fc.Arbitrary<WriteOp> = fc.oneof(
  fc.tuple(id, record).map(([key, one]) => put(key, { id: key, ...one })),
  fc.tuple(id, record).map(([key, one]) => patch(key, one, { create: true })),
  fc
    .tuple(id, fc.integer({ min: -3, max: 3 }))
    .map(([key, amount]) => patch(key, { n: { __op__: 'add', value: amount } }, { create: true })),
  fc
    .tuple(id, fc.constantFrom('z', 'tag'))
    .map(([key, name]) => patch(key, { [name]: null }, { format: 'merge-patch' })),
  id.map((key) => remove(key)),
  fc.constantFrom(put, patch).chain((make) => id.map((key) => make(key, MINE, { isLocal: true }))),
  id.map((key) => remove(key, { isLocal: true })),
);
const node = fc.nat({ max: NODES - 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('write' as const), node, op }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('stream' as const), from: node, to: node }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('snapshot' as const), from: node, to: node }),
  },
);

const options = { definitions, indexedValues, checkRecord, isReplicated: true };

async function run(steps: readonly Step[]): Promise<readonly Store[]> {
  const clocks = Array.from(
    { length: NODES },
    (_, n) => new ManualClock(1_000_000_000_000 + n * 7),
  );
  const stores = clocks.map((clock) => openMemoryStore({ ...options, clock }));
  const at = (n: number): Store => stores[n] as Store;
  for (const one of steps) {
    for (const clock of clocks) clock.advance(3);
    if (one.kind === 'write') await at(one.node).commit([one.op], 'process');
    else if (one.from !== one.to && one.kind === 'stream') await stream(at(one.from), at(one.to));
    else if (one.from !== one.to) await snapshot(at(one.from), at(one.to));
  }
  for (let round = 0; round < 2; round += 1) {
    for (const from of stores) for (const to of stores) if (from !== to) await stream(from, to);
  }
  return stores;
}

/** The record as other nodes are to see it. */
function sharedText(store: Store, key: RecordId): string {
  const { body } = replicaOf(store).rowState(ITEM, key) ?? {};
  return body instanceof Uint8Array ? Buffer.from(body).toString() : '';
}

const isOfOne = (store: Store, key: RecordId): boolean =>
  store.withEntry(ITEM, key, '', (entry) => entry?.isLocal === true);

describe('stores that hand each other what they know', () => {
  it('end with the same bytes and digests, whatever was written where and told when', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), async (steps) => {
        const stores = await run(steps);
        const [first, ...others] = stores as [Store, ...Store[]];
        for (const store of stores) await store.digestsReady;
        for (const other of others) {
          for (const key of IDS) expect(sharedText(other, key)).toBe(sharedText(first, key));
          const digest = replicaOf(first).digest(ITEM);
          expect(replicaOf(other).digest(ITEM)).toEqual(digest);
        }
        for (const store of stores) {
          for (const key of IDS) expect(sharedText(store, key)).not.toContain('secret');
          for (const key of IDS) {
            if (!isOfOne(store, key)) expect(textOf(store, key) ?? '').toBe(sharedText(store, key));
          }
        }
        for (const store of stores) await store.close();
      }),
      { numRuns: 40 },
    );
  });
});

describe('a store on disk, at its next start', () => {
  let path: string;
  let store: Store | undefined;
  const open = async (): Promise<Store> => {
    await store?.close();
    store = await openLmdbStore({ ...options, path, clock: new ManualClock() });
    return store;
  };
  beforeEach(async () => {
    path = await mkdtemp(join(tmpdir(), 'millrace-replica-'));
  });
  afterEach(async () => {
    await store?.close();
    store = undefined;
    await rm(path, { recursive: true, force: true });
  });

  const fill = async (to: Store) => {
    const ops = Array.from({ length: 1_200 }, (_, n) => put(`row${n}`, { id: `row${n}` }));
    await to.commit(ops, 'process');
    await to.commit([patch('row5', { n: 1 }), remove('row6')], 'process');
    await to.commit([put('row7', MINE, { isLocal: true })], 'process');
    const cursors = new Map([[nodeId(5), sequence(12)]]);
    await replicaOf(to).apply({ items: [], cursors, notes: { place: 'x' } });
  };

  it('finds cursors, notes and digests as it left them', async () => {
    const first = await open();
    await first.digestsReady;
    await fill(first);
    const digest = replicaOf(first).digest(ITEM);
    const { author } = replicaOf(first);
    const again = await open();
    expect(replicaOf(again).digest(ITEM)).toEqual(digest);
    expect(replicaOf(again).author).toBe(author);
    expect(replicaOf(again).note('place')).toBe('x');
    const { cursors, sequence: newest } = replicaOf(again).horizon();
    expect([cursors.get(nodeId(5)), cursors.get(author)]).toEqual([12, newest]);
  });

  it('makes the digests anew after a crash, while it is written to', async () => {
    const first = await open();
    await first.digestsReady;
    await fill(first);
    const { author } = replicaOf(first);
    await first.close();
    store = undefined;
    // As a power loss leaves it: never marked as closed, and of another boot.
    const engine = new LmdbEngine({ path: join(path, 'store'), treesMax: 4 });
    const meta = engine.tree('meta');
    const identity = readIdentity(meta);
    await engine.transact(() => {
      if (identity !== undefined) writeIdentity(meta, { ...identity, bootId: '', isClean: false });
      meta.put(['digests', ITEM], Buffer.from('not to be believed'));
    });
    await engine.close();
    const again = await open();
    expect(replicaOf(again).digest(ITEM)).toBeUndefined();
    const writing = Array.from({ length: 40 }, (_, n) =>
      again.commit([put(`row${n * 29}`, { id: `row${n * 29}`, n }), remove(`row${n}`)], 'process'),
    );
    await Promise.all([...writing, again.digestsReady]);
    const kept = replicaOf(again).digest(ITEM);
    expect(replicaOf(again).author).not.toBe(author);
    expect(replicaOf(again).lives.map((life) => life.author)).toContain(author);
    await flushed(again);
    expect(replicaOf(again).horizon().cursors.get(author)).toBe(1_203);
    // What was moved by commits is what a count of all rows comes to.
    const other = openMemoryStore({ ...options, clock: new ManualClock() });
    await other.digestsReady;
    await snapshot(again, other);
    expect(replicaOf(other).digest(ITEM)).toEqual(kept);
    await other.close();
  });
});

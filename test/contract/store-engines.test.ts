/**
 * The two engines agree with each other on any keys the store makes: order, ranges, counts, and
 * what a transaction that throws leaves behind. Order is where key codecs have their surprises.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HIGH, type Key, type Tree } from '../../src/store/engine.ts';
import {
  elementsOf,
  entryKey,
  idOfKey,
  indexElement,
  keyOfElements,
} from '../../src/store/keys.ts';
import { LmdbEngine } from '../../src/store/lmdb/engine.ts';
import { MemoryEngine } from '../../src/store/memory/engine.ts';

const SEED = 20_260_711;
const RUNS = 150;

let path: string;
let lmdb: LmdbEngine;
let onDisk: Tree;

beforeAll(async () => {
  path = await mkdtemp(join(tmpdir(), 'millrace-engines-'));
  lmdb = new LmdbEngine({ path, treesMax: 4 });
  onDisk = lmdb.tree('t');
});
afterAll(async () => {
  await lmdb.close();
  await rm(path, { recursive: true, force: true });
});

const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 12 }),
  fc.string({ unit: 'binary', maxLength: 6 }),
  fc.constantFrom('', '\0', 'a\0b', 'a', 'ab', '\u0001', '\u001c', '~', '\u{10ffff}'),
  fc.string({ minLength: 60, maxLength: 70 }),
  fc.string({ minLength: 400, maxLength: 1_400 }),
);
const id = fc.oneof(text, fc.double({ noNaN: true }), fc.integer());
const variant = fc.oneof(fc.constant(''), text);
const value = fc.oneof(text, fc.double({ noNaN: true }), fc.boolean(), fc.constant(null));
const anEntryKey = fc.tuple(id, variant).map(([one, other]) => entryKey(one, other));
const anIndexKey = fc
  .tuple(value, anEntryKey)
  .map(([one, key]): Key => [indexElement(one), ...elementsOf(key)]);
const aKey = fc.oneof(anEntryKey, anIndexKey);
const keys = fc.array(aKey, { minLength: 1, maxLength: 30 });

async function fill(all: readonly Key[]): Promise<Tree> {
  const memory = new MemoryEngine();
  const inMemory = memory.tree('t');
  const put = (tree: Tree) => {
    for (const key of all) tree.put(key, Buffer.from(JSON.stringify(key)));
  };
  await memory.transact(() => put(inMemory));
  await lmdb.transact(() => {
    for (const key of onDisk.keys({ start: null, end: HIGH })) onDisk.remove(key);
    put(onDisk);
  });
  return inMemory;
}

const pairsOf = (tree: Tree, start: Key, end: Key) => {
  const pairs: [Key, string][] = [];
  tree.range({ start, end }, (key, bytes) => {
    pairs.push([key, Buffer.from(bytes).toString()]);
    return true;
  });
  return pairs;
};

describe('the engines', () => {
  it('hold the same keys in the same order', async () => {
    await fc.assert(
      fc.asyncProperty(keys, async (all) => {
        const inMemory = await fill(all);
        expect(pairsOf(onDisk, null, HIGH)).toEqual(pairsOf(inMemory, null, HIGH));
      }),
      { seed: SEED, numRuns: RUNS },
    );
  }, 60_000);

  it('agree on every range between two keys', async () => {
    await fc.assert(
      fc.asyncProperty(keys, fc.nat(4), fc.nat(4), async (all, offset, limit) => {
        const inMemory = await fill(all);
        const [first = null, last = null] = [all.at(0), all.at(-1)];
        const ranges = [
          { start: first, end: last },
          { start: [...elementsOf(first), HIGH], end: HIGH },
          { start: null, end: last, exclusiveStart: true, offset, limit },
        ];
        for (const range of ranges) {
          expect(onDisk.keys(range)).toEqual(inMemory.keys(range));
          expect(onDisk.count(range)).toBe(inMemory.count(range));
        }
      }),
      { seed: SEED, numRuns: RUNS },
    );
  }, 60_000);

  it('give back ids from keys, and keys from their elements', () => {
    fc.assert(
      fc.property(id, variant, (one, other) => {
        const key = entryKey(one, other);
        const known = idOfKey(key);
        if (known !== undefined)
          expect(Object.is(known, typeof one === 'number' ? one + 0 : one)).toBe(true);
        expect(keyOfElements(elementsOf(key))).toEqual(key);
      }),
      { seed: SEED },
    );
  });

  it('take back everything of a transaction that throws', async () => {
    const inMemory = await fill(['a', 'b']);
    const memory = new MemoryEngine();
    for (const [engine, tree] of [
      [lmdb, onDisk],
      [memory, memory.tree('t')],
    ] as const) {
      await engine.transact(() => tree.put('kept', Buffer.from('x')));
      const failing = engine.transact(() => {
        tree.put('kept', Buffer.from('y'));
        tree.put('new', Buffer.from('z'));
        tree.remove('kept');
        throw new Error('on purpose');
      });
      await expect(failing).rejects.toThrow('on purpose');
      expect(Buffer.from(tree.get('kept') ?? []).toString()).toBe('x');
      expect(tree.get('new')).toBeUndefined();
    }
    expect(inMemory.count({ start: null, end: HIGH })).toBe(2);
  });

  it('show a transaction its own writes', async () => {
    const { result } = await lmdb.transact(() => {
      onDisk.put('own', Buffer.from('1'));
      const first = Buffer.from(onDisk.get('own') ?? []).toString();
      onDisk.put('own', Buffer.from('2'));
      const keysSeen = onDisk.keys({ start: 'own', end: 'owo' });
      return [first, Buffer.from(onDisk.get('own') ?? []).toString(), keysSeen];
    });
    expect(result).toEqual(['1', '2', ['own']]);
  });
});

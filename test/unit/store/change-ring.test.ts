/** The ring of recent changes: found by sequence, never half overwritten, whatever its place. */
import { describe, expect, it } from 'vitest';
import { epochMs, nodeId, recordVersion, sequence, tableName } from '../../../src/base/brands.ts';
import { encodeChange } from '../../../src/store/change-format.ts';
import { ChangeRing } from '../../../src/store/change-ring.ts';
import { createSharedMemory, viewSharedMemory } from '../../../src/store/shared-state.ts';
import type { Change } from '../../../src/table/store-port.ts';

const RING_BYTES = 8_192;

function makeRings() {
  const layout = { tables: 1, scopeSlots: 64, ringBytes: RING_BYTES, ringSlots: 64 };
  const memory = createSharedMemory(layout);
  return {
    writer: new ChangeRing(viewSharedMemory(memory)),
    reader: new ChangeRing(viewSharedMemory(memory)),
  };
}

const changeAt = (at: number, size: number): Change => ({
  sequence: sequence(at),
  version: recordVersion(at * 10),
  author: nodeId(7),
  at: epochMs(1_000 + at),
  table: tableName('T'),
  op: 'put',
  id: `id-${at}`,
  before: at % 2 === 0 ? null : Buffer.alloc(size, `b${at}`),
  after: Buffer.alloc(size, `a${at}`),
});

const appendTo = (ring: ChangeRing, change: Change) =>
  ring.append(change, encodeChange(change, false));

const plain = (change: Change | undefined) =>
  change && {
    ...change,
    before: change.before && Buffer.from(change.before).toString(),
    after: change.after && Buffer.from(change.after).toString(),
  };

describe('the ring of changes', () => {
  it('gives back the newest changes whole, and nothing of those written over', () => {
    const { writer, reader } = makeRings();
    const expected: boolean[] = [];
    for (let at = 1; at <= 500; at += 1) {
      const change = changeAt(at, (at * 37) % 400);
      appendTo(writer, change);
      expect(plain(reader.read(change.sequence))).toEqual(plain(change));
    }
    for (let at = 1; at <= 500; at += 1) {
      const found = reader.read(sequence(at));
      expected.push(found !== undefined);
      if (found !== undefined) expect(plain(found)).toEqual(plain(changeAt(at, (at * 37) % 400)));
    }
    // One break between what is gone and what is there.
    expect(expected.lastIndexOf(false)).toBe(expected.indexOf(true) - 1);
    expect(expected.filter(Boolean).length).toBeGreaterThan(10);
  });

  it('keeps a change too large for it without its rows', () => {
    const { writer, reader } = makeRings();
    appendTo(writer, changeAt(1, RING_BYTES));
    expect(reader.read(sequence(1))).toMatchObject({
      id: 'id-1',
      before: undefined,
      after: undefined,
    });
  });

  it('tells a row that was not there from one it does not hold', () => {
    const { writer, reader } = makeRings();
    appendTo(writer, { ...changeAt(2, 3), after: undefined });
    appendTo(writer, { ...changeAt(3, 3), before: undefined });
    expect([reader.read(sequence(2))?.before, reader.read(sequence(3))?.before]).toEqual([
      null,
      undefined,
    ]);
  });

  it('knows nothing before the first change', () => {
    expect(makeRings().reader.read(sequence(0))).toBeUndefined();
  });
});

/** What the store knows of other logs when it opens, beyond what its cursors say. */
import { describe, expect, it } from 'vitest';
import { type NodeId, nodeId, type Sequence, sequence } from '../../../src/base/brands.ts';
import { AHEAD_NOTE } from '../../../src/base/obeyed-ahead.ts';
import { packPlain } from '../../../src/store/entry-format.ts';
import { MemoryEngine } from '../../../src/store/memory/engine.ts';
import { Knowledge } from '../../../src/store/replica/knowledge.ts';

const [OWN, OTHER] = [nodeId(1), nodeId(2)];
const END = sequence(40);

/** A store that obeyed a purge of the other node, ahead of its place, and was closed. */
async function reopened(cursor: number, ahead: number): Promise<Knowledge> {
  const engine = new MemoryEngine();
  const meta = engine.tree('meta');
  await engine.transact(() => {
    meta.put(['cursor', OTHER], packPlain(cursor));
    meta.put(['note', AHEAD_NOTE], packPlain([[OTHER, ahead, 0]]));
  });
  return new Knowledge(meta, [{ author: OWN, since: sequence(0) }], END);
}

const heldBy = (other: number): ReadonlyMap<NodeId, Sequence> =>
  new Map([
    [OWN, END],
    [OTHER, sequence(other)],
  ]);

describe('a store that opens again [R14]', () => {
  it('believes no entry of who lacks a purge that it obeyed ahead of its place', async () => {
    const { obeyed } = await reopened(5, 8);
    expect(obeyed.upTo(heldBy(7), END)).toBeUndefined();
    expect(obeyed.upTo(heldBy(8), END)).toBe(END);
  });

  it('asks for no more than its cursors where the place has come since', async () => {
    const { obeyed } = await reopened(9, 8);
    expect(obeyed.upTo(heldBy(8), END)).toBeUndefined();
    expect(obeyed.upTo(heldBy(9), END)).toBe(END);
  });
});

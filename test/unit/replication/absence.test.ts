/** A node that was away for longer than others remember what they deleted. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isPresent } from '../../../src/cache/row-state.ts';
import { adoptLimits, LIMIT_DEFAULTS } from '../../../src/config/limits.ts';
import { Fleet } from '../../simulation/fleet.ts';
import { ROWS } from '../../simulation/sim-node.ts';

const RETENTION_MS = 120_000;
const IDS = ['kept', 'gone', 'edited here', 'edited there'];

let fleet: Fleet;
beforeEach(() =>
  adoptLimits({
    ...LIMIT_DEFAULTS,
    ...{ tombstoneRetentionMs: RETENTION_MS, clockAheadMsMax: 5_000, replicationVerifyMs: 4_000 },
  }),
);
afterEach(() => {
  for (const node of fleet.nodes) node.kill();
  adoptLimits(LIMIT_DEFAULTS);
});

const held = (name: string): string[] =>
  [...fleet.node(name).disk.table(ROWS.name).rows]
    .flatMap(([id, state]) => (isPresent(state) ? [String(id)] : []))
    .toSorted();

/** What the store does when the retention of a deletion ends. */
function forgetDeletions(name: string): void {
  const { disk } = fleet.node(name);
  for (const [id, state] of [...disk.table(ROWS.name).rows]) {
    if (!isPresent(state)) disk.setRow(ROWS.name, id, undefined);
  }
  disk.flush();
}

/** Three nodes that hold the same and know it; then `c` writes what nobody gets, and is gone. */
async function partedForGood(): Promise<void> {
  fleet = new Fleet(['a', 'b', 'c']);
  fleet.start();
  for (const id of IDS) fleet.put('a', id, { by: 'a' });
  await fleet.until(() => held('c').length === IDS.length);
  await fleet.pass(30_000);
  fleet.part('c', 'a');
  fleet.part('c', 'b');
  fleet.put('c', 'unsent', { by: 'c' });
  fleet.put('c', 'edited here', { by: 'c' });
  await fleet.pass(100);
  fleet.node('c').kill();
  for (const id of ['gone', 'edited here']) fleet.delete('a', id);
  fleet.put('b', 'edited there', { by: 'b' });
  fleet.put('b', 'new', { by: 'b' });
}

async function back(): Promise<void> {
  fleet.network.heal();
  fleet.node('c').start();
  await fleet.until(() => fleet.node('c').run?.replicator.isCaughtUp === true);
  await fleet.pass(30_000);
}

describe('a node that was away for longer than deletions are remembered', () => {
  it.each([true, false])(
    'drops what was deleted, keeps what it had not sent, and brings nothing back [R15] (log: %s)',
    async (hasLog) => {
      await partedForGood();
      await fleet.pass(RETENTION_MS + 60_000);
      for (const name of ['a', 'b']) {
        forgetDeletions(name);
        if (!hasLog) fleet.node(name).disk.trim(0);
      }
      await back();
      const all = ['edited here', 'edited there', 'kept', 'new', 'unsent'];
      expect(['a', 'b', 'c'].map(held)).toEqual([all, all, all]);
      expect(fleet.record('a', 'unsent')).toEqual({ by: 'c' });
      expect(fleet.record('c', 'edited there')).toEqual({ by: 'b' });
      expect(fleet.faults).toEqual([]);
    },
  );

  it('is no source, and not ready, before it has done so', async () => {
    await partedForGood();
    await fleet.pass(RETENTION_MS + 60_000);
    for (const name of ['a', 'b']) forgetDeletions(name);
    fleet.node('c').start();
    await fleet.pass(10_000);
    expect(fleet.node('c').run?.replicator.isCaughtUp).toBe(false);
    fleet.node('c').kill();
    await fleet.pass(1_000);
    await back();
    expect(held('a')).not.toContain('gone');
    expect(held('c')).not.toContain('gone');
  });

  it('comes back as it was when it was away for less, and drops nothing by itself', async () => {
    await partedForGood();
    await fleet.pass(RETENTION_MS / 2);
    fleet.network.heal();
    fleet.node('c').start();
    expect(fleet.node('c').run?.replicator.isCaughtUp).toBe(true);
    await fleet.pass(30_000);
    const all = ['edited there', 'kept', 'new', 'unsent'];
    expect(['a', 'b', 'c'].map(held)).toEqual([all, all, all]);
  });
});

/**
 * The backbone beside connections (SPEC §13): what it tells comes by it alone, what it does not
 * tell comes from peers, and what it should not tell changes nothing.
 */
import { describe, expect, it } from 'vitest';
import { sequence } from '../../../src/base/brands.ts';
import { versionAt } from '../../../src/base/hlc.ts';
import { putRow } from '../../../src/cache/row-write.ts';
import type { News } from '../../../src/replication/backbone-port.ts';
import { Fleet } from '../../simulation/fleet.ts';
import { ROWS } from '../../simulation/sim-node.ts';
import { UNBOUNDED } from '../../simulation/sim-store.ts';

const NAMES = ['a', 'b', 'c'];

function lineOf(fleet: Fleet, name: string) {
  const status = fleet.node(name).run?.replicator.status();
  if (status?.backbone === undefined) throw new Error(`${name} has no backbone`);
  const pulled = status.peers.reduce((sum, { counts }) => sum + (counts?.merged ?? 0), 0);
  const alone = status.peers.filter(({ isByBackbone }) => isByBackbone).length;
  return { ...status.backbone, pulled, alone };
}

const areTold = (fleet: Fleet) =>
  fleet.until(() => NAMES.every((name) => lineOf(fleet, name).alone === NAMES.length - 1));

const isThere = (fleet: Fleet, id: string) => () =>
  NAMES.every((name) => fleet.record(name, id) !== undefined);

async function started(): Promise<Fleet> {
  const fleet = new Fleet(NAMES, true);
  fleet.start();
  await areTold(fleet);
  return fleet;
}

/** The newest message of a node, changed. */
function newsOf(fleet: Fleet, name: string, change: (last: News) => Partial<News>): News {
  const { author } = fleet.node(name).disk;
  const last = fleet.backbone.lastOf(author);
  if (last === undefined) throw new Error(`${name} has told nothing`);
  return { ...last, ...change(last) };
}

/** A row of `name`, as its next change, stamped `ms` ahead of the clock. */
function nextOf(fleet: Fleet, name: string, ms: number): News {
  return newsOf(fleet, name, ({ author, upTo }) => {
    const at = fleet.world.epoch + fleet.world.now;
    const stamp = { version: versionAt((at + ms) as never), author };
    const times = { storedAt: at as never, ...UNBOUNDED };
    const state = putRow(stamp, { body: Buffer.from('{"red":"x"}'), times });
    const origin = { author, sequence: sequence(upTo + 1), after: upTo };
    const item = { kind: 'row', table: ROWS.name, id: 'next', state, origin } as const;
    return { after: upTo, upTo: sequence(upTo + 1), items: [item] };
  });
}

describe('a fleet with a backbone [R13]', () => {
  it('tells each change there once, and over no connection', async () => {
    const fleet = await started();
    for (let at = 0; at < 20; at += 1) fleet.put('a', `k${at}`, { red: at });
    await fleet.until(isThere(fleet, 'k19'));
    for (const name of ['b', 'c']) {
      expect(lineOf(fleet, name).merged).toBe(20);
      expect(lineOf(fleet, name).pulled).toBe(0);
    }
    expect(fleet.faults).toEqual([]);
  });

  it('confirms what came by it', async () => {
    const fleet = await started();
    fleet.put('a', 'k', { red: 1 });
    await fleet.until(isThere(fleet, 'k'));
    await fleet.until(() => fleet.peerOf('a', 'b')?.unconfirmed === 0);
    expect(fleet.peerOf('b', 'a')?.behind).toBe(0);
  });

  it.each<readonly [string, (fleet: Fleet) => void]>([
    ['is wiped', ({ backbone }) => backbone.wipe()],
    ['is purged', ({ backbone }) => backbone.purge(0)],
    ['is away', ({ backbone }) => backbone.down()],
    ['loses, doubles and mixes up', ({ backbone }) => Object.assign(backbone, { dirt: 0.5 })],
    ['takes no such message', ({ backbone }) => Object.assign(backbone, { itemsMax: 0 })],
  ])('holds the same when it %s', async (_what, upset) => {
    const fleet = await started();
    fleet.put('a', 'before', { red: 1 });
    await fleet.pass(2);
    upset(fleet);
    for (let at = 0; at < 20; at += 1) fleet.put('b', `k${at}`, { red: at });
    fleet.put('a', 'after', { red: 1 });
    await fleet.until(() => isThere(fleet, 'k19')() && isThere(fleet, 'after')());
    expect(isThere(fleet, 'before')()).toBe(true);
    fleet.backbone.up();
    fleet.backbone.dirt = 0;
    fleet.backbone.itemsMax = 100;
    fleet.put('a', 'again', { red: 1 });
    await fleet.until(isThere(fleet, 'again'));
    await fleet.until(() => NAMES.every((name) => lineOf(fleet, name).isConnected));
    expect(fleet.faults).toEqual([]);
  });

  it('goes on from the place that a node kept with its rows', async () => {
    const fleet = await started();
    fleet.put('a', 'one', { red: 1 });
    await fleet.until(isThere(fleet, 'one'));
    fleet.node('b').kill();
    fleet.backbone.attachMs = 0;
    fleet.put('a', 'two', { red: 1 });
    await fleet.pass(3_000);
    fleet.node('b').start();
    await fleet.until(isThere(fleet, 'two'));
    expect(lineOf(fleet, 'b').pulled).toBe(0);
    expect(lineOf(fleet, 'b').counts.applied).toBe(1);
  });

  it('takes nothing that is known, does not follow, is malformed, or is of who has left', async () => {
    const fleet = await started();
    fleet.put('a', 'k', { red: 1 });
    await fleet.until(isThere(fleet, 'k'));
    const before = { ...lineOf(fleet, 'b').counts };
    const real = newsOf(fleet, 'a', () => ({}));
    const say = (change: (last: News) => Partial<News>) =>
      fleet.backbone.store({ ...real, ...change(real) });
    // Another `since` is another id: the server takes it.
    say(() => ({ since: sequence(900) }));
    const { author } = fleet.node('a').disk;
    const { upTo } = real;
    say(() => ({ after: sequence(upTo + 5), upTo: sequence(upTo + 9), items: [] }));
    say(() => ({ after: upTo, upTo: sequence(upTo + 3) }));
    say(() => ({ after: upTo, upTo: sequence(upTo + 4), items: 'none' as never }));
    await fleet.until(() => (lineOf(fleet, 'b').counts.refused ?? 0) >= 2);
    const { known, gap, refused, applied } = lineOf(fleet, 'b').counts;
    expect([known, gap, refused]).toEqual([(before.known ?? 0) + 1, (before.gap ?? 0) + 1, 2]);
    expect(applied).toBe(before.applied);
    expect(fleet.node('b').run?.store.horizon().cursors.get(author)).toBe(upTo);
  });

  it('takes nothing that is stamped ahead of the clock', async () => {
    const fleet = await started();
    fleet.put('a', 'k', { red: 1 });
    fleet.put('b', 'l', { red: 1 });
    await fleet.until(() => isThere(fleet, 'k')() && isThere(fleet, 'l')());
    fleet.backbone.store(nextOf(fleet, 'a', 120_000));
    await fleet.until(() => lineOf(fleet, 'b').counts.ahead === 1);
    expect(fleet.record('b', 'next')).toBeUndefined();
    fleet.backbone.store({ ...nextOf(fleet, 'b', 1_000), since: sequence(7) });
    await fleet.until(() => fleet.record('c', 'next') !== undefined);
  });
});

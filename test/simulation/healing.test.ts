/**
 * How soon nodes hold the same after they can talk again, in virtual time: whatever the outage was
 * and however long, within five seconds. Rows are written on both sides until it ends.
 */
import { describe, expect, it } from 'vitest';
import { Fleet } from './fleet.ts';
import { Random } from './random.ts';
import { ROWS } from './sim-node.ts';

const NAMES = ['n1', 'n2', 'n3'];
const HEAL_MS_MAX = 5_000;
const ROUNDS = 30;

type Outage = 'partition' | 'one way' | 'flapping';

const isSame = (fleet: Fleet): boolean => {
  const [first, ...others] = fleet.nodes.map(({ disk }) => disk.table(ROWS.name).digest);
  return others.every(
    (digest) => Buffer.compare(Buffer.from(digest), Buffer.from(first ?? [])) === 0,
  );
};

async function started(): Promise<Fleet> {
  const fleet = new Fleet(NAMES);
  fleet.start();
  await fleet.until(() => fleet.nodes.every(({ run }) => run?.replicator.isCaughtUp === true));
  return fleet;
}

function cut(fleet: Fleet, outage: Outage): void {
  for (const other of ['n2', 'n3']) {
    fleet.network.cut('n1', other);
    if (outage !== 'one way') fleet.network.cut(other, 'n1');
  }
}

async function suffer(fleet: Fleet, outage: Outage, ms: number): Promise<void> {
  const end = fleet.world.now + ms;
  for (let at = 0; fleet.world.now < end; at += 1) {
    if (outage === 'flapping' && at % 2 === 1) fleet.network.heal();
    else cut(fleet, outage);
    for (const name of NAMES) fleet.put(name, `${name} ${at}`, { at: fleet.world.now });
    fleet.put(NAMES[at % NAMES.length] ?? '', 'shared', { at });
    await fleet.pass(Math.min(400, end - fleet.world.now));
  }
}

async function healedAfter(fleet: Fleet): Promise<number> {
  const begun = fleet.world.now;
  fleet.network.heal();
  await fleet.until(() => isSame(fleet));
  return fleet.world.now - begun;
}

describe('nodes that can talk again', () => {
  it.each(['partition', 'one way', 'flapping'] as const)(
    'hold the same within five seconds of the end of it [R2] (%s)',
    async (outage) => {
      const random = new Random(outage.length);
      const fleet = await started();
      const times: number[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        const ms = round % 3 === 0 ? random.below(1_000) : random.below(30_000);
        await suffer(fleet, outage, ms);
        expect(fleet.node('n1').disk.sequence).toBeGreaterThan(0);
        times.push(await healedAfter(fleet));
      }
      expect(fleet.faults).toEqual([]);
      expect(Math.max(...times)).toBeLessThanOrEqual(HEAL_MS_MAX);
    },
    180_000,
  );
});

/**
 * Three nodes on machines of their own (network namespaces) lose the link for longer than their
 * logs reach back, their processes in the middle of a snapshot, a disk, and their name to another
 * node, while clients write. In the end all hold the same, and all that was answered.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { SHORT_LOG } from '../support/cluster-app.ts';
import { MachineFleet } from '../support/machine-fleet.ts';
import { namespacesMissing } from '../support/namespaces.ts';
import { until } from '../support/node-process.ts';

/** More than the log holds. */
const MANY = 400;
const missing = namespacesMissing();

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

describe.skipIf(missing !== '')(`three nodes on machines of their own${missing} [R3]`, () => {
  let fleet: MachineFleet;
  const [one, other, third] = [0, 1, 2] as const;
  beforeAll(async () => {
    fleet = await MachineFleet.start({ files: SHORT_LOG, count: 3 });
  });
  afterEach(() => fleet.rest());
  afterAll(() => fleet.dispose());

  it('merge what both sides wrote while they were apart for longer than logs reach back', async () => {
    const { ledger } = fleet;
    await ledger.fill(fleet.node(one), 'before', 20);
    await fleet.same();
    fleet.write();
    fleet.cut(third);
    await ledger.fill(fleet.node(third), 'far', MANY);
    await ledger.fill(fleet.node(one), 'near', MANY);
    for (const n of [0, 1, 2]) {
      await ledger.remove(fleet.node(third), `before${n}`);
      await ledger.remove(fleet.node(one), `before${10 + n}`);
    }
    fleet.heal();
    expect(await fleet.faults()).toEqual([]);
  });

  it('hold all of it when one is killed again and again while it takes a snapshot', async () => {
    await fleet.kill(third);
    fleet.write([one, other]);
    for (let part = 0; part < 3; part += 1) {
      await fleet.ledger.fill(fleet.node(one), `snapshot${part}-`, 1_000, 300);
    }
    for (let kill = 0; kill < 2; kill += 1) {
      await fleet.start(third);
      await until('a snapshot to be under way, or over', async () => {
        const { connections } = await fleet.node(third).operate({ operation: 'cluster_status' });
        const states = (connections as { state: string }[]).map(({ state }) => state);
        return states.includes('snapshot') || states.every((state) => state === 'live');
      });
      await fleet.kill(third);
    }
    await fleet.start(third);
    expect(await fleet.faults()).toEqual([]);
  });

  it('give back to one that comes without its disk all that it ever answered', async () => {
    fleet.write();
    await fleet.rest();
    // A disk takes with it what nobody else has.
    await fleet.isElsewhere(other);
    fleet.write([one, third]);
    await fleet.kill(other);
    await fleet.start(other, { isEmpty: true });
    fleet.write([other]);
    expect(await fleet.faults()).toEqual([]);
  });

  it('turn away another node that has the name of one of them', async () => {
    fleet.write();
    const twin = await fleet.twin(other);
    await until('the refusal', () => twin.stderr().includes('DUPLICATE_NODE'));
    const isRefused = async () => (await twin.put('/Item/of-the-twin', {})).status === 503;
    await until('refused writes', isRefused);
    await twin.dispose();
    expect(await fleet.faults()).toEqual([]);
    const answer = await fleet.node(other).fetch('/Item/of-the-twin');
    expect(answer.status).toBe(404);
  });
});

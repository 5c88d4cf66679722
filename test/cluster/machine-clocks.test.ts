/**
 * Three nodes on machines of their own (network namespaces), of which one has a clock that is an
 * hour ahead or behind, or steps, while clients write at all of them. In the end all hold the same,
 * and all that was answered: also what a node had answered before it heard that its clock is wrong.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { CLUSTER_APP } from '../support/cluster-app.ts';
import { MachineFleet } from '../support/machine-fleet.ts';
import { namespacesMissing } from '../support/namespaces.ts';
import { until } from '../support/node-process.ts';

const HOUR_MS = 3_600_000;
const missing = namespacesMissing();

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

describe.skipIf(missing !== '')(`three nodes, one with a wrong clock${missing} [R7]`, () => {
  let fleet: MachineFleet;
  const wrong = 2;
  beforeAll(async () => {
    fleet = await MachineFleet.start({ files: CLUSTER_APP, count: 3 });
  });
  afterEach(() => fleet.rest());
  afterAll(() => fleet.dispose());

  const again = async (offsetMs: number): Promise<void> => {
    fleet.setClock(wrong, offsetMs);
    await fleet.kill(wrong);
    await fleet.start(wrong);
  };
  const isWrittenEverywhere = (id: string) =>
    until('a write of the node', async () => {
      if (!(await fleet.ledger.put(fleet.node(wrong), id))) return false;
      const answers = fleet.nodes.map((node) => node.fetch(`/Item/${id}`));
      return (await Promise.all(answers)).every(({ ok }) => ok);
    });

  it('an hour ahead, and put right', async () => {
    fleet.write();
    await again(HOUR_MS);
    await until('the refusal', async () => {
      const answer = await fleet.node(wrong).put('/Item/refused', {});
      return (await answer.text()).includes('CLOCK_AHEAD');
    });
    await again(0);
    await isWrittenEverywhere('right');
    await fleet.ledger.remove(fleet.node(0), 'refused');
    expect(await fleet.faults()).toEqual([]);
  });

  it('an hour behind, and put right', async () => {
    fleet.write();
    await again(-HOUR_MS);
    await isWrittenEverywhere('behind');
    await again(0);
    await isWrittenEverywhere('righted');
    expect(await fleet.faults()).toEqual([]);
  });

  it('that steps to and fro', async () => {
    fleet.write();
    for (const [step, offset] of [HOUR_MS, -HOUR_MS, 300_000, -300_000, 0].entries()) {
      fleet.setClock(wrong, offset);
      // Its monotonic clock goes on: it is as right as before.
      await isWrittenEverywhere(`step${step}`);
    }
    expect(await fleet.faults()).toEqual([]);
  });
});

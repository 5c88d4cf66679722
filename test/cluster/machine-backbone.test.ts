/**
 * Three nodes on machines of their own (network namespaces) that meet by a NATS server on another
 * machine only: its cable is pulled, packets go one way, a node is cut off from it, comes without
 * its disk, or with a wrong clock, or finds its name taken, while clients write. In the end all
 * hold the same, and all that was answered. What befalls the server: `backbone.test.ts`.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { SHORT_LOG } from '../support/cluster-app.ts';
import { MachineFleet } from '../support/machine-fleet.ts';
import { type Machine, namespacesMissing } from '../support/namespaces.ts';
import { isNatsMissing, NatsServer } from '../support/nats-server.ts';
import { until } from '../support/node-process.ts';

const HOUR_MS = 3_600_000;
const missing = isNatsMissing ? ' (nats-server is not installed)' : namespacesMissing();

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

describe.skipIf(missing !== '')(`three nodes that meet by a NATS server${missing} [R13]`, () => {
  let fleet: MachineFleet;
  let place: Machine;
  let server: NatsServer;
  const [one, other, third] = [0, 1, 2] as const;
  beforeAll(async () => {
    fleet = await MachineFleet.start({
      files: SHORT_LOG,
      count: 3,
      meet: async (machines) => {
        place = machines.add();
        server = await NatsServer.start({ machine: place });
        return ['--nats', server.url];
      },
    });
  });
  afterEach(() => fleet.rest());
  afterAll(async () => {
    await fleet.dispose();
    await server.dispose();
  });

  it('hold the same when its cable was pulled to and fro, and packets went one way', async () => {
    fleet.write();
    for (let flap = 0; flap < 4; flap += 1) {
      place.unplug();
      await fleet.ledger.put(fleet.node(other), `pulled${flap}`);
      place.plug();
      await fleet.ledger.put(fleet.node(third), `plugged${flap}`);
    }
    place.drop('to', fleet.host(one).address);
    await fleet.ledger.put(fleet.node(one), 'one-way');
    place.pass();
    await fleet.areJoined();
    expect(await fleet.faults()).toEqual([]);
  });

  it('merge what both sides wrote while one was cut off for longer than logs reach back', async () => {
    fleet.write();
    fleet.host(third).drop('to', place.address);
    place.drop('to', fleet.host(third).address);
    await fleet.ledger.fill(fleet.node(third), 'far', 400);
    await fleet.ledger.fill(fleet.node(one), 'near', 400);
    fleet.heal();
    place.pass();
    await fleet.areJoined();
    expect(await fleet.faults()).toEqual([]);
  });

  it('give back to one that comes without its disk all that it ever answered', async () => {
    fleet.write();
    await fleet.rest();
    await fleet.isElsewhere(other);
    fleet.write([one, third]);
    await fleet.kill(other);
    await fleet.start(other, { isEmpty: true });
    fleet.write([other]);
    await fleet.areJoined();
    expect(await fleet.faults()).toEqual([]);
  });

  it('turn away another node that has the name of one of them', async () => {
    fleet.write();
    const twin = await fleet.twin(other);
    await until('the refusal', () => twin.stderr().includes('DUPLICATE_NODE'));
    await twin.dispose();
    expect(await fleet.faults()).toEqual([]);
  });

  it('keep what a node answered whose clock was an hour ahead, and was put right', async () => {
    fleet.write();
    for (const offset of [HOUR_MS, 0]) {
      fleet.setClock(third, offset);
      await fleet.kill(third);
      await fleet.start(third);
    }
    await fleet.areJoined();
    expect(await fleet.faults()).toEqual([]);
  });
});

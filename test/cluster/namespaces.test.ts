/**
 * The same over the kernel's own network: three nodes in namespaces of their own, at addresses of
 * their own, whose cables are pulled. Left out where namespaces cannot be had.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLUSTER_TOKEN } from '../support/cluster.ts';
import { CLUSTER_APP } from '../support/cluster-app.ts';
import { hasNamespaces, type Machine, Machines } from '../support/namespaces.ts';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';

const HEAL_MS = 30_000;

describe.skipIf(!hasNamespaces())('nodes on machines of their own', () => {
  let machines: Machines;
  const hosts: Machine[] = [];
  const nodes: NodeProcess[] = [];
  beforeAll(async () => {
    machines = new Machines();
    for (let n = 1; n <= 3; n += 1) {
      const host = machines.add();
      const first = nodes[0]?.replication;
      hosts.push(host);
      nodes.push(
        await startNode({
          files: CLUSTER_APP,
          launcher: host.launcher,
          flags: [
            ...['--host', host.address, '--node-name', `n${n}`, '--cluster-token', CLUSTER_TOKEN],
            ...(first === undefined ? [] : ['--peer', first]),
          ],
        }),
      );
    }
  });
  afterAll(async () => {
    await Promise.all(nodes.map((node) => node.dispose()));
    machines.remove();
  });

  const hold = async (ids: readonly string[]): Promise<void> => {
    await until(
      `${ids.join()} everywhere`,
      async () => {
        const held = await Promise.all(
          nodes.map(async (node) => (await node.fetch('/Item/')).text()),
        );
        const isSame = held.every((text) => text === held[0]);
        return isSame && ids.every((id) => held[0]?.includes(`"id":"${id}"`));
      },
      HEAL_MS,
    );
  };

  it('hold the same', async () => {
    await Promise.all(nodes.map((node, n) => node.put(`/Item/at${n}`, { name: 'x' })));
    await hold(['at0', 'at1', 'at2']);
  });

  it('go on while a cable is pulled, and hold the same when it is plugged in', async () => {
    const [, , third] = hosts;
    third?.unplug();
    await nodes[0]?.put('/Item/here', { name: 'here' });
    await nodes[1]?.put('/Item/there', { name: 'there' });
    third?.plug();
    await nodes[2]?.put('/Item/back', { name: 'back' });
    await hold(['here', 'there', 'back']);
  });

  it('lose nothing when packets go one way only', async () => {
    const [first, second, third] = hosts;
    for (const other of [second, third]) first?.drop('to', other?.address ?? '');
    await nodes[0]?.put('/Item/out', { name: 'out' });
    await nodes[2]?.put('/Item/in', { name: 'in' });
    expect((await nodes[1]?.fetch('/Item/out'))?.status).toBe(404);
    first?.pass();
    await hold(['out', 'in']);
  });
});

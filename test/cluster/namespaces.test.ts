/**
 * The same over the kernel's own network: three nodes in namespaces of their own, at addresses of
 * their own, whose cables are pulled. Left out where namespaces cannot be had.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLUSTER_TOKEN, equalDigests } from '../support/cluster.ts';
import { CLUSTER_APP } from '../support/cluster-app.ts';
import { hasNamespaces, type Machine, Machines } from '../support/namespaces.ts';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';

const HEAL_MS = 30_000;
const ALL = '/Item/?limit(100000)';
const ANSWER_MS = 5_000;
const JSON_TYPE = { 'content-type': 'application/json' };

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
        const held = await Promise.all(nodes.map(async (node) => (await node.fetch(ALL)).text()));
        const isSame = held.every((text) => text === held[0]);
        return isSame && ids.every((id) => held[0]?.includes(`"id":"${id}"`));
      },
      HEAL_MS,
    );
    await equalDigests(nodes, HEAL_MS);
  };
  /** Writes, adds and deletes at a node until told to stop; what it answered. */
  function writing(node: NodeProcess, name: string) {
    const answered = { put: [] as string[], deleted: [] as string[], adds: 0, unsure: 0 };
    let isOver = false;
    // The test reaches a node by the cable that it pulls.
    const ask = async (id: string, init: RequestInit): Promise<boolean> => {
      const signal = AbortSignal.timeout(ANSWER_MS);
      const response = await node.fetch(`/Item/${id}`, { ...init, headers: JSON_TYPE, signal });
      return response.ok;
    };
    const asked = (id: string, init: RequestInit) => ask(id, init).catch(() => false);
    const run = async () => {
      for (let n = 0; !isOver; n += 1) {
        const id = `${name}-${n}`;
        if (await asked(id, { method: 'PUT', body: '{}' })) answered.put.push(id);
        const body = '{"count":{"__op__":"add","value":1}}';
        if (await asked('sum', { method: 'PATCH', body })) answered.adds += 1;
        else answered.unsure += 1;
        const gone = n % 4 === 3 ? answered.put.shift() : undefined;
        if (gone !== undefined && (await asked(gone, { method: 'DELETE' }))) {
          answered.deleted.push(gone);
        }
      }
    };
    const running = run();
    return async () => {
      isOver = true;
      await running;
      return answered;
    };
  }

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

  it('keep all that they answered while cables flap and packets go one way', async () => {
    await nodes[0]?.put('/Item/sum', { name: 'sum', count: 0 });
    await hold(['sum']);
    const ends = nodes.map((node, n) => writing(node, `w${n}`));
    for (const [n, host] of hosts.entries()) {
      const next = (n + 1) % hosts.length;
      for (let flap = 0; flap < 4; flap += 1) {
        host.unplug();
        await nodes[next]?.put(`/Item/flap${n}`, { count: flap });
        host.plug();
        await nodes[next]?.put(`/Item/flap${n}`, { count: -flap });
      }
      host.drop('to', hosts[next]?.address ?? '');
      await nodes[next]?.put(`/Item/oneway${n}`, { count: n });
      host.pass();
    }
    const answered = await Promise.all(ends.map((end) => end()));
    await hold(answered.flatMap(({ put }) => put));
    const rows = (await (await nodes[2]?.fetch(ALL))?.json()) as { id: string }[];
    const ids = new Set(rows.map(({ id }) => id));
    expect(answered.flatMap(({ deleted }) => deleted).filter((id) => ids.has(id))).toEqual([]);
    const adds = answered.reduce((sum, one) => sum + one.adds, 0);
    const unsure = answered.reduce((sum, one) => sum + one.unsure, 0);
    const sum = rows.find(({ id }) => id === 'sum') as { count?: number } | undefined;
    expect(sum?.count).toBeGreaterThanOrEqual(adds);
    expect(sum?.count).toBeLessThanOrEqual(adds + unsure);
  }, 90_000);
});

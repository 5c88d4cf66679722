/**
 * The core of replication over real connections: what its frames are made of survives the codec,
 * and three nodes that dial one another hold the same, whatever ends their connections. The stores
 * are the simulator's.
 */
import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { recordVersion } from '../../src/base/brands.ts';
import { systemClock } from '../../src/base/clock.ts';
import { deleteRow, patchRow, putRow } from '../../src/cache/row-write.ts';
import type { PeerConnection } from '../../src/protocols/replication/connection.ts';
import { LinkCounts } from '../../src/protocols/replication/counts.ts';
import { dialPeer } from '../../src/protocols/replication/dial.ts';
import { listenForPeers } from '../../src/protocols/replication/listener.ts';
import { ClusterSecret } from '../../src/protocols/replication/proof.ts';
import { createReplicator, type Replicator } from '../../src/replication/replicator.ts';
import { EVERYTHING } from '../../src/replication/selection.ts';
import { Disk } from '../simulation/disk.ts';
import { Random } from '../simulation/random.ts';
import { ROWS } from '../simulation/sim-node.ts';
import { SimOrigins } from '../simulation/sim-origins.ts';
import { SimStore, UNBOUNDED } from '../simulation/sim-store.ts';
import { RunClock, World } from '../simulation/world.ts';
import { until } from '../support/node-process.ts';

const secret = await ClusterSecret.derive('one token for all');
const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
});

/** The simulator's time, moved on by the real one. */
function realWorld(): World {
  const world = new World();
  const startedAt = performance.now();
  const timer = setInterval(() => {
    void world.runUntil(Math.floor(performance.now() - startedAt));
  }, 2);
  cleanUp.push(() => clearInterval(timer));
  return world;
}

interface RealNode {
  readonly name: string;
  readonly store: SimStore;
  readonly disk: Disk;
  readonly replicator: Replicator;
  readonly connections: PeerConnection[];
  readonly counts: LinkCounts;
  readonly problems: string[];
  readonly url: string;
}

async function node(name: string, world: World, peers: readonly string[]): Promise<RealNode> {
  const random = new Random(name.charCodeAt(1));
  const disk = new Disk(1 + random.below(2 ** 31));
  const clock = new RunClock(world, 0);
  const origins = new SimOrigins(() => undefined);
  const ledger = {
    ...{ restamped: () => undefined, merged: () => undefined },
    ...{ origins, invalidating: () => undefined },
  };
  const store = new SimStore({
    ...{ world, clock, disk, random, ledger, tables: [ROWS], flushMs: 2 },
  });
  const counts = new LinkCounts();
  const problems: string[] = [];
  const watch = { counts, onFault: (error: unknown) => problems.push(String(error)) };
  const options = { name, secret, tls: undefined, revoked: () => new Set<string>(), watch };
  const connections: PeerConnection[] = [];
  const kept = (connection: PeerConnection) => {
    connections.push(connection);
    return connection;
  };
  const listener = await listenForPeers({
    ...{ ...options, host: '127.0.0.1', port: 0 },
    accept: (connection) => replicator.accept(kept(connection)),
  });
  const url = `ws://127.0.0.1:${listener.port}`;
  const replicator = createReplicator({
    ...{ store, name, peers, urls: [url], clock: systemClock, random: Math.random },
    ...{ cluster: 'test', instance: randomUUID(), selection: EVERYTHING },
    dial: async (to) => kept(await dialPeer(to, options)),
    events: {
      refused: (_, why) => problems.push(why),
      failed: (error) => problems.push(String(error)),
    },
  });
  cleanUp.push(async () => {
    replicator.stop();
    await listener.close();
  });
  return { name, store, disk, replicator, connections, counts, problems, url };
}

/** Stamps of all kinds by the digest, and what the records are. */
function rowsOf({ disk }: RealNode): string {
  const { rows, digest } = disk.table(ROWS.name);
  const texts = [...rows].map(([id, { body }]) => {
    const text = body instanceof Uint8Array ? Buffer.from(body).toString() : JSON.stringify(body);
    return `${id} ${text}`;
  });
  return `${texts.toSorted().join('\n')}\n${digest.join()}`;
}

async function same(nodes: readonly RealNode[], rows: number): Promise<void> {
  await until('the same everywhere', () => {
    const [first, ...others] = nodes.map(rowsOf);
    const count = nodes[0]?.disk.table(ROWS.name).rows.size;
    return count === rows && others.every((each) => each === first);
  });
  for (const { problems, name } of nodes)
    expect({ name, problems }).toEqual({ name, problems: [] });
}

const body = (value: unknown) => Buffer.from(JSON.stringify(value));

function write(at: RealNode, id: string, value: unknown): void {
  const { store } = at;
  store.write(
    ROWS.name,
    id,
    (_state, stamp) =>
      putRow(stamp, { body: body(value), times: { storedAt: store.now(), ...UNBOUNDED } }),
    () => undefined,
  );
}

function patch(at: RealNode, id: string, set: Record<string, unknown>, added = {}): void {
  const { store } = at;
  store.write(
    ROWS.name,
    id,
    (state, stamp) => patchRow(state, stamp, { set, added }),
    () => undefined,
  );
}

describe('replication over sockets', () => {
  it('carries puts, patches, additions and deletes, and what a deleted row keeps', async () => {
    const world = realWorld();
    const one = await node('n1', world, []);
    const two = await node('n2', world, [one.url]);
    write(one, 'a', { text: 'ü', list: [1, null, { deep: [] }] });
    await same([one, two], 1);
    patch(two, 'a', { more: { a: [null] } }, { count: 2.5 });
    patch(one, 'a', { text: 'one' }, { count: 1 });
    await same([one, two], 1);
    const { store } = one;
    store.write(
      ROWS.name,
      'a',
      (_, stamp) => deleteRow(stamp),
      () => undefined,
    );
    write(two, 'b', { big: 'x'.repeat(300_000) });
    await same([one, two], 2);
    expect(store.newestVersion()).toBeGreaterThan(recordVersion(0));
  });

  it('has three nodes that know one address learn each other and hold the same', async () => {
    const world = realWorld();
    const one = await node('n1', world, []);
    const others = [await node('n2', world, [one.url]), await node('n3', world, [one.url])];
    const all = [one, ...others];
    for (const each of all) write(each, each.name, { by: each.name });
    await same(all, 3);
    await until('all connections', () =>
      all.every(({ replicator }) => replicator.liveNames.length === 3),
    );
  });

  it('goes on over new connections whenever one ends', async () => {
    const world = realWorld();
    const one = await node('n1', world, []);
    const two = await node('n2', world, [one.url]);
    for (let n = 0; n < 10; n += 1) {
      write(one, `a${n}`, { n });
      write(two, `b${n}`, { n });
      for (const connection of one.connections.splice(0)) connection.close('cut by the test');
      await until('another', () => two.replicator.liveNames.length === 2);
    }
    await same([one, two], 20);
  });
});

/**
 * A few simulated nodes without a schedule, for tests that say themselves what happens when; and a
 * connection to one of them that the test speaks over, as a node that does what it must not.
 */
import { type NodeId, nodeId, type RecordId } from '../../src/base/brands.ts';
import { isPresent, recordOfRow } from '../../src/cache/row-state.ts';
import { deleteRow, patchRow, putRow } from '../../src/cache/row-write.ts';
import type { Frame, HelloFrame } from '../../src/replication/frames.ts';
import type { ChangeLink, ReplicatedTable } from '../../src/replication/ports.ts';
import { Random } from './random.ts';
import { SimBackbone } from './sim-backbone.ts';
import { SimNetwork } from './sim-network.ts';
import { CACHE, ROWS, SimNode } from './sim-node.ts';
import { SimOrigins } from './sim-origins.ts';
import { UNBOUNDED } from './sim-store.ts';
import { World } from './world.ts';

export class Fleet {
  readonly world = new World();
  readonly network = new SimNetwork(this.world, new Random(1));
  readonly nodes: SimNode[] = [];
  readonly faults: string[] = [];
  readonly origins = new SimOrigins((why) => this.faults.push(why));
  readonly #backbone: SimBackbone | undefined;

  /** With `withBackbone` there is a stream that a server keeps. */
  constructor(names: readonly string[], withBackbone = false) {
    const random = new Random(2);
    this.network.isDirty = true;
    if (withBackbone) this.#backbone = new SimBackbone(this.world, new Random(3));
    for (const [at, name] of names.entries()) {
      const node = new SimNode({
        ...{ world: this.world, network: this.network, random: random.fork(), name },
        peers: names.slice(0, at),
        node: (other) => this.nodes.find((one) => one.name === other),
        flushMs: 3,
        backbone: this.#backbone,
        ledger: {
          ...{ restamped: () => undefined, merged: () => undefined },
          ...{ origins: this.origins, invalidating: (item) => this.origins.invalidating(item) },
        },
        fault: (why) => this.faults.push(why),
      });
      this.nodes.push(node);
    }
  }

  get backbone(): SimBackbone {
    if (this.#backbone === undefined) throw new Error('this fleet has no backbone');
    return this.#backbone;
  }

  node(name: string): SimNode {
    const found = this.nodes.find((one) => one.name === name);
    if (found === undefined) throw new Error(`there is no node ${name}`);
    return found;
  }

  start(): void {
    for (const node of this.nodes) node.start();
  }

  async pass(ms: number): Promise<void> {
    await this.world.runUntil(this.world.now + ms);
  }

  /** Waits for a condition, in virtual time. */
  async until(holds: () => boolean, ms = 30_000): Promise<void> {
    const end = this.world.now + ms;
    while (!holds() && this.world.now < end) await this.pass(50);
    if (!holds()) throw new Error(`it did not come to hold: ${holds}`);
  }

  part(one: string, other: string): void {
    this.network.cut(one, other);
    this.network.cut(other, one);
  }

  put(name: string, id: RecordId, record: Readonly<Record<string, unknown>>): void {
    const times = { storedAt: this.world.epoch as never, ...UNBOUNDED };
    const body = Buffer.from(JSON.stringify(record));
    this.node(name).run?.store.write(
      ROWS.name,
      id,
      (_old, stamp) => putRow(stamp, { body, times }),
      () => undefined,
    );
  }

  add(name: string, id: RecordId, attribute: string, amount: number): void {
    this.node(name).run?.store.write(
      ROWS.name,
      id,
      (old, stamp) => patchRow(old, stamp, { set: {}, added: { [attribute]: amount } }),
      () => undefined,
    );
  }

  delete(name: string, id: RecordId): void {
    this.node(name).run?.store.write(
      ROWS.name,
      id,
      (_old, stamp) => deleteRow(stamp),
      () => undefined,
    );
  }

  tell(name: string, kind: 'message' | 'invalidation'): void {
    const table: ReplicatedTable = kind === 'message' ? ROWS : CACHE;
    const { run } = this.node(name);
    run?.store.tell({ kind }, table.name, 'k', (item) => {
      if (item.kind === 'invalidation') void run.replicator.announcePurge(item, 1_000);
    });
  }

  record(name: string, id: RecordId): Readonly<Record<string, unknown>> | undefined {
    const state = this.node(name).row(ROWS, id);
    return state === undefined || !isPresent(state) ? undefined : recordOfRow(state);
  }

  peerOf(name: string, peer: string) {
    return this.node(name)
      .run?.replicator.status()
      .peers.find((one) => one.name === peer);
  }

  /** A connection to a node which the test speaks over. */
  async stranger(to: string, name = 'stranger'): Promise<Stranger> {
    const dialling = this.network.dial(name, to, () => this.node(to).door());
    await this.pass(20);
    return new Stranger(this, await dialling, name);
  }
}

export class Stranger {
  readonly author: NodeId = nodeId(4_242);
  readonly heard: Frame[] = [];
  why: string | undefined;
  readonly #fleet: Fleet;
  readonly #link: ChangeLink;
  readonly #name: string;

  constructor(fleet: Fleet, link: ChangeLink, name: string) {
    this.#fleet = fleet;
    this.#link = link;
    this.#name = name;
    link.use({
      received: (frame) => this.heard.push(frame as Frame),
      drained: () => undefined,
      gone: (why) => {
        this.why = why;
      },
    });
  }

  async say(frame: unknown): Promise<void> {
    this.#link.send(frame as Readonly<Record<string, unknown>>);
    await this.#fleet.pass(30);
  }

  async greet(change: Partial<HelloFrame> = {}): Promise<void> {
    const hello: HelloFrame = {
      ...{ kind: 'hello', protocol: 1, oldest: 1, cluster: 'simulated', name: this.#name },
      ...{ author: this.author, instance: `${this.#name}/1`, members: [], joining: false },
      now: (this.#fleet.world.epoch + this.#fleet.world.now) as never,
      ...{ tables: [ROWS, CACHE], selection: [] },
    };
    await this.say({ ...hello, ...change });
  }

  last<K extends Frame['kind']>(kind: K): Extract<Frame, { kind: K }> | undefined {
    const found = this.heard.findLast((frame) => frame.kind === kind);
    return found as Extract<Frame, { kind: K }> | undefined;
  }

  /** Answers the node's `open` so that it waits for batches. */
  async begin(covers: readonly (readonly [number, number])[] = []): Promise<number> {
    const stream = this.last('open')?.stream ?? 0;
    await this.say({ kind: 'begin', stream, mode: 'stream', last: 0, covers, retryMs: 0 });
    return stream;
  }
}

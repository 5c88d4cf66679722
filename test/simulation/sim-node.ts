/**
 * A simulated node: its disk, and one run of a process at a time, which is ended without notice, by
 * a power cut, or in good order. What a run left under way never happens.
 */
import { type RecordId, tableName } from '../../src/base/brands.ts';
import type { ChangeLink, ReplicatedTable } from '../../src/replication/ports.ts';
import { createReplicator, type Replicator } from '../../src/replication/replicator.ts';
import { EVERYTHING } from '../../src/replication/selection.ts';
import { Disk } from './disk.ts';
import type { Random } from './random.ts';
import type { SimBackbone } from './sim-backbone.ts';
import type { SimLink, SimNetwork } from './sim-network.ts';
import { type Ledger, SimStore } from './sim-store.ts';
import { RunClock, type World } from './world.ts';

export const ROWS: ReplicatedTable = { name: tableName('rows'), database: 'data', mode: 'rows' };
export const CACHE: ReplicatedTable = {
  ...{ name: tableName('cache'), database: 'data', mode: 'invalidations' },
  sharesEntries: true,
};
/** A table that some nodes get to know later than others. */
export const LATE: ReplicatedTable = { name: tableName('late'), database: 'data', mode: 'rows' };

export interface Run {
  readonly clock: RunClock;
  readonly store: SimStore;
  readonly replicator: Replicator;
  readonly links: SimLink[];
}

export interface NodeParts {
  readonly world: World;
  readonly network: SimNetwork;
  readonly random: Random;
  readonly ledger: Ledger;
  readonly name: string;
  readonly peers: readonly string[];
  readonly node: (name: string) => SimNode | undefined;
  readonly flushMs: number;
  readonly backbone?: SimBackbone | undefined;
  readonly fault: (why: string) => void;
}

export class SimNode {
  readonly name: string;
  disk: Disk;
  run: Run | undefined;
  skew = 0;
  hasLate = true;
  hasLeft = false;
  /** Runs so far: each is an instance of its own. */
  starts = 0;
  readonly #parts: NodeParts;
  /** Addresses that the configuration names, now. */
  readonly #peers: string[] = [];

  constructor(parts: NodeParts) {
    this.#parts = parts;
    this.configure(parts.peers);
    this.name = parts.name;
    this.disk = new Disk(this.#newAuthor());
  }

  configure(peers: readonly string[]): void {
    const others = peers.filter((peer) => peer !== this.#parts.name);
    this.#peers.splice(0, this.#peers.length, ...others.map((peer) => `sim://${peer}`));
  }

  start(): void {
    if (this.run !== undefined) return;
    const { world, network, random, ledger, name, flushMs, fault, backbone } = this.#parts;
    const clock = new RunClock(world, this.skew);
    const tables = this.hasLate ? [ROWS, CACHE, LATE] : [ROWS, CACHE];
    const store = new SimStore({
      ...{ world, clock, disk: this.disk, random: random.fork(), tables, ledger, flushMs },
    });
    const links: SimLink[] = [];
    this.starts += 1;
    const replicator = createReplicator({
      ...{ store, clock, random: random.fork().next, name, cluster: 'simulated' },
      instance: `${name}/${this.starts}`,
      ...{ urls: [`sim://${name}`], peers: this.#peers },
      selection: EVERYTHING,
      backbone: backbone?.line(clock),
      dial: async (url) => {
        const to = url.slice('sim://'.length);
        const link = await network.dial(name, to, () => this.#parts.node(to)?.door());
        links.push(link as SimLink);
        // The process that dialled is gone: nobody is at this end.
        if (clock.isOver) throw abandoned(link as SimLink);
        return link;
      },
      events: {
        failed: (error) => fault(error instanceof Error ? (error.stack ?? '') : String(error)),
        refused: (peer, why) => {
          if (!network.isDirty) fault(`${name} refused a frame of ${peer}: ${why}`);
        },
      },
    });
    this.run = { clock, store, replicator, links };
  }

  /** Where a connection to the running process is handed in. */
  door(): ((link: ChangeLink) => void) | undefined {
    const { run } = this;
    if (run === undefined) return undefined;
    return (link) => {
      run.links.push(link as SimLink);
      run.replicator.accept(link);
    };
  }

  kill(): void {
    const { run } = this;
    if (run === undefined) return;
    this.run = undefined;
    run.clock.isOver = true;
    for (const link of run.links) link.abandon();
  }

  stop(): void {
    this.run?.replicator.stop();
    this.kill();
  }

  cutPower(): void {
    this.kill();
    this.disk.cutPower(this.#newAuthor());
  }

  loseDisk(): void {
    this.kill();
    this.disk = new Disk(this.#newAuthor());
  }

  row(table: ReplicatedTable, id: RecordId) {
    return this.disk.table(table.name).rows.get(id);
  }

  #newAuthor(): number {
    return 1 + this.#parts.random.below(2 ** 31);
  }
}

function abandoned(link: SimLink): Error {
  link.abandon();
  return new Error('the process ended');
}

/**
 * One run of a schedule: a fleet in virtual time, what is done to it, and what must hold in the
 * end. When all is done the network heals, all nodes run with right clocks, and within a bounded
 * time all must hold the same rows, everything that was acknowledged among them.
 */
import type { NodeId, RecordId } from '../../src/base/brands.ts';
import {
  isPresent,
  type RowState,
  recordOfRow,
  registerOf,
  type Stamp,
} from '../../src/cache/row-state.ts';
import { canRevive, deleteRow, patchRow, putRow } from '../../src/cache/row-write.ts';
import { adoptLimits, LIMIT_DEFAULTS } from '../../src/config/limits.ts';
import type { Item, ReplicatedTable } from '../../src/replication/ports.ts';
import type { Action, Schedule } from './actions.ts';
import { type Operation, Oracle } from './oracle.ts';
import { Random } from './random.ts';
import { SimBackbone } from './sim-backbone.ts';
import { localProblems } from './sim-local-rows.ts';
import { SimNetwork } from './sim-network.ts';
import { CACHE, LATE, ROWS, SimNode } from './sim-node.ts';
import { SimOrigins } from './sim-origins.ts';
import { effectOf, UNBOUNDED } from './sim-store.ts';
import { World } from './world.ts';

export interface SimulationResult {
  readonly problems: readonly string[];
  /** Virtual time from the end of all troubles until all was the same, milliseconds. */
  readonly healedMs: number;
  readonly events: number;
  readonly frames: number;
  readonly acked: number;
  readonly snapshots: number;
  readonly repaired: number;
  /** Rows that changed by news of the backbone, since nodes were last started. */
  readonly byBackbone: number;
  /** Entries of the cache that came from other nodes and were kept. */
  readonly entries: number;
}

const KEYS = 6;
const SETTLE_MS_MAX = 120_000;
const STEP_MS = 500;
const NAMES = ['red', 'green', 'blue', 'count'];

interface Told {
  readonly effect: string;
  readonly author: NodeId;
  readonly kind: 'message' | 'invalidation';
  /** What each disk had dropped by then; a disk that is not named is newer. */
  readonly drops: ReadonlyMap<unknown, number>;
}

export class Simulation {
  readonly #schedule: Schedule;
  readonly #world = new World();
  readonly #random: Random;
  readonly #network: SimNetwork;
  readonly #backbone: SimBackbone | undefined;
  readonly #oracle = new Oracle();
  readonly #origins = new SimOrigins((why) => this.#problems.push(why));
  readonly #nodes: SimNode[] = [];
  readonly #problems: string[] = [];
  readonly #told: Told[] = [];
  readonly #lostAuthors = new Set<NodeId>();
  /** Pairs that can never reach each other. */
  readonly #apart: (readonly [string, string])[] = [];
  #acked = 0;
  #number = 0;

  constructor(schedule: Schedule) {
    adoptLimits({ ...LIMIT_DEFAULTS, replicationVerifyMs: 8_000 });
    this.#schedule = schedule;
    this.#random = new Random(schedule.seed ^ 0x5eed);
    this.#network = new SimNetwork(this.#world, this.#random.fork());
    this.#network.isDirty = schedule.troubles.includes('dirt');
    if (this.#network.isDirty) this.#network.dirt = 0.02;
    if (schedule.hasBackbone) {
      this.#backbone = new SimBackbone(this.#world, new Random(schedule.seed ^ 0xbac1));
      this.#backbone.dirt = this.#network.isDirty ? 0.05 : 0;
    }
    for (let at = 0; at < schedule.nodes; at += 1) this.#add(at);
    this.#layNetwork();
  }

  async run(): Promise<SimulationResult> {
    for (const node of this.#nodes) {
      const isLate = this.#schedule.troubles.includes('schema') && this.#random.chance(0.5);
      node.hasLate = !isLate;
      if (this.#schedule.troubles.includes('skews') && this.#random.chance(0.3)) {
        node.skew = this.#random.pick([3_600_000, -3_600_000, 30_000, -30_000]);
      }
      node.start();
    }
    for (const action of this.#schedule.actions) {
      await this.#world.runUntil(this.#world.now + action.wait);
      this.#act(action);
      if (this.#problems.length > 0) break;
    }
    await this.#world.runUntil(this.#world.now + 50);
    const healedMs = this.#problems.length > 0 ? 0 : await this.#settle();
    if (this.#problems.length === 0) this.#judge();
    const sums = this.#sums();
    for (const node of this.#nodes) node.kill();
    return { ...sums, problems: this.#problems, healedMs };
  }

  #sums() {
    let snapshots = 0;
    let repaired = 0;
    let byBackbone = 0;
    for (const { disk } of this.#nodes) snapshots += disk.drops;
    for (const node of this.#nodes) {
      const status = node.run?.replicator.status();
      for (const { counts } of status?.peers ?? []) repaired += counts?.repaired ?? 0;
      byBackbone += status?.backbone?.merged ?? 0;
    }
    const { events } = this.#world;
    const { frames } = this.#network;
    return {
      events,
      frames,
      acked: this.#acked,
      snapshots,
      repaired,
      byBackbone,
      entries: this.#origins.count,
    };
  }

  #add(at: number): SimNode {
    const name = `n${String(at).padStart(2, '0')}`;
    const peers = this.#nodes.filter(({ hasLeft }) => !hasLeft).map((node) => node.name);
    const node = new SimNode({
      ...{ world: this.#world, network: this.#network, random: this.#random.fork(), name },
      // The one before, which has a way to it in every network, and one more.
      peers: [...new Set([...peers.slice(-1), ...peers.slice(0, 1)])],
      backbone: this.#backbone,
      node: (other) => this.#nodes.find((one) => one.name === other),
      flushMs: this.#random.pick([0, 3, 40]),
      ledger: {
        restamped: (row, anew) => this.#oracle.restamped(row, anew),
        merged: () => undefined,
        origins: this.#origins,
        invalidating: (item) => this.#origins.invalidating(item),
      },
      fault: (why) => this.#problems.push(why),
    });
    this.#nodes.push(node);
    for (const other of this.#nodes) {
      if (other === node) continue;
      const isSlow = this.#schedule.troubles.includes('slow');
      const latency = isSlow ? this.#random.pick([1, 20, 80, 200]) : this.#random.between(1, 4);
      this.#network.setLatency(name, other.name, latency);
      this.#network.setLatency(other.name, name, latency + this.#random.below(5));
    }
    return node;
  }

  /** With `mesh` some pairs have no way to each other; the ring stays whole. */
  #layNetwork(): void {
    if (!this.#schedule.troubles.includes('mesh')) return;
    for (const [at, one] of this.#nodes.entries()) {
      for (const [to, other] of this.#nodes.entries()) {
        if (to <= at + 1 || !this.#random.chance(0.6)) continue;
        this.#apart.push([one.name, other.name]);
      }
    }
    this.#cutApart();
  }

  #cutApart(): void {
    for (const [one, other] of this.#apart) {
      this.#network.cut(one, other);
      this.#network.cut(other, one);
    }
  }

  get #present(): SimNode[] {
    return this.#nodes.filter(({ hasLeft }) => !hasLeft);
  }

  get #running(): SimNode[] {
    return this.#nodes.filter(({ run }) => run !== undefined);
  }

  #act(action: Action): void {
    if (action.kind === 'stream') {
      this.#upset(action.amount);
      return;
    }
    const running = this.#running;
    const node = running[action.node % Math.max(1, running.length)];
    const present = this.#present;
    const other = present[action.other % present.length];
    if (node === undefined || other === undefined) {
      present[action.node % present.length]?.start();
      return;
    }
    switch (action.kind) {
      case 'put':
      case 'patch':
      case 'add':
      case 'delete':
        this.#write(node, action.kind, action);
        break;
      case 'local':
        node.run?.store.writeLocal(ROWS.name, `k${action.other % KEYS}`);
        break;
      case 'read':
        node.run?.store.read(CACHE.name, `k${action.other % KEYS}`, action.amount % 200);
        break;
      case 'message':
      case 'invalidate':
        this.#tell(node, action);
        break;
      default:
        this.#trouble(node, other, action);
    }
  }

  /** What may happen to a server that keeps a stream. */
  #upset(amount: number): void {
    const backbone = this.#backbone;
    const whats = [
      () => backbone?.wipe(),
      () => backbone?.purge(0),
      () => backbone?.purge(amount % 7),
      () => backbone?.down(),
      () => backbone?.up(),
    ];
    whats[amount % whats.length]?.();
  }

  #trouble(node: SimNode, other: SimNode, action: Action): void {
    const present = this.#present;
    switch (action.kind) {
      case 'cut':
      case 'cutOneWay':
        if (node === other) break;
        this.#network.cut(node.name, other.name);
        if (action.kind === 'cut') this.#network.cut(other.name, node.name);
        break;
      case 'heal':
        this.#network.heal();
        this.#cutApart();
        break;
      case 'kill':
        node.kill();
        break;
      case 'stop':
        node.stop();
        break;
      case 'power':
        node.cutPower();
        break;
      case 'disk':
        if (present.length > 1) this.#loseDisk(node);
        break;
      case 'start':
        for (const one of present) if (one.run === undefined) one.start();
        break;
      case 'join':
        if (this.#nodes.length < 16) this.#add(this.#nodes.length).start();
        break;
      case 'leave':
        if (present.length > 2) this.#leave(node);
        break;
      case 'trim':
        node.disk.trim(action.amount % 20);
        break;
      case 'skew':
        node.kill();
        node.skew = [3_600_000, -3_600_000, 20_000, 0][action.amount % 4] ?? 0;
        node.start();
        break;
      case 'step':
        if (node.run !== undefined) node.run.clock.skew += (action.amount - 500) * 7_200;
        break;
      case 'learnTable':
        node.kill();
        node.hasLate = true;
        node.start();
        break;
      case 'verify':
        node.run?.replicator.verify();
        break;
    }
  }

  #write(node: SimNode, kind: 'put' | 'patch' | 'add' | 'delete', action: Action): void {
    const { run } = node;
    if (run === undefined || run.store.clockAhead > 0) return;
    const table = node.hasLate && action.amount % 7 === 0 ? LATE : ROWS;
    const id: RecordId = action.other % KEYS === 0 ? 7 : `k${action.other % KEYS}`;
    const before = node.row(table, id);
    if (kind === 'delete' && (before === undefined || !isPresent(before))) return;
    this.#number += 1;
    let operation: Operation | undefined;
    const state = run.store.write(
      table.name,
      id,
      (old, stamp) => {
        const made = this.#make(old, stamp, kind, action);
        operation = made.operation;
        return made.state;
      },
      (kept) => {
        this.#acked += 1;
        this.#oracle.acked(table.name, id, kept);
      },
    );
    if (operation !== undefined) this.#oracle.issued(table.name, id, state, operation);
  }

  #make(
    old: RowState,
    stamp: Stamp,
    kind: 'put' | 'patch' | 'add' | 'delete',
    { amount }: Action,
  ): { readonly state: RowState; readonly operation: Operation } {
    const times = { storedAt: this.#world.epoch as never, ...UNBOUNDED };
    const name = NAMES[amount % NAMES.length] ?? 'red';
    const value = `v${this.#number}`;
    const put = (record: Record<string, unknown>) => ({
      state: putRow(stamp, { body: Buffer.from(JSON.stringify(record)), times }),
      operation: { ...stamp, kind: 'put' as const, record },
    });
    if (kind === 'delete') {
      return { state: deleteRow(stamp), operation: { ...stamp, kind: 'delete' } };
    }
    if (kind === 'put') return put({ id: 'x', red: value, count: amount });
    const isAbsent = !isPresent(old);
    if (kind === 'patch') {
      const values = { [name]: name === 'count' ? amount : value };
      if (isAbsent && !canRevive(old)) return put(values);
      const state = patchRow(old, stamp, { set: values, added: {} });
      return { state, operation: { ...stamp, kind: 'set', values } };
    }
    if (isAbsent && !canRevive(old)) return put({ count: amount });
    const register = registerOf(old, 'count');
    const state = patchRow(old, stamp, { set: {}, added: { count: amount } });
    const operation: Operation = { ...stamp, kind: 'add', name: 'count', amount };
    return { state, operation: register === undefined ? operation : { ...operation, register } };
  }

  #tell(node: SimNode, action: Action): void {
    const { run, disk } = node;
    if (run === undefined) return;
    const kind = action.kind === 'message' ? 'message' : 'invalidation';
    const table = kind === 'message' ? ROWS : CACHE;
    const drops = new Map(this.#nodes.map((one) => [one.disk, one.disk.drops]));
    run.store.tell({ kind }, table.name, `k${action.other % KEYS}`, (item: Item) => {
      this.#acked += 1;
      this.#told.push({ effect: effectOf(item), author: disk.author, kind, drops });
      if (item.kind === 'invalidation') void run.replicator.announcePurge(item, 2_000);
    });
  }

  #loseDisk(node: SimNode): void {
    this.#loseAuthors(node);
    node.loseDisk();
    this.#forget(node);
  }

  #leave(node: SimNode): void {
    const friend = this.#running.find((one) => one !== node);
    if (friend?.run === undefined) return;
    this.#loseAuthors(node);
    friend.run.replicator.removeMember(node.name);
    node.hasLeft = true;
    node.kill();
    this.#forget(node);
  }

  #loseAuthors({ disk }: SimNode): void {
    for (const { author } of disk.lives) this.#lostAuthors.add(author);
  }

  #forget(gone: SimNode): void {
    const others = this.#present.filter((one) => one !== gone);
    for (const { disk } of others) disk.flush();
    this.#oracle.lost((table, id) =>
      others.flatMap(({ disk }) => disk.table(table).rows.get(id) ?? []),
    );
  }

  async #settle(): Promise<number> {
    this.#network.dirt = 0;
    if (this.#backbone !== undefined) this.#backbone.dirt = 0;
    this.#backbone?.up();
    this.#network.heal();
    this.#cutApart();
    for (const node of this.#present) {
      // Who knew only nodes that have left could never find the others.
      node.configure(this.#present.map(({ name }) => name));
      const isWrong = node.skew !== 0 || node.run?.clock.skew !== 0 || !node.hasLate;
      node.skew = 0;
      node.hasLate = true;
      if (isWrong) node.kill();
      node.start();
    }
    const begun = this.#world.now;
    while (this.#world.now - begun < SETTLE_MS_MAX) {
      await this.#world.runUntil(this.#world.now + STEP_MS);
      if (this.#problems.length > 0) return 0;
      if (this.#isSame()) return this.#world.now - begun;
    }
    this.#problems.push(`not the same after ${SETTLE_MS_MAX / 1_000} s: ${this.#differences()}`);
    return SETTLE_MS_MAX;
  }

  #isSame(): boolean {
    const [first, ...rest] = this.#present;
    if (first === undefined) return true;
    const isCalm = this.#present.every(({ run }) => run?.replicator.isCaughtUp === true);
    const areEqual = [ROWS, LATE].every((table) => {
      const digest = first.disk.table(table.name).digest;
      return rest.every(({ disk }) => equal(disk.table(table.name).digest, digest));
    });
    return isCalm && areEqual && this.#missingTold().length === 0;
  }

  #differences(): string {
    const joining = this.#present.filter(({ run }) => run?.replicator.isCaughtUp !== true);
    const rows = [ROWS, LATE].flatMap((table) => this.#differingRows(table));
    const states = this.#present.map(({ name, run }) => {
      const peers = run?.replicator.status().peers ?? [];
      return `${name}[${peers.map((peer) => `${peer.name}:${peer.pull}`).join(' ')}]`;
    });
    return [
      ...(joining.length > 0 ? [`joining: ${joining.map(({ name }) => name).join()}`] : []),
      ...rows,
      ...this.#missingTold(),
      ...states,
    ].join('; ');
  }

  #differingRows({ name }: ReplicatedTable): string[] {
    const ids = new Set(this.#present.flatMap(({ disk }) => [...disk.table(name).rows.keys()]));
    return [...ids].flatMap((id) => {
      const texts = this.#present.map(({ disk }) => textOf(disk.table(name).rows.get(id)));
      const holders = this.#present.map((node, at) => `${node.name}=${texts[at]}`);
      return new Set(texts).size === 1 ? [] : [`${name}/${id}: ${holders.join(' ')}`];
    });
  }

  /** Told of and confirmed to a client, and without effect on a node that should have it. */
  #missingTold(): string[] {
    return this.#told.flatMap((told) => {
      if (this.#lostAuthors.has(told.author)) return [];
      return this.#present
        .filter(({ disk }) => {
          const before = told.drops.get(disk);
          if (before === undefined || disk.effects.has(told.effect)) return false;
          // A snapshot skips what it cannot show: caches are dropped for it, messages are gone.
          return disk.drops === before;
        })
        .map(({ name }) => `${told.kind} ${told.effect} has no effect on ${name}`);
    });
  }

  #judge(): void {
    const first = this.#present[0];
    if (first === undefined) return;
    for (const table of [ROWS, LATE]) this.#problems.push(...this.#differingRows(table));
    this.#problems.push(
      ...this.#oracle.problems((table, id) => first.disk.table(table).rows.get(id)),
    );
    const messages = this.#told.filter(({ kind }) => kind === 'message');
    for (const { name, disk } of this.#present) {
      this.#problems.push(...localProblems(name, disk));
      for (const { effect } of messages) {
        const times = disk.effects.get(effect) ?? 0;
        if (times > 1) this.#problems.push(`message ${effect} came ${times} times to ${name}`);
      }
    }
  }
}

function equal(one: Uint32Array, other: Uint32Array): boolean {
  for (let at = 0; at < one.length; at += 1) if (one[at] !== other[at]) return false;
  return true;
}

function textOf(state: RowState | undefined): string {
  if (state === undefined) return 'none';
  const { record: _record, body, ...rest } = state;
  const record = recordOfRow(state);
  const text = body instanceof Uint8Array ? Buffer.from(body).toString() : JSON.stringify(record);
  return `${JSON.stringify(rest)} ${text}`;
}

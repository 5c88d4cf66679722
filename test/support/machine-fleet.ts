/**
 * Real nodes, each on a machine of its own (`namespaces.ts`), with a clock of its own, and a ledger
 * of what they answered. Troubles are made by the kernel: cables are pulled, routes lead nowhere,
 * processes are killed, disks are emptied. In the end all hold the same, and what was answered.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { CLUSTER_TOKEN, equalDigests } from './cluster.ts';
import { Ledger, type Row, SUM } from './ledger.ts';
import { type Machine, Machines } from './namespaces.ts';
import { type AppFiles, type NodeProcess, startNode, until } from './node-process.ts';

const SHIFTED = fileURLToPath(new URL('shifted-clock.mjs', import.meta.url));
const PORT = 9933;
const ALL = '/Item/?limit(1000000)';
/** Time for all to hold the same, on a machine that is loaded. */
const HEAL_MS = 60_000;

export interface MachineFleetOptions {
  readonly files: AppFiles;
  readonly count: number;
  /** Makes a place where they meet, and tells the flags for it; absent: they know all addresses. */
  readonly meet?: (machines: Machines) => Promise<readonly string[]>;
}

interface StartOptions {
  /** Without what it held. */
  readonly isEmpty?: boolean;
}

export class MachineFleet {
  readonly machines = new Machines();
  readonly hosts: Machine[] = [];
  readonly ledger = new Ledger();
  readonly #options: MachineFleetOptions;
  readonly #folder = mkdtempSync(path.join(tmpdir(), 'millrace-machines-'));
  readonly #nodes: (NodeProcess | undefined)[] = [];
  readonly #folders: string[] = [];
  #meeting: readonly string[] | undefined;
  #spare: Machine | undefined;
  readonly #ends: (() => Promise<void>)[] = [];
  #writers = 0;

  constructor(options: MachineFleetOptions) {
    this.#options = options;
    for (let n = 0; n < options.count; n += 1) this.hosts.push(this.machines.add());
  }

  /** Starts all, one after the other, and waits until they know one another. */
  static async start(options: MachineFleetOptions): Promise<MachineFleet> {
    const fleet = new MachineFleet(options);
    fleet.#meeting = await options.meet?.(fleet.machines);
    for (const n of fleet.hosts.keys()) await fleet.start(n);
    await fleet.node(0).put(`/Item/${SUM}`, { name: SUM, count: 0 });
    await fleet.same();
    return fleet;
  }

  node(n: number): NodeProcess {
    const found = this.#nodes[n];
    if (found === undefined) throw new Error(`node ${n} is not running`);
    return found;
  }

  /** A node that may be down now. */
  running(n: number): NodeProcess | undefined {
    return this.#nodes[n];
  }

  get nodes(): readonly NodeProcess[] {
    return this.#nodes.filter((node) => node !== undefined);
  }

  host(n: number): Machine {
    const found = this.hosts[n];
    if (found === undefined) throw new Error(`there is no machine ${n}`);
    return found;
  }

  async start(n: number, options: StartOptions = {}): Promise<NodeProcess> {
    const folder = this.#folders[n];
    if (options.isEmpty === true && folder !== undefined) {
      rmSync(path.join(folder, 'data'), { recursive: true });
    }
    const node = await startNode({
      files: this.#options.files,
      ...{ launcher: this.host(n).launcher, ownPorts: true, flags: this.#flags(this.host(n), n) },
      ...(folder !== undefined && { folder }),
      env: { NODE_OPTIONS: `--import ${SHIFTED}`, MILLRACE_TEST_CLOCK_FILE: this.#clockFile(n) },
    });
    this.#nodes[n] = node;
    this.#folders[n] = node.folder;
    return node;
  }

  /** Another node, empty and on another machine, that says it is this one; the caller ends it. */
  async twin(n: number): Promise<NodeProcess> {
    this.#spare ??= this.machines.add();
    return startNode({
      files: this.#options.files,
      ...{ launcher: this.#spare.launcher, ownPorts: true, flags: this.#flags(this.#spare, n) },
    });
  }

  /** Ends a node without notice; its data stay. */
  async kill(n: number): Promise<void> {
    const node = this.node(n);
    this.#nodes[n] = undefined;
    await node.stop('SIGKILL');
  }

  /** Resolves once all that a node was told, and nobody tells it more, is on all other disks. */
  async isElsewhere(n: number): Promise<void> {
    const others = this.nodes.length - 1;
    const header = { 'x-replicate-to': `${others};confirm=${others}` };
    await until(
      'others to hold all of a node',
      async () => {
        const response = await this.node(n).put(`/Item/${SUM}-at${n}`, {}, header);
        await response.arrayBuffer();
        return response.ok;
      },
      HEAL_MS,
    );
  }

  /** How far the wall clock of a node is ahead of the others, from now on. */
  setClock(n: number, ms: number): void {
    writeFileSync(this.#clockFile(n), String(ms));
  }

  /** Nothing passes between a node and the others; clients reach both sides. */
  cut(n: number): void {
    for (const [m, other] of this.hosts.entries()) {
      if (m === n) continue;
      this.host(n).drop('to', other.address);
      other.drop('to', this.host(n).address);
    }
  }

  heal(): void {
    for (const host of this.hosts) host.pass();
  }

  /** Clients write at these nodes, or at all, until they are to rest. */
  write(at: readonly number[] = [...this.hosts.keys()]): void {
    for (const n of at) {
      this.#writers += 1;
      this.#ends.push(this.ledger.writing(() => this.running(n), `w${this.#writers}`));
    }
  }

  /** Resolves once a write at each node has come to all others. */
  async areJoined(): Promise<void> {
    for (const n of this.hosts.keys()) {
      this.#writers += 1;
      const id = `joined${this.#writers}`;
      await until('a write to be kept', () => this.ledger.put(this.node(n), id), HEAL_MS);
      await until(
        'it to come to all others',
        async () => {
          const answers = this.nodes.map((node) => node.fetch(`/Item/${id}`));
          return (await Promise.all(answers)).every(({ ok }) => ok);
        },
        HEAL_MS,
      );
    }
  }

  /** Resolves when nobody writes any more. */
  async rest(): Promise<void> {
    await Promise.all(this.#ends.splice(0).map((end) => end()));
  }

  /** Resolves once all hold the same rows and digests, with the rows. */
  async same(timeoutMs = HEAL_MS): Promise<readonly Row[]> {
    let last: string[] = [];
    const text = await until(
      'the same rows everywhere',
      async () => {
        last = await Promise.all(this.nodes.map((node) => rowsAt(node)));
        return last.every((one) => one === last[0] && one !== '') && last[0];
      },
      timeoutMs,
    ).catch(() => {
      throw new Error(`rows differ: ${last.map((one) => one.length).join()} bytes`);
    });
    await equalDigests(this.nodes, timeoutMs);
    return JSON.parse(text) as Row[];
  }

  /** What is wrong in the end; waits until all hold the same, and all that was answered. */
  async faults(timeoutMs = HEAL_MS): Promise<readonly string[]> {
    await this.rest();
    let faults: readonly string[] = [];
    const end = performance.now() + timeoutMs;
    do faults = this.ledger.faults(await this.same(timeoutMs));
    while (faults.length > 0 && performance.now() < end);
    return faults;
  }

  async dispose(): Promise<void> {
    await this.rest();
    await Promise.all(this.nodes.map((node) => node.dispose()));
    for (const folder of this.#folders) rmSync(folder, { recursive: true, force: true });
    rmSync(this.#folder, { recursive: true, force: true });
    this.machines.remove();
  }

  #clockFile(n: number): string {
    return path.join(this.#folder, `clock${n}`);
  }

  #flags(host: Machine, name: number): readonly string[] {
    const others = this.hosts.filter((other) => other !== host);
    const peers = others.flatMap(({ address }) => ['--peer', `ws://${address}:${PORT}`]);
    return [
      ...['--host', host.address, '--http-port', '9926', '--admin-port', '9925'],
      ...['--mqtt-port', '0', '--replication-port', String(PORT)],
      ...['--node-name', `n${name}`, '--cluster-token', CLUSTER_TOKEN],
      ...(this.#meeting ?? peers),
    ];
  }
}

/** Empty while a node does not show its rows. */
async function rowsAt(node: NodeProcess): Promise<string> {
  const response = await node.fetch(ALL);
  const text = await response.text();
  return response.ok ? text : '';
}

/**
 * Several real nodes, each in a process of its own, joined over a network that the test steers
 * (`cluster-network.ts`). A node may be killed, started again with or without its data, and under
 * a clock of its own; at the end all are asked whether they hold the same.
 */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { ClusterNetwork } from './cluster-network.ts';
import { type AppFiles, type NodeProcess, startNode, until } from './node-process.ts';

export const CLUSTER_TOKEN = 'a token that all nodes share';

export interface ClusterOptions {
  readonly files: AppFiles;
  readonly names: readonly string[];
  readonly env?: Readonly<Record<string, string>> | undefined;
}

interface StartOptions {
  /** Files of this node, beside those that all have. */
  readonly files?: AppFiles;
  readonly env?: Readonly<Record<string, string>>;
  /** Nodes it is told of; the first of the cluster unless given. */
  readonly peers?: readonly string[];
  /** Start without what it held. */
  readonly isEmpty?: boolean;
  /** Another name than its own: for one that takes the place of another. */
  readonly as?: string;
}

export class Cluster {
  readonly network = new ClusterNetwork();
  readonly #options: ClusterOptions;
  readonly #nodes = new Map<string, NodeProcess>();
  readonly #folders = new Map<string, string>();

  private constructor(options: ClusterOptions) {
    this.#options = options;
  }

  /** Starts them one after the other; each is told of the first only. */
  static async start(options: ClusterOptions): Promise<Cluster> {
    const cluster = new Cluster(options);
    for (const name of options.names) await cluster.start(name);
    return cluster;
  }

  node(name: string): NodeProcess {
    const found = this.#nodes.get(name);
    if (found === undefined) throw new Error(`no node ${name} is running`);
    return found;
  }

  get nodes(): readonly NodeProcess[] {
    return [...this.#nodes.values()];
  }

  async start(name: string, options: StartOptions = {}): Promise<NodeProcess> {
    const url = await this.network.addressOf(name);
    const { files, names } = this.#options;
    const told = options.peers ?? names.slice(0, 1);
    const peers = await Promise.all(
      told.filter((peer) => peer !== name).map((peer) => this.network.addressOf(peer)),
    );
    const folder = this.#folders.get(name);
    if (options.isEmpty === true && folder !== undefined) {
      rmSync(path.join(folder, 'data'), { recursive: true });
    }
    const node = await startNode({
      files: { ...files, ...options.files },
      ...(folder !== undefined && { folder }),
      flags: [
        ...['--node-name', options.as ?? name, '--cluster-token', CLUSTER_TOKEN],
        ...peers.flatMap((peer) => ['--peer', peer]),
      ],
      env: { MILLRACE_CLUSTER_URL: url, ...this.#options.env, ...options.env },
    });
    this.network.attach(name, node.replication);
    this.#nodes.set(name, node);
    this.#folders.set(name, node.folder);
    return node;
  }

  async kill(name: string): Promise<void> {
    await this.node(name).stop('SIGKILL');
    this.#nodes.delete(name);
  }

  /** Waits until each of these nodes has all the others, and knows all that they know. */
  async live(names: readonly string[]): Promise<void> {
    for (const name of names) await this.connectedTo(name, names.length - 1);
  }

  /** Waits until a node has so many others, and knows all of them. */
  async connectedTo(name: string, count: number): Promise<void> {
    await until(
      `${count} connections of ${name}`,
      async () => {
        const { connections } = await this.node(name).operate({ operation: 'cluster_status' });
        const all = connections as { connected: boolean; state: string }[];
        const connected = all.filter((one) => one.connected);
        return connected.length === count && connected.every(({ state }) => state === 'live');
      },
      30_000,
    );
  }

  /** Every pair of nodes that run. */
  *pairs(): Generator<readonly [string, string]> {
    const names = [...this.#nodes.keys()];
    for (const [index, one] of names.entries()) {
      for (const other of names.slice(index + 1)) yield [one, other];
    }
  }

  /** The rows, once all nodes answer the same bytes and digests; milliseconds it took. */
  async converged(resource: string, timeoutMs = 45_000): Promise<{ rows: unknown[]; ms: number }> {
    const since = performance.now();
    let last: string[] = [];
    const what = () => `the same ${resource} everywhere: ${last.map((each) => each.length)} bytes`;
    const text = await until(
      'convergence',
      async () => {
        last = await Promise.all(this.nodes.map((node) => rowsOf(node, resource)));
        return last.every((each) => each === last[0]) && last[0];
      },
      timeoutMs,
    ).catch(() => {
      throw new Error(`timed out waiting for ${what()}\n${last.join('\n').slice(0, 2_000)}`);
    });
    await equalDigests(this.nodes, timeoutMs);
    return { rows: JSON.parse(text) as unknown[], ms: performance.now() - since };
  }

  async dispose(): Promise<void> {
    this.network.close();
    await Promise.all(this.nodes.map((node) => node.dispose()));
    for (const folder of this.#folders.values()) rmSync(folder, { recursive: true, force: true });
  }
}

/** Resolves once the digests of every table are the same on all nodes. */
export async function equalDigests(
  nodes: readonly NodeProcess[],
  timeoutMs = 45_000,
): Promise<void> {
  let last: string[] = [];
  await until(
    'equal digests',
    async () => {
      const answers = nodes.map((node) => node.operate({ operation: 'cluster_digests' }));
      const all = (await Promise.all(answers)).map(({ tables }) => tables as object);
      last = all.map((tables) => JSON.stringify(tables));
      const areKnown = all.every((tables) => Object.values(tables).every((one) => one !== null));
      return areKnown && last.every((one) => one === last[0]);
    },
    timeoutMs,
  ).catch(() => {
    throw new Error(`the digests differ:\n${last.join('\n')}`);
  });
}

async function rowsOf(node: NodeProcess, resource: string): Promise<string> {
  const response = await node.fetch(`/${resource}/?limit(100000)`);
  if (!response.ok) throw new Error(`${resource}: ${response.status} ${await response.text()}`);
  return response.text();
}

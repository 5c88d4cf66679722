/** Nodes that reach one another over a NATS server only, and what the tests of it ask of them. */
import type { CLUSTER_APP } from './cluster-app.ts';
import { type NodeProcess, startNode, until } from './node-process.ts';

export const FLEET_TOKEN = 'a token that all nodes share';

export class NatsFleet {
  readonly #files: typeof CLUSTER_APP;
  readonly #folders = new Map<string, string>();
  readonly #nodes = new Map<string, NodeProcess>();

  constructor(files: typeof CLUSTER_APP) {
    this.#files = files;
  }

  async start(name: string, url: string, flags: readonly string[] = []): Promise<NodeProcess> {
    const folder = this.#folders.get(name);
    const node = await startNode({
      files: this.#files,
      ...(folder !== undefined && { folder }),
      flags: ['--node-name', name, '--cluster-token', FLEET_TOKEN, '--nats', url, ...flags],
    });
    this.#nodes.set(name, node);
    this.#folders.set(name, node.folder);
    return node;
  }

  node(name: string): NodeProcess {
    const found = this.#nodes.get(name);
    if (found === undefined) throw new Error(`no node ${name} is running`);
    return found;
  }

  get nodes(): readonly NodeProcess[] {
    return [...this.#nodes.values()];
  }

  /** Ends a node without notice; its data stay. */
  async kill(name: string): Promise<void> {
    await this.node(name).stop('SIGKILL');
    this.#nodes.delete(name);
  }

  /** Waits until all are connected, and all changes of all others come by the stream alone. */
  areTold(): Promise<true> {
    return until(
      'all to come by the stream',
      async () => {
        const counts = await Promise.all(
          this.nodes.map((node) => node.metric('millrace_replication_backbone_nodes')),
        );
        return counts.every((count) => count === this.nodes.length - 1);
      },
      60_000,
    );
  }

  /** Waits until all hold the same, and at least so many rows; the digests are equal then. */
  async areSame(least: number): Promise<void> {
    await until(
      `${least} equal rows everywhere`,
      async () => {
        const all = await Promise.all(
          this.nodes.map((node) => node.fetch('/Item/').then((answer) => answer.text())),
        );
        const [first = '[]'] = all;
        return (
          (JSON.parse(first) as unknown[]).length >= least && all.every((one) => one === first)
        );
      },
      60_000,
    );
    await until(
      'equal digests',
      async () => {
        const all = await Promise.all(this.nodes.map((node) => digests(node)));
        return all.every((one) => one === all[0]);
      },
      60_000,
    );
  }

  /** Rows of others that changed at a node, by the way on which they came. */
  async ways(name: string): Promise<{ readonly stream: number; readonly peers: number }> {
    const count = (way: string) =>
      this.node(name).metric('millrace_replication_rows_total', { way });
    return { stream: await count('stream'), peers: await count('peers') };
  }

  /**
   * Waits for a round of changes that comes to a node by the stream alone. On a machine that is
   * slow enough a node may ask its peers meanwhile for what is late; then there is another round.
   */
  async untilByStream(name: string, least: number, round: () => Promise<void>): Promise<void> {
    await until(
      `${least} rows that come by the stream alone`,
      async () => {
        await this.areTold();
        const before = await this.ways(name);
        await round();
        const after = await this.ways(name);
        return after.stream - before.stream >= least && after.peers === before.peers;
      },
      100_000,
    );
  }

  messages(name: string, result: string): Promise<number> {
    return this.node(name).metric('millrace_replication_backbone_messages_total', { result });
  }

  async dispose(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.dispose()));
  }
}

async function digests(node: NodeProcess): Promise<string> {
  const { tables } = await node.operate({ operation: 'cluster_digests' });
  return JSON.stringify(tables);
}

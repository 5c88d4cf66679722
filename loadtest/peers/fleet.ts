/**
 * Three nodes on loopback, each a process with a folder of its own, joined as a cluster: the first
 * is told of nobody, the others of the first. They share the server's core, so that what each costs
 * is read from its CPU time; a node may be started again on a core of its own.
 */
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Server } from '../harness/server.ts';
import { type AppFolder, startMillrace, writeApplication } from './millrace.ts';

const TOKEN = 'a token of the load test';
const PASSWORD = 'a password of the load test';
const READY_MS = 60_000;

const address = (server: Server, kind: 'admin' | 'replication'): string =>
  new RegExp(`"${kind}":"([^"]*)"`).exec(server.output())?.[1] ?? '';

export class Fleet {
  readonly #servers = new Map<string, Server>();
  readonly #folders = new Map<string, AppFolder>();
  readonly #originUrl: string;
  readonly #names: readonly string[];

  private constructor(originUrl: string, names: readonly string[]) {
    this.#originUrl = originUrl;
    this.#names = names;
  }

  static async start(originUrl: string, names: readonly string[]): Promise<Fleet> {
    const fleet = new Fleet(originUrl, names);
    for (const name of names) await fleet.start(name);
    await Promise.all(names.map((name) => fleet.caughtUp(name)));
    return fleet;
  }

  node(name: string): Server {
    const server = this.#servers.get(name);
    if (server === undefined) throw new Error(`the node ${name} does not run`);
    return server;
  }

  async start(name: string, core?: number): Promise<Server> {
    const folder = this.#folders.get(name) ?? writeApplication(this.#originUrl);
    this.#folders.set(name, folder);
    const others = [...this.#servers.values()].map((server) => address(server, 'replication'));
    const server = await startMillrace(folder, {
      core,
      flags: [
        ...['--node-name', name, '--cluster-token', TOKEN, '--replication-port', '0'],
        ...others.flatMap((url) => ['--peer', url]),
      ],
      env: { MILLRACE_ADMIN_USERNAME: 'admin', MILLRACE_ADMIN_PASSWORD: PASSWORD },
    });
    this.#servers.set(name, server);
    return server;
  }

  async stop(name: string): Promise<void> {
    await this.node(name).stop();
    this.#servers.delete(name);
  }

  /** An operation of a node's admin port. */
  async operate(name: string, operation: object): Promise<unknown> {
    const credentials = Buffer.from(`admin:${PASSWORD}`).toString('base64');
    const response = await fetch(address(this.node(name), 'admin'), {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Basic ${credentials}` },
      body: JSON.stringify(operation),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${name}: ${response.status} ${text}`);
    return JSON.parse(text);
  }

  /** Entries that a node misses of the others; `undefined` while it misses one of them. */
  async behind(name: string): Promise<number | undefined> {
    const { connections } = (await this.operate(name, { operation: 'cluster_status' })) as {
      readonly connections: readonly { connected: boolean; state: string; behind?: number }[];
    };
    const live = connections.filter(({ connected, state }) => connected && state === 'live');
    if (live.length < this.#servers.size - 1) return undefined;
    return live.reduce((sum, { behind = 0 }) => sum + behind, 0);
  }

  /** Resolves once a node is connected to all others and holds what they hold. */
  async caughtUp(name: string): Promise<void> {
    const end = performance.now() + READY_MS;
    while ((await this.behind(name)) !== 0) {
      if (performance.now() > end) throw new Error(`${name} does not catch up`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async dispose(): Promise<void> {
    for (const name of this.#names) if (this.#servers.has(name)) await this.stop(name);
    for (const { app } of this.#folders.values()) {
      rmSync(dirname(app), { recursive: true, force: true });
    }
  }
}

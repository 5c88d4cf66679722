/**
 * A real nats-server with JetStream that a test may kill, wipe and start again on the same port;
 * with `hub` it is a leaf of another one.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import type { Machine } from './namespaces.ts';
import { until } from './node-process.ts';
import { freePort } from './ports.ts';

const SERVER = '/usr/sbin/nats-server';
export const isNatsMissing = !existsSync(SERVER);

export interface NatsServerOptions {
  readonly hasJetStream?: boolean;
  readonly domain?: string;
  /** Listens for leaves, or is one of another server. */
  readonly leafPort?: number;
  readonly hub?: number;
  /** Runs there, and not on this one. */
  readonly machine?: Machine | undefined;
}

export class NatsServer {
  readonly port: number;
  readonly #options: NatsServerOptions;
  readonly #folder = mkdtempSync(join(tmpdir(), 'millrace-nats-'));
  #process: ChildProcess | undefined;

  private constructor(port: number, options: NatsServerOptions) {
    this.port = port;
    this.#options = options;
  }

  static async start(options: NatsServerOptions = {}): Promise<NatsServer> {
    const server = new NatsServer(await freePort(), options);
    await server.start();
    return server;
  }

  get url(): string {
    return `nats://u:p@${this.#address}`;
  }

  connect(): Promise<NatsConnection> {
    return connect({ servers: this.#address, user: 'u', pass: 'p', reconnect: false });
  }

  async start(): Promise<void> {
    const config = join(this.#folder, 'nats.conf');
    writeFileSync(config, this.#configuration());
    const [program = SERVER, ...rest] = this.#options.machine?.launcher ?? [];
    const command = this.#options.machine === undefined ? [] : [...rest, SERVER];
    this.#process = spawn(program, [...command, '-c', config], { stdio: 'ignore' });
    const client = await until('the server', () => this.connect().catch(() => undefined));
    await client.close();
  }

  async kill(): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    if (running === undefined) return;
    const ended = new Promise((resolve) => running.once('close', resolve));
    running.kill('SIGKILL');
    await ended;
  }

  /** What it kept is lost; only while it is not running. */
  wipe(): void {
    rmSync(join(this.#folder, 'store'), { recursive: true, force: true });
  }

  async dispose(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #address(): string {
    return `${this.#options.machine?.address ?? '127.0.0.1'}:${this.port}`;
  }

  #configuration(): string {
    const { hasJetStream = true, domain, leafPort, hub } = this.#options;
    const lines = [
      `listen: ${this.#address}`,
      `server_name: s${this.port}`,
      'authorization { user: u, password: p }',
    ];
    if (hasJetStream) {
      const named = domain === undefined ? '' : `, domain: ${domain}`;
      lines.push(`jetstream { store_dir: "${join(this.#folder, 'store')}"${named} }`);
    }
    if (leafPort !== undefined) lines.push(`leafnodes { listen: 127.0.0.1:${leafPort} }`);
    if (hub !== undefined) {
      lines.push(`leafnodes { remotes: [ { url: "nats://u:p@127.0.0.1:${hub}" } ] }`);
    }
    return lines.join('\n');
  }
}

/**
 * A real PostgreSQL for a test: `initdb` into a temporary folder, a port of its own, killed and
 * started again at will. The server refuses to run as root, so it runs as the user `postgres` then.
 */
import { execFileSync, spawn } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client } from 'pg';
import { until } from './node-process.ts';
import { freePort } from './ports.ts';

const VERSIONS = '/usr/lib/postgresql';

/** The folder of the newest server on this machine; `undefined` when there is none. */
const BIN = existsSync(VERSIONS)
  ? readdirSync(VERSIONS)
      .toSorted((a, b) => Number(b) - Number(a))
      .map((version) => path.join(VERSIONS, version, 'bin'))
      .find((folder) => existsSync(path.join(folder, 'initdb')))
  : undefined;

/** Why tests with PostgreSQL are skipped; `undefined` when they are not. */
export const WITHOUT_POSTGRES: string | undefined =
  BIN === undefined ? 'skipped: the Debian package postgresql is not installed' : undefined;

function serverUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

export class PostgresServer {
  readonly folder: string;
  readonly port: number;
  readonly #user: { uid: number; gid: number } | undefined;
  #exited: Promise<void> = Promise.resolve();

  private constructor(
    folder: string,
    port: number,
    user: { uid: number; gid: number } | undefined,
  ) {
    this.folder = folder;
    this.port = port;
    this.#user = user;
  }

  static async start(): Promise<PostgresServer> {
    const folder = mkdtempSync(path.join(tmpdir(), 'millrace-pg-'));
    const user = serverUser();
    if (user !== undefined) chownSync(folder, user.uid, user.gid);
    const server = new PostgresServer(folder, await freePort(), user);
    const options = ['-A', 'trust', '-U', 'millrace', '--no-sync', '-E', 'UTF8', '--locale=C'];
    execFileSync(path.join(BIN ?? '', 'initdb'), ['-D', server.#data, ...options], {
      ...server.#as(),
      stdio: 'ignore',
    });
    await server.resume();
    return server;
  }

  get #data(): string {
    return path.join(this.folder, 'data');
  }

  get url(): string {
    return `postgres://millrace@127.0.0.1:${this.port}/postgres`;
  }

  /** Starts the server on its folder, and waits until it answers. */
  async resume(): Promise<void> {
    const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off'];
    const args = ['-D', this.#data, '-p', String(this.port), ...settings.flatMap((s) => ['-c', s])];
    const child = spawn(path.join(BIN ?? '', 'postgres'), args, { ...this.#as(), stdio: 'ignore' });
    this.#exited = new Promise((resolve) => child.once('close', () => resolve()));
    await until('PostgreSQL to answer', () => this.sql('select 1').catch(() => undefined), 30_000);
  }

  /** `kill -9` of the postmaster; its children end when they notice. */
  async kill(): Promise<void> {
    const pid = Number(
      readFileSync(path.join(this.#data, 'postmaster.pid'), 'utf8').split('\n')[0],
    );
    const children = execFileSync('ps', ['-o', 'pid=', '--ppid', String(pid)], {
      encoding: 'utf8',
    });
    process.kill(pid, 'SIGKILL');
    for (const child of children.trim().split(/\s+/)) {
      try {
        process.kill(Number(child), 'SIGKILL');
      } catch {
        // It went by itself.
      }
    }
    await this.#exited;
  }

  /** Runs statements on a connection of their own; the rows of the last. */
  async sql(text: string, values: readonly unknown[] = []): Promise<readonly unknown[]> {
    const client = new Client({ connectionString: this.url });
    client.on('error', () => undefined);
    await client.connect();
    try {
      const result = await client.query(text, values.length === 0 ? undefined : [...values]);
      return [result].flat().at(-1)?.rows ?? [];
    } finally {
      await client.end();
    }
  }

  async dispose(): Promise<void> {
    await this.kill().catch(() => undefined);
    rmSync(this.folder, { recursive: true, force: true });
  }

  #as(): { uid?: number; gid?: number; cwd: string } {
    return { ...this.#user, cwd: this.folder };
  }
}

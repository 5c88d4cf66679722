/**
 * A real node for a test: writes an application folder, starts `dist/main.js` in a process of its
 * own, waits for the ready line, and cleans up. Nothing is mocked: tests talk to it over the wire.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ENTRY = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** File name → contents, relative to the application folder. */
export type AppFiles = Readonly<Record<string, string>>;

export interface NodeOptions {
  readonly files: AppFiles;
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Keep the data of an earlier run: its folder. */
  readonly folder?: string;
  readonly command?: 'start' | 'dev';
  /** Ports come from `flags`, `env` or the files alone; otherwise any free ones. */
  readonly ownPorts?: boolean;
  /** What runs it, such as `ip netns exec NAME`. */
  readonly launcher?: readonly string[];
}

export const ADMIN = { username: 'admin', password: 'correct horse battery' } as const;
const CREDENTIALS = Buffer.from(`${ADMIN.username}:${ADMIN.password}`).toString('base64');
const AUTHORIZATION = `Basic ${CREDENTIALS}`;

interface ReadyLine {
  readonly http: string;
  readonly admin: string;
  readonly mqtt?: string;
  readonly replication?: string;
}

export class NodeProcess {
  readonly folder: string;
  readonly http: string;
  readonly admin: string;
  /** Empty when the node serves no MQTT. */
  readonly mqtt: string;
  /** Empty outside of a cluster. */
  readonly replication: string;
  readonly process: ChildProcess;
  readonly stderr: () => string;
  readonly stdout: () => string;
  readonly #exited: Promise<number | null>;
  readonly #engine: string;

  constructor(started: StartedProcess, folder: string, ready: ReadyLine) {
    this.folder = folder;
    this.http = ready.http;
    this.admin = ready.admin;
    this.mqtt = ready.mqtt ?? '';
    this.replication = ready.replication ?? '';
    this.process = started.process;
    this.stderr = started.stderr;
    this.stdout = started.stdout;
    this.#exited = started.exited;
    this.#engine = started.engine;
  }

  /** The HTTP engine that was asked for. */
  get engine(): string {
    return this.#engine;
  }

  get ws(): string {
    return this.http.replace('http:', 'ws:');
  }

  fetch(target: string, init?: RequestInit): Promise<Response> {
    return fetch(`${this.http}${target}`, init);
  }

  put(target: string, record: object, headers: Record<string, string> = {}): Promise<Response> {
    return this.fetch(target, {
      method: 'PUT',
      body: JSON.stringify(record),
      headers: { 'content-type': 'application/json', ...headers },
    });
  }

  /** Runs an operation as the administrator; the answer's JSON. */
  async operate(document: object): Promise<Record<string, unknown>> {
    const response = await fetch(`${this.admin}/`, {
      method: 'POST',
      headers: { authorization: AUTHORIZATION, 'content-type': 'application/json' },
      body: JSON.stringify(document),
    });
    if (!response.ok) throw new Error(`operation: ${response.status} ${await response.text()}`);
    return (await response.json()) as Record<string, unknown>;
  }

  /** The value of a metric with exactly these labels, 0 when it is not there. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const text = await (await fetch(`${this.admin}/metrics`)).text();
    const line = text.split('\n').find((one) => {
      if (one.startsWith('#') || !(one.startsWith(`${name}{`) || one.startsWith(`${name} `))) {
        return false;
      }
      return Object.entries(labels).every(([key, value]) => one.includes(`${key}="${value}"`));
    });
    return line === undefined ? 0 : Number(line.slice(line.lastIndexOf(' ') + 1));
  }

  /** SIGTERM by default; resolves with the exit code. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.process.kill(signal);
    return this.#exited;
  }

  get exited(): Promise<number | null> {
    return this.#exited;
  }

  async dispose(): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null)
      await this.stop('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

interface StartedProcess {
  readonly process: ChildProcess;
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly exited: Promise<number | null>;
  readonly engine: string;
}

/** Writes the files of an application into a new folder. */
export function writeApp(files: AppFiles, into?: string): string {
  const folder = into ?? mkdtempSync(path.join(tmpdir(), 'millrace-test-'));
  for (const [name, contents] of Object.entries(files)) {
    const file = path.join(folder, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, contents);
  }
  return folder;
}

/** Runs the command to its end: for `check`, and for starts that are meant to fail. */
export async function runCommand(
  args: readonly string[],
  options: { readonly env?: Readonly<Record<string, string>>; readonly cwd?: string } = {},
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  const started = launch(args, options.env ?? {}, options.cwd);
  const code = await started.exited;
  return { code, stdout: started.stdout(), stderr: started.stderr() };
}

/**
 * The disk of a shared machine stands still for seconds at times; a fill is not to be shed for it.
 */
const PATIENT: AppFiles = { 'millrace.yaml': 'limits: { writeQueueAgeMsMax: 60s }\n' };

/** Starts a node and resolves once it answers; rejects with its output when it ends before. */
export async function startNode(options: NodeOptions): Promise<NodeProcess> {
  const folder = writeApp({ ...PATIENT, ...options.files }, options.folder);
  const zero = ['http', 'admin', 'mqtt', 'replication'];
  const ports = zero.flatMap((name) => [`--${name}-port`, '0']);
  const args = [
    options.command ?? 'start',
    folder,
    ...(options.ownPorts === true ? [] : ports),
    '--data',
    path.join(folder, 'data'),
    ...(options.flags ?? []),
  ];
  const env = {
    MILLRACE_ADMIN_USERNAME: ADMIN.username,
    MILLRACE_ADMIN_PASSWORD: ADMIN.password,
    ...options.env,
  };
  const started = launch(args, env, undefined, options.launcher);
  return new NodeProcess(started, folder, await readyLine(started));
}

function launch(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  cwd?: string,
  launcher: readonly string[] = [],
): StartedProcess {
  const [program = '', ...rest] = [...launcher, process.execPath, ENTRY, ...args];
  const child = spawn(program, rest, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd,
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const exited = new Promise<number | null>((resolve) => child.once('close', resolve));
  const engine = env.MILLRACE_HTTP_ENGINE ?? process.env.MILLRACE_HTTP_ENGINE ?? 'auto';
  return { process: child, stdout: () => stdout, stderr: () => stderr, exited, engine };
}

/** A node that says nothing for so long is ended, so that none outlives its test. */
const READY_WITHIN_MS = 45_000;

async function readyLine(started: StartedProcess): Promise<ReadyLine> {
  let ended = false;
  void started.exited.then(() => {
    ended = true;
  });
  const late = setTimeout(() => started.process.kill('SIGKILL'), READY_WITHIN_MS);
  void started.exited.then(() => clearTimeout(late));
  for (;;) {
    const line = started
      .stdout()
      .split('\n')
      .find((one) => one.includes('"ready"'));
    if (line !== undefined) {
      clearTimeout(late);
      return JSON.parse(line) as ReadyLine;
    }
    if (ended) {
      throw new Error(
        `the node ended before it was ready:\n${started.stdout()}${started.stderr()}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Polls until `probe` yields something; rejects with `what` after the time is up. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 30_000,
): Promise<T> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > end) throw new Error(`timed out waiting for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/**
 * `millrace dev`: runs the application and follows its files. What a running node can take over
 * (policies, origins, roles) it does, keeping its connections and subscribers; for anything else it
 * is started again. The node is a child process, so a start leaves nothing behind; ports that were
 * chosen freely are kept.
 */
import path from 'node:path';
import type { ReloadReport } from '../node-reload.ts';
import { formatProblem } from '../schema/problem.ts';
import { NodeChild, type ReadyPorts } from './child.ts';
import { EXIT, type Terminal } from './terminal.ts';

export interface DevOptions {
  readonly entry: string;
  readonly appFolder: string;
  /** Flags as they were given, to be handed on. */
  readonly flags: readonly string[];
}

/** Changes in these do not concern a running node: pages are read from disk, data is its own. */
const IGNORED = new Set(['node_modules', 'public', 'data', 'dist']);
const SETTLE_MS = 80;
/** A start that fails is tried again: another process may have taken a port for a moment. */
const STARTS_MAX = 10;
const START_AGAIN_MS = 1_000;
/** Changes in these a running node takes over. */
const FOLLOWED = /^(?:cache-policies|origins)[\\/]|^roles\.yaml$/;

export async function dev(options: DevOptions, terminal: Terminal): Promise<number> {
  const session = new DevSession(options, terminal);
  const { watch } = await import('chokidar');
  const watcher = watch(options.appFolder, {
    ignoreInitial: true,
    ignored: (file) => isIgnored(options.appFolder, file),
  });
  let timer: NodeJS.Timeout | undefined;
  watcher.on('all', (_event, file) => {
    clearTimeout(timer);
    const changed = path.relative(options.appFolder, file);
    timer = setTimeout(() => void session.reload(changed), SETTLE_MS);
  });
  const code = await session.run();
  await watcher.close();
  return code;
}

function isIgnored(appFolder: string, file: string): boolean {
  const [first = ''] = path.relative(appFolder, file).split(path.sep);
  // `.env` matters; other dot files and folders are tools' and the node's own.
  return IGNORED.has(first) || (first.startsWith('.') && first !== '.env' && first !== '');
}

class DevSession {
  readonly #options: DevOptions;
  readonly #terminal: Terminal;
  #child: NodeChild | undefined;
  #ports: ReadyPorts | undefined;
  #reloading: Promise<void> | undefined;
  #again = false;
  #startAgain: NodeJS.Timeout | undefined;
  #finish: (code: number) => void = () => undefined;

  constructor(options: DevOptions, terminal: Terminal) {
    this.#options = options;
    this.#terminal = terminal;
  }

  run(): Promise<number> {
    const ended = new Promise<number>((resolve) => {
      this.#finish = resolve;
    });
    const stop = () => void this.#stop();
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
    this.#launch();
    return ended;
  }

  async reload(changed: string): Promise<void> {
    if (this.#reloading !== undefined) {
      this.#again = true;
      return this.#reloading;
    }
    this.#reloading = this.#follow(changed);
    await this.#reloading;
    this.#reloading = undefined;
    if (!this.#again) return undefined;
    this.#again = false;
    return this.reload(changed);
  }

  async #follow(changed: string): Promise<void> {
    const report = FOLLOWED.test(changed) ? await this.#child?.reload() : undefined;
    if (report === undefined || report.restarts.length > 0) {
      this.#terminal.err(`${changed} changed: starting again`);
      return this.#restart();
    }
    for (const line of reloadLines(changed, report)) this.#terminal.err(line);
    return undefined;
  }

  async #restart(): Promise<void> {
    clearTimeout(this.#startAgain);
    await this.#child?.stop();
    this.#launch();
  }

  async #stop(): Promise<void> {
    clearTimeout(this.#startAgain);
    await this.#child?.stop();
    this.#finish(EXIT.clean);
  }

  #launch(start = 1): void {
    const { entry, appFolder, flags } = this.#options;
    const args = ['start', appFolder, ...flags, ...this.#portFlags(), '--dev'];
    let isReady = false;
    const child = new NodeChild(entry, args, {
      ready: (ports) => {
        isReady = true;
        this.#ports = ports;
      },
      ended: (code, asked) => {
        if (this.#child === child) this.#child = undefined;
        if (asked) return;
        if (code === EXIT.fault && !isReady && this.#mayStartAgain(start)) return;
        this.#explainEnd(code);
      },
    });
    this.#child = child;
  }

  /** Only where it has run before: its ports were free then. */
  #mayStartAgain(start: number): boolean {
    if (this.#ports === undefined || start >= STARTS_MAX) return false;
    this.#terminal.err('the node could not start; it is tried again in a second');
    this.#startAgain = setTimeout(() => this.#launch(start + 1), START_AGAIN_MS);
    return true;
  }

  /**
   * An application that never started has nothing to wait for; one that did is given another
   * chance.
   */
  #explainEnd(code: number | null): void {
    if (code === EXIT.fault && this.#ports === undefined) {
      this.#finish(EXIT.fault);
      return;
    }
    this.#terminal.err(
      code === EXIT.usage
        ? 'waiting for a change that mends it'
        : `the node ended with ${code ?? 'a signal'}; it starts again with the next change`,
    );
  }

  #portFlags(): readonly string[] {
    if (this.#ports === undefined) return [];
    const { http, admin, mqtt } = this.#ports;
    const chosen = ['--http-port', String(http), '--admin-port', String(admin)];
    return mqtt === undefined ? chosen : [...chosen, '--mqtt-port', String(mqtt)];
  }
}

function reloadLines(changed: string, { outcome, changes, problems }: ReloadReport) {
  if (outcome === 'refused') {
    return [...problems.map(formatProblem), 'the node goes on with what it had before'];
  }
  return [`${changed} changed: ${changes.join('; ') || 'nothing that matters'}`];
}

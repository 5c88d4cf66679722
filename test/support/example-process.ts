/**
 * An example of the repository as a newcomer starts it: its `start.js` in a process of its own, its
 * output, and its end; and a browser to look at it with, where there is one.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium } from 'playwright-core';
import { until } from './node-process.ts';

const CHROMIUM = '/usr/bin/chromium';
export const HAS_BROWSER = existsSync(CHROMIUM);

export const exampleFolder = (name: string): string =>
  fileURLToPath(new URL(`../../examples/${name}`, import.meta.url));

/** Whether `npm ci` was run in the example, which has packages of its own. */
export const isInstalled = (name: string, needed: string): boolean =>
  existsSync(path.join(exampleFolder(name), 'node_modules', needed));

export class ExampleProcess {
  readonly process: ChildProcess;
  readonly #folder: string;
  readonly #exited: Promise<number | null>;
  #output = '';

  constructor(name: string, env: Readonly<Record<string, string>> = {}) {
    this.#folder = mkdtempSync(path.join(tmpdir(), `millrace-${name}-`));
    const ports = ['--http-port', '0', '--admin-port', '0', '--data', this.#folder];
    this.process = spawn(process.execPath, [path.join(exampleFolder(name), 'start.js'), ...ports], {
      env: { ...process.env, NO_COLOR: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text;
      });
    }
    this.#exited = new Promise((resolve) => this.process.once('close', resolve));
  }

  output(): string {
    return this.#output;
  }

  /** The first group of the pattern, as soon as it was printed. */
  async printed(pattern: RegExp, timeoutMs: number): Promise<string> {
    return until(
      `${pattern} in the output`,
      () => {
        if (this.process.exitCode !== null) throw new Error(`it ended:\n${this.#output}`);
        return pattern.exec(this.#output)?.[1];
      },
      timeoutMs,
    );
  }

  /** The exit code. */
  async stop(): Promise<number | null> {
    this.process.kill('SIGTERM');
    const code = await this.#exited;
    rmSync(this.#folder, { recursive: true, force: true });
    return code;
  }
}

export const openBrowser = (): Promise<Browser> =>
  chromium.launch({
    executablePath: CHROMIUM,
    args: [
      ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
      ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
    ],
  });

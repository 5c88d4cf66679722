/**
 * `millrace start`: checks the application, starts the node, prints the ready line, and stops
 * cleanly on SIGTERM, SIGINT, or the loss of the parent that supervises it.
 */
import { randomBytes } from 'node:crypto';
import { asNodeError, NodeError } from '../base/errors.ts';
import { type Config, loadConfig } from '../config/config.ts';
import { applicationEnvironment } from '../config/env-file.ts';
import type { FlagValues } from '../config/flags.ts';
import { adoptLimits } from '../config/limits.ts';
import type { RunningNode } from '../node.ts';
import type { ReadConfiguration } from '../node-reload.ts';
import { createLog } from '../observe/log.ts';
import { formatProblem, type Problem } from '../schema/problem.ts';
import { loadApplication } from '../worker-application.ts';
import { isKind, type ReadyMessage, type ReloadedMessage, type ReloadMessage } from './child.ts';
import { certificateProblems, codeProblems } from './code-problems.ts';
import { tuneCollector } from './collector.ts';
import { devBanner, verdictLine } from './dev-output.ts';
import { EXIT, type Terminal } from './terminal.ts';

export interface StartOptions {
  readonly appFolder: string;
  readonly flags: FlagValues;
  /** Run by `millrace dev`: readable output, a generated administrator. */
  readonly dev: boolean;
}

export async function start(options: StartOptions, terminal: Terminal): Promise<number> {
  const env = options.dev ? withDevAdmin(options.appFolder, terminal) : terminal.env;
  const loaded = loadConfig({ appFolder: options.appFolder, flags: options.flags, env });
  if (loaded.config !== undefined) adoptLimits(loaded.config.limits);
  const read = loadApplication(options.appFolder, env);
  if (loaded.config === undefined || read.application === undefined) {
    const code = await codeProblems(options.appFolder, read.application);
    const problems = [...(loaded.problems ?? []), ...(read.problems ?? []), ...code];
    return sayProblems(problems, terminal);
  }
  tuneCollector();
  const { config } = loaded;
  const again = () => readAgain(options, env);
  const log = createLog(
    options.dev && config.log.level === 'info' ? 'warn' : config.log.level,
    config.cluster.name,
  );
  let end: (code: number) => void = () => undefined;
  const ended = new Promise<number>((resolve) => {
    end = resolve;
  });
  const fatal = (error: unknown) => {
    log.error({ error: String(error) }, 'the node cannot go on');
    end(EXIT.fault);
  };
  try {
    // Loaded now: an application with mistakes is told them without waiting for the node's code.
    const { startNode } = await import('../node.ts');
    const { application } = read;
    const onVerdict = options.dev
      ? (line: VerdictArgument) => terminal.out(verdictLine(line))
      : undefined;
    const started = { application, config, log, onVerdict, onFatal: fatal };
    const node = await startNode({ ...started, read: again });
    announce(config, node, terminal);
    if (options.dev) {
      const shown = applicationEnvironment(options.appFolder, env).env;
      terminal.err(devBanner(config, node, application, shown));
    }
    obeySignals(node, config, end);
    return await ended;
  } catch (error) {
    if (['APPLICATION_INVALID', 'CONFIG_INVALID'].includes(asNodeError(error).code)) {
      // The node stops at the first file; here all of them are said.
      const code = await codeProblems(options.appFolder, read.application);
      const problems = [...certificateProblems(config), ...code];
      if (problems.length > 0) return sayProblems(problems, terminal);
    }
    return sayFailure(error, terminal);
  }
}

function readAgain({ appFolder, flags }: StartOptions, env: Terminal['env']): ReadConfiguration {
  const { config, problems } = loadConfig({ appFolder, flags, env });
  const read = loadApplication(appFolder, env);
  if (config !== undefined && read.application !== undefined) {
    return { kind: 'read', config, application: read.application };
  }
  return { kind: 'invalid', problems: [...(problems ?? []), ...(read.problems ?? [])] };
}

type VerdictArgument = Parameters<typeof verdictLine>[0];

/** What is wrong, all of it, each with its place and cure. */
export function sayProblems(problems: readonly Problem[], terminal: Terminal): number {
  for (const problem of problems) terminal.err(formatProblem(problem));
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
  terminal.err(`${count}; nothing was started`);
  return EXIT.usage;
}

function sayFailure(error: unknown, terminal: Terminal): number {
  const failure = asNodeError(error);
  const { problems } = failure.details;
  if (Array.isArray(problems)) return sayProblems(problems, terminal);
  terminal.err(`millrace: ${failure.message}`);
  if (!(error instanceof NodeError)) terminal.err(String((error as Error).stack));
  const invalid: readonly string[] = ['APPLICATION_INVALID', 'CONFIG_INVALID', 'SCHEMA_INVALID'];
  return invalid.includes(failure.code) ? EXIT.usage : EXIT.fault;
}

/** The ready line is a contract: scripts wait for it and read what was bound. */
function announce(config: Config, node: RunningNode, terminal: Terminal): void {
  const tls = config.tls === undefined ? '' : 's';
  const ready = {
    msg: 'ready',
    http: `http${tls}://${urlHost(config.host)}:${node.httpPort}`,
    admin: `http${config.admin.tls ? tls : ''}://${urlHost(config.admin.host)}:${node.adminPort}`,
    ...(node.mqttPort === undefined
      ? {}
      : { mqtt: `mqtt${tls}://${urlHost(config.host)}:${node.mqttPort}` }),
    ...(node.replicationUrl === undefined ? {} : { replication: node.replicationUrl }),
  };
  for (const line of node.insecure) terminal.err(`INSECURE: ${line}`);
  if (node.setupToken !== undefined) terminal.err(setupWords(ready.admin, node.setupToken));
  terminal.out(JSON.stringify(ready));
  const message: ReadyMessage = {
    kind: 'ready',
    ports: { http: node.httpPort, admin: node.adminPort, mqtt: node.mqttPort },
  };
  process.send?.(message);
}

const setupWords = (admin: string, token: string): string =>
  [
    'This node has no administrator yet. Make the first one within 15 minutes, once, at',
    `  ${admin}/setup#${token}`,
    'or set MILLRACE_ADMIN_USERNAME and MILLRACE_ADMIN_PASSWORD (or …_PASSWORD_FILE).',
  ].join('\n');

/** A node that listens everywhere is reached from here by loopback. */
function urlHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

function obeySignals(node: RunningNode, config: Config, end: (code: number) => void): void {
  let stopping = false;
  const stop = () => {
    if (stopping) return;
    stopping = true;
    const late = setTimeout(() => end(EXIT.fault), config.limits.drainMsMax);
    node.stop().then(
      () => {
        clearTimeout(late);
        end(EXIT.clean);
      },
      () => end(EXIT.fault),
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  // What came of it is in the log.
  process.on('SIGHUP', () => void node.reload(false).catch(() => undefined));
  process.on('message', (message) => {
    if (!isKind<ReloadMessage>(message, 'reload')) return;
    void node.reload(false).then((report) => {
      process.send?.({ kind: 'reloaded', report } satisfies ReloadedMessage);
    });
  });
  // A child outlives its supervisor for no reason; it may have gone while the node started.
  process.on('disconnect', stop);
  if (process.send !== undefined && !process.connected) stop();
}

/** `dev` without a configured administrator gets one for this run; its password is printed. */
function withDevAdmin(appFolder: string, terminal: Terminal): Terminal['env'] {
  const { env } = applicationEnvironment(appFolder, terminal.env);
  if (env.MILLRACE_ADMIN_USERNAME !== undefined) return terminal.env;
  const password = env.MILLRACE_DEV_PASSWORD ?? randomBytes(9).toString('base64url');
  return { ...terminal.env, MILLRACE_ADMIN_USERNAME: 'dev', MILLRACE_ADMIN_PASSWORD: password };
}

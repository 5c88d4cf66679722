/**
 * Reloads a running node: reads and checks all files, lets every part on every thread prepare, and
 * swaps all of them, or none. Whatever is wrong leaves the last good configuration in force and is
 * reported with file, line, cause and cure. One reload at a time; who comes meanwhile waits for the
 * next one, which reads the files anew.
 */
import { statSync } from 'node:fs';
import type { Clock } from './base/clock.ts';
import {
  type Configuration,
  type PreparedParts,
  problemsOf,
  type ReloadParts,
} from './config/reload.ts';
import { restartReasons } from './config/restart-reasons.ts';
import type { Log } from './observe/log.ts';
import { formatProblem, type Problem } from './schema/problem.ts';

export type ReadConfiguration =
  | ({ readonly kind: 'read' } & Configuration)
  | { readonly kind: 'invalid'; readonly problems: readonly Problem[] };

export interface ReloadReport {
  /** `refused`: the last good configuration stays; `checked`: a dry run. */
  readonly outcome: 'applied' | 'unchanged' | 'refused' | 'checked';
  readonly changes: readonly string[];
  /** What differs in the files and takes effect at the next start only. */
  readonly restarts: readonly string[];
  readonly problems: readonly Problem[];
}

/** A thread as a reload sees it. */
export interface ReloadThread {
  prepare(next: Configuration): Promise<PreparedThread>;
}

export type PreparedThread =
  | {
      readonly kind: 'ready';
      readonly changes: readonly string[];
      readonly restarts: readonly string[];
      apply(): Promise<void>;
      discard(): Promise<void>;
    }
  | { readonly kind: 'refused'; readonly problems: readonly Problem[] };

export interface ReloadSurroundings {
  /** Reads the files with the flags and the environment of the start. */
  readonly read: () => ReadConfiguration;
  /** What the node was started with. */
  readonly running: Configuration;
  /** The files as the threads want them: with the ports of hosted origins. */
  readonly forThreads: (next: Configuration) => Configuration;
  /** Keys of `millrace.yaml` that some part follows. */
  readonly follows: () => readonly string[];
  readonly threads: () => readonly ReloadThread[];
  readonly clock: Clock;
  readonly log: Log;
}

export class Reloading {
  readonly #around: ReloadSurroundings;
  readonly #startedAt: number;
  #last: Promise<unknown> = Promise.resolve();

  constructor(around: ReloadSurroundings) {
    this.#around = around;
    this.#startedAt = around.clock.now();
  }

  reload(dryRun: boolean): Promise<ReloadReport> {
    const run = this.#last.then(() => this.#reload(dryRun));
    this.#last = run.catch(() => undefined);
    return run;
  }

  async #reload(dryRun: boolean): Promise<ReloadReport> {
    const { read, forThreads, threads } = this.#around;
    const files = read();
    if (files.kind === 'invalid') return this.#refused(files.problems);
    const next = forThreads(files);
    const prepared = await Promise.all(threads().map((thread) => prepareSafely(thread, next)));
    const ready = prepared.flatMap((one) => (one.kind === 'ready' ? [one] : []));
    const discard = () => Promise.all(ready.map((one) => one.discard()));
    const problems = prepared.flatMap((one) => (one.kind === 'refused' ? one.problems : []));
    if (problems.length > 0) {
      await discard();
      return this.#refused(distinct(problems, formatProblem));
    }
    const changes = distinct(ready.flatMap((one) => one.changes));
    const restarts = distinct([...this.#restarts(files), ...ready.flatMap((one) => one.restarts)]);
    if (dryRun) {
      await discard();
      return { outcome: 'checked', changes, restarts, problems };
    }
    await Promise.all(ready.map((one) => one.apply()));
    const outcome = changes.length === 0 ? 'unchanged' : 'applied';
    this.#around.log.info({ outcome, changes, restarts }, 'configuration reloaded');
    return { outcome, changes, restarts, problems };
  }

  #refused(problems: readonly Problem[]): ReloadReport {
    const texts = problems.map(formatProblem);
    const message = 'configuration not reloaded: the last good one stays in force';
    this.#around.log.error({ problems: texts }, message);
    return { outcome: 'refused', changes: [], restarts: [], problems };
  }

  #restarts(files: Configuration): readonly string[] {
    const { running, follows } = this.#around;
    const code = files.application.resources.filter((file) => this.#isNewer(file));
    return [
      ...restartReasons(running, files, follows()),
      ...code.map((file) => `${file.slice(files.application.folder.length + 1)}: was changed`),
    ];
  }

  /** Code of resources is loaded once; its imports are not looked at. */
  #isNewer(file: string): boolean {
    try {
      return statSync(file).mtimeMs > this.#startedAt;
    } catch {
      return false;
    }
  }
}

/** A thread that fails to prepare refuses. */
async function prepareSafely(thread: ReloadThread, next: Configuration): Promise<PreparedThread> {
  try {
    return await thread.prepare(next);
  } catch (error) {
    return { kind: 'refused', problems: problemsOf(error, 'reload') };
  }
}

function distinct<T>(list: readonly T[], textOf: (one: T) => string = String): readonly T[] {
  return [...new Map(list.map((one) => [textOf(one), one])).values()];
}

/** The thread on which this runs. */
export const localThread = (parts: ReloadParts): ReloadThread => ({
  async prepare(next) {
    const prepared: PreparedParts = await parts.prepare(next);
    if (prepared.kind === 'refused') return prepared;
    return {
      ...prepared,
      apply: async () => prepared.apply(),
      discard: async () => prepared.discard(),
    };
  },
});

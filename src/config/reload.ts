/**
 * What may change while the node runs, and how: a list of parts, each of which can prepare itself
 * for newly read files and then be swapped. A reload has two halves, so that it is whole or not at
 * all: every part on every thread prepares (may wait, may refuse, changes nothing), and only when
 * none refused does each thread apply all of its parts in one go, without a pause between them.
 *
 *   read files ─► prepare every part ─┬─ all ready ───► apply (synchronous, cannot fail)
 *                                     └─ one refused ─► discard; the last good stays in force
 */
import { asNodeError } from '../base/errors.ts';
import type { Problem } from '../schema/problem.ts';
import type { Application } from './application.ts';
import type { Config } from './config.ts';

/** What the files say, read together and checked. Plain data: it is sent to the other threads. */
export interface Configuration {
  readonly application: Application;
  readonly config: Config;
}

export interface ReloadPart {
  /** How reports and logs call it. */
  readonly name: string;
  /**
   * Keys of `millrace.yaml` that it takes over while the node runs, whole trees by their first
   * names (`tls`); a change of any other key is reported to need a restart.
   */
  readonly settings?: readonly string[] | undefined;
  /**
   * Makes ready what `next` wants, beside what runs. Rejects with a `NodeError` that says file,
   * line, cause and cure (`details.problems` when there are several); nothing is changed then.
   */
  prepare(next: Configuration): Promise<PreparedPart> | PreparedPart;
}

export interface PreparedPart {
  /** What would be different, a line each, for people: no secrets. Empty: nothing. */
  readonly changes: readonly string[];
  /** What it cannot take over, a line each. */
  readonly restarts?: readonly string[] | undefined;
  /** Takes over; must not wait and must not throw. What is in flight finishes on the old. */
  apply(): void;
  /** Lets go of what was prepared and will not be used. */
  discard?(): Promise<void> | void;
}

/** A part for which nothing changes. */
export const UNCHANGED: PreparedPart = Object.freeze({ changes: [], apply: () => undefined });

export type PreparedParts =
  | {
      readonly kind: 'ready';
      readonly changes: readonly string[];
      readonly restarts: readonly string[];
      apply(): void;
      discard(): Promise<void>;
    }
  | { readonly kind: 'refused'; readonly problems: readonly Problem[] };

/** The parts of one thread, in the order in which they were added. */
export class ReloadParts {
  readonly #parts: ReloadPart[] = [];

  add(part: ReloadPart): void {
    this.#parts.push(part);
  }

  /** The keys of `millrace.yaml` that some part takes over. */
  get settings(): readonly string[] {
    return this.#parts.flatMap((part) => part.settings ?? []);
  }

  async prepare(next: Configuration): Promise<PreparedParts> {
    const prepared: PreparedPart[] = [];
    const problems: Problem[] = [];
    for (const part of this.#parts) {
      try {
        prepared.push(await part.prepare(next));
      } catch (error) {
        problems.push(...problemsOf(error, part.name));
      }
    }
    const discard = async () => {
      for (const part of prepared) await part.discard?.();
    };
    if (problems.length > 0) {
      await discard();
      return { kind: 'refused', problems };
    }
    return {
      kind: 'ready',
      changes: prepared.flatMap(({ changes }) => changes),
      restarts: prepared.flatMap(({ restarts }) => restarts ?? []),
      apply() {
        for (const part of prepared) part.apply();
      },
      discard,
    };
  }
}

/** What a failure says of files; one that names none is said of the part. */
export function problemsOf(error: unknown, name: string): readonly Problem[] {
  const { details, message } = asNodeError(error);
  const { problems } = details;
  if (Array.isArray(problems) && problems.length > 0) return problems as readonly Problem[];
  return [{ file: name, line: 0, column: 0, message }];
}

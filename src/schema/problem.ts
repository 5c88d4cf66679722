/**
 * What is wrong with a file that somebody wrote: a schema, a policy, an origin, a configuration.
 * Problems are outcomes, not errors: a parser collects all it can find and returns them, so that
 * one run of `millrace check` shows everything.
 */
import type { SourcePlace } from './definition.ts';

export interface Problem extends SourcePlace {
  /** What is wrong, in a few words. */
  readonly message: string;
  /** Why it is wrong, when that is not obvious. */
  readonly cause?: string | undefined;
  /** What to write instead. */
  readonly cure?: string | undefined;
}

export interface Explanation {
  readonly cause?: string | undefined;
  readonly cure?: string | undefined;
}

/** Collects problems as they are found; `max` bounds what a broken file yields. */
export class ProblemList {
  readonly #found: Problem[] = [];
  readonly #max: number;

  constructor(max = 100) {
    this.#max = max;
  }

  add(place: SourcePlace, message: string, explanation: Explanation = {}): void {
    if (this.#found.length >= this.#max) return;
    const { file, line, column } = place;
    this.#found.push({ file, line, column, message, ...explanation });
  }

  addAll(problems: readonly Problem[]): void {
    for (const problem of problems) this.add(problem, problem.message, problem);
  }

  get isEmpty(): boolean {
    return this.#found.length === 0;
  }

  /** All of them, by file and line. */
  sorted(): readonly Problem[] {
    return [...this.#found].sort(
      (a, b) =>
        (a.file < b.file ? -1 : a.file > b.file ? 1 : 0) || a.line - b.line || a.column - b.column,
    );
  }
}

/**
 * `schema.graphql:12:3 unknown directive @sourceFrom`, followed by a line for the cause and one for
 * the cure. A line of 0 stands for the file as a whole and is left out.
 */
export function formatProblem(problem: Problem): string {
  const { file, line, column, message, cause, cure } = problem;
  const lines = [`${line > 0 ? `${file}:${line}:${column}` : file} ${message}`];
  if (cause !== undefined) lines.push(`  cause: ${cause}`);
  if (cure !== undefined) lines.push(`  cure: ${cure}`);
  return lines.join('\n');
}

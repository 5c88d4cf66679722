/** What a command may touch of the process it runs in; given by `main.ts`, replaced in tests. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Standard output: results and the ready line. */
  out(line: string): void;
  /** Standard error: everything said to a person. */
  err(line: string): void;
  /** Shows how far something is, in place of what it showed before; absent where nobody looks. */
  readonly progress?: ((text: string) => void) | undefined;
  /** Standard output is a terminal: what is shown may be replaced by what comes next. */
  readonly isWatched?: boolean | undefined;
  /** Standard input and output of commands that pass on bytes. */
  readonly input?: NodeJS.ReadableStream | undefined;
  readonly output?: NodeJS.WritableStream | undefined;
}

/** Exit codes of the command (a contract). */
export const EXIT = { clean: 0, fault: 1, usage: 2 } as const;

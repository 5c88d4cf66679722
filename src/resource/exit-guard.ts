/**
 * Keeps code of an application from ending the process that serves everybody: `process.exit()`,
 * `process.abort()` and a signal to itself, called from the application's files or while one of its
 * calls is answered, throw instead. The node's own ways out are left as they are.
 */
import { placeInCode } from './code-place.ts';
import { currentCall } from './thread-scope.ts';

const GUARDED = Symbol.for('millrace.exitGuard');

type Exit = (code?: number | string | null) => never;

type Kill = typeof process.kill;

interface Guarded {
  readonly exit: Exit;
  readonly kill: Kill;
  /** Folders of applications whose code runs on this thread. */
  readonly folders: Set<string>;
}

const holder = process as unknown as { [GUARDED]?: Guarded };

/** From now on code in `folder` cannot end the process. */
export function guardExit(folder: string): void {
  const known = holder[GUARDED];
  if (known !== undefined) {
    known.folders.add(folder);
    return;
  }
  const exit = process.exit.bind(process) as Exit;
  const abort = process.abort.bind(process);
  const kill: Kill = process.kill.bind(process);
  const folders = new Set([folder]);
  holder[GUARDED] = { exit, kill, folders };
  process.exit = ((code) => {
    refuse('exit', folders);
    return exit(code);
  }) as Exit;
  process.abort = () => {
    refuse('abort', folders);
    return abort();
  };
  process.kill = (pid, signal) => {
    // Signal 0 asks only whether the process is there.
    if (pid === process.pid && signal !== 0) refuse('kill', folders);
    return kill(pid, signal);
  };
}

function refuse(name: string, folders: ReadonlySet<string>): void {
  const error = new Error(
    `process.${name}() is not for code of an application: it would end the node for everybody. ` +
      'Throw an error, which ends this request only',
  );
  const isCode = [...folders].some((folder) => placeInCode(error, folder) !== undefined);
  if (isCode || currentCall() !== undefined) throw error;
}

/** Ends the thread, or the process from its main thread, in order: native code is waited for. */
export const exitProcess: Exit = (code) => (holder[GUARDED]?.exit ?? process.exit)(code);

/**
 * Ends the whole process at once, from any thread. An exit waits for native code: with writes under
 * way LMDB's writer waits for the thread that waits for it, and a node that is broken stays for
 * ever, answering nobody; from another thread the open listener of uWS aborts. What was
 * acknowledged survives either way.
 */
export function killProcess(): void {
  const kill = holder[GUARDED]?.kill ?? process.kill.bind(process);
  kill(process.pid, 'SIGKILL');
}

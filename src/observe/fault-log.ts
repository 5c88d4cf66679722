/**
 * Requests that failed, in the log. A broken assumption of ours is an error with its stack; an
 * operating error (a full disk, a queue without room) is a warning, once a second for each code
 * however many requests it fails. Of the request only method and path are said: its fields hold
 * credentials.
 */
import type { Clock } from '../base/clock.ts';
import { asNodeError, type ErrorCode } from '../base/errors.ts';
import type { Log } from './log.ts';

export type FaultLog = (
  error: unknown,
  request: { readonly method: string; readonly path: string },
) => void;

const QUIET_MS = 1_000;

interface Said {
  at: number;
  /** Failed since, without a line. */
  unsaid: number;
}

export function createFaultLog(log: Log, clock: Clock): FaultLog {
  const said = new Map<ErrorCode, Said>();
  return (error, { method, path }) => {
    const { code, message } = asNodeError(error);
    if (code === 'INTERNAL') {
      const stack = error instanceof Error ? error.stack : String(error);
      log.error({ method, path, stack }, 'a request broke one of our own assumptions');
      return;
    }
    const now = clock.monotonic();
    const last = said.get(code);
    if (last !== undefined && now - last.at < QUIET_MS) {
      last.unsaid += 1;
      return;
    }
    said.set(code, { at: now, unsaid: 0 });
    log.warn({ method, path, code, alsoFailed: last?.unsaid ?? 0 }, message);
  };
}

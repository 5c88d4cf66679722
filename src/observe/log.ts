/**
 * The node's log: JSON lines on standard error, so that standard output carries nothing but the
 * ready line (and, under `dev`, the verdicts). Secrets are redacted by name.
 */
import pino from 'pino';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

export interface Log {
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

/** A log whose level may change while it is written. */
export interface LevelledLog extends Log {
  level: string;
}

const SECRETS = ['password', 'token', 'authorization', '*.password', '*.token', '*.authorization'];

/** Synchronous: a line written before a crash is there after it. */
export function createLog(level: LogLevel, name: string): LevelledLog {
  return pino(
    { level, base: { name }, redact: SECRETS, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: 2, sync: true }),
  );
}

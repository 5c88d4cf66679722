/**
 * Writes audit events to the log of the process, one line each, under `audit`. What else is kept of
 * them is decided where the port is given away.
 */
import type { Log } from './log.ts';

/** The shape of `access/audit.ts`: an event's names and counts, never a secret. */
type Event = object;

export const auditTo =
  (log: Log) =>
  (event: Event): void =>
    log.info({ audit: event }, 'audit');

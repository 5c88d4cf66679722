/**
 * `millrace audit`: the audit log of a running node, a line of JSON for each event, newest first.
 * It is fetched piece by piece, so that all of it can be exported, however long it is.
 */
import { type AdminFlags, exitCodeOf, operate } from './admin-client.ts';
import { EXIT, type Terminal } from './terminal.ts';

export interface AuditFlags extends AdminFlags {
  readonly kind?: string | undefined;
  readonly by?: string | undefined;
  readonly since?: string | undefined;
  readonly until?: string | undefined;
}

/** Events of one answer. */
const PIECE = 1_000;

export function printAudit(flags: AuditFlags, terminal: Terminal): Promise<number> {
  return exitCodeOf(terminal, async () => {
    const { kind, by, since, until } = flags;
    let after: unknown;
    do {
      const asked = { operation: 'read_audit_log', kind, by, since, until, after, limit: PIECE };
      const { entries, next } = await operate(flags, terminal, asked);
      for (const entry of entries as readonly object[]) terminal.out(JSON.stringify(entry));
      after = next;
    } while (after !== undefined);
    return EXIT.clean;
  });
}

/**
 * `read_audit_log`: what was done by whom, newest first: sign-ins and refusals, changes of users,
 * roles and keys, operations, purges. `next` continues where an answer ended, so that all of it can
 * be exported piece by piece.
 */
import { type AuditRow, keyOf } from '../../access/identity/audit-log.ts';
import { SYSTEM } from '../../access/identity/system-tables.ts';
import { LIMITS } from '../../config/limits.ts';
import { type Arguments, type Operation, usage } from '../operation.ts';

const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 10_000;

export const readAuditLog: Operation = {
  name: 'read_audit_log',
  takes: ['kind', 'by', 'since', 'until', 'limit', 'after', 'search_type', 'search_values'],
  async run(args, { identity }) {
    const limit = limitOf(args);
    const since = instantOf(args, 'since') ?? 0;
    const names = namesOf(args);
    await identity.auditWritten();
    const entries: object[] = [];
    let after = typeof args.after === 'string' ? args.after : startOf(args);
    let scanned = 0;
    for (const row of identity.directory.rows<AuditRow>(SYSTEM.audit, after)) {
      if (Date.parse(row.at) < since || entries.length === limit) break;
      after = row.id;
      scanned += 1;
      const { event } = row;
      const isWanted =
        (args.kind === undefined || event.kind === args.kind) &&
        (names === undefined || names.includes(event.by ?? ''));
      if (isWanted) entries.push({ at: row.at, ...event });
    }
    // There may be more where it was not looked.
    const isCut = entries.length === limit || scanned === LIMITS.systemRowsMax;
    return { entries, ...(isCut ? { next: after } : {}) };
  },
};

/** `by`, or in the field's form `search_type: "username", search_values: […]`. */
function namesOf({ by, search_type: type, search_values: values }: Arguments) {
  if (by !== undefined) return [String(by)];
  if (type === undefined) return undefined;
  if (type === 'username' && Array.isArray(values)) return values.map(String);
  throw usage('search_type: username, with search_values a list of names; or use by');
}

const startOf = (args: Arguments): string | undefined => {
  const until = instantOf(args, 'until');
  return until === undefined ? undefined : keyOf(until);
};

function instantOf(args: Arguments, argument: string): number | undefined {
  const value = args[argument];
  if (value === undefined) return undefined;
  const at = typeof value === 'number' ? value : Date.parse(String(value));
  if (Number.isFinite(at)) return at;
  throw usage(`${argument}: a date such as 2026-05-01T12:00:00Z, or milliseconds`);
}

function limitOf({ limit = LIMIT_DEFAULT }: Arguments): number {
  if (Number.isInteger(limit) && Number(limit) >= 1 && Number(limit) <= LIMIT_MAX) {
    return Number(limit);
  }
  throw usage(`limit: a number from 1 to ${LIMIT_MAX}`);
}

/** What a flood of wrong passwords does to the audit log: it takes no room from anything else. */
import { afterEach, expect, it } from 'vitest';
import { AuditLog, type AuditRow } from '../../../../src/access/identity/audit-log.ts';
import { SYSTEM } from '../../../../src/access/identity/system-tables.ts';
import { systemClock as clock } from '../../../../src/base/clock.ts';
import { adoptLimits, LIMIT_DEFAULTS } from '../../../../src/config/limits.ts';
import { openTestIdentity } from '../../../support/identity.ts';

afterEach(() => adoptLimits(LIMIT_DEFAULTS));

const guess = { kind: 'signInRefused', by: 'ann', method: 'password', reason: 'wrong' } as const;
const grant = { kind: 'grantChanged', by: 'admin', change: 'added', what: 'user eve' } as const;

it('writes and keeps other events under a flood of refused sign-ins', async () => {
  adoptLimits({ ...LIMIT_DEFAULTS, auditRowsMax: 100, auditBurstMax: 150, auditPerSecondMax: 1 });
  const { directory, registry } = openTestIdentity();
  const log = new AuditLog({ directory, registry, clock, thread: 0 });
  for (let i = 0; i < 10; i += 1) expect(log.record(grant)).toBe(true);
  let written = 0;
  for (let i = 0; i < 500; i += 1) if (log.record(guess)) written += 1;
  expect(written).toBeLessThan(500);
  expect(log.record(grant)).toBe(true);
  await log.flush();
  const kept = [...directory.rows<AuditRow>(SYSTEM.audit)].map(({ event }) => event.kind);
  expect(kept.filter((kind) => kind === 'grantChanged').length).toBe(11);
  expect(kept.length).toBeLessThanOrEqual(100);
});

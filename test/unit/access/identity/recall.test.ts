/** Certificates that an earlier run verified, by what the configuration of now makes of them. */
import { expect, it } from 'vitest';
import { must } from '../../../../src/base/assert.ts';
import type { CertificateRule } from '../../../../src/config/auth-settings.ts';
import { asking, openTestIdentity } from '../../../support/identity.ts';

const ROLES = new Map([['device', { tables: {} }]]);
const RULE: CertificateRule = { alternativeName: '*.devices.test', roles: ['device'] };
const certificate = {
  commonName: 'sensor',
  alternativeNames: ['s1.devices.test'],
  serialNumber: '01',
  fingerprint: 'AA:BB',
};

it('takes a certificate of an earlier run as the rules of now take it', async () => {
  const before = openTestIdentity({ roles: ROLES, certificates: [RULE] });
  const known = await before.ask(asking({}, { certificate }));
  if (known.kind !== 'principal') throw new Error('it was not taken');
  // As it comes from a disk.
  const verified = JSON.parse(JSON.stringify(must(known.standing.verified, 'verified')));
  const recalled = (certificates: readonly CertificateRule[], mayTakeCertificatesBack = false) =>
    openTestIdentity({ roles: ROLES, certificates, mayTakeCertificatesBack }).authenticator.recall(
      verified,
    );
  expect(recalled([RULE])).toMatchObject({ kind: 'user', roles: ['device'] });
  expect(recalled([{ ...RULE, roles: ['other'] }])).toMatchObject({ roles: ['other'] });
  expect(recalled([{ ...RULE, alternativeName: '*.others.test' }])).toBeUndefined();
  // Nobody can be asked whether it was revoked meanwhile.
  expect(recalled([RULE], true)).toBeUndefined();
});

/** Which addresses are inside, and which settings open them. */
import { describe, expect, it } from 'vitest';
import { createAddressGuard, isPrivateAddress } from '../../../src/origin/address-guard.ts';

const PRIVATE = [
  '0.0.0.0',
  '10.1.2.3',
  '100.64.0.1',
  '127.0.0.1',
  '127.255.255.254',
  '169.254.169.254',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '198.18.0.1',
  '224.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::ffff:127.0.0.1',
  '::ffff:10.0.0.1',
  '::ffff:7f00:1',
  '::127.0.0.1',
  '64:ff9b::7f00:1',
  '2002:7f00:1::',
  '2001:0:7f00:1::',
  'fc00::1',
  'fd00:ec2::254',
  'fe80::1',
  'fe80::1%eth0',
  '[::1]',
  'ff02::1',
  '2001:db8::1',
  'localhost',
  '',
];
const PUBLIC = ['1.1.1.1', '9.255.255.255', '172.32.0.1', '::ffff:8.8.8.8', '2606:4700::1111'];

describe('the address guard', () => {
  for (const address of PRIVATE) {
    it(`counts ${JSON.stringify(address)} as private`, () => {
      expect(isPrivateAddress(address)).toBe(true);
    });
  }

  for (const address of PUBLIC) {
    it(`counts ${address} as public`, () => {
      expect(isPrivateAddress(address)).toBe(false);
    });
  }

  it('lets through what is listed by host and port, by name or by address', () => {
    const guard = createAddressGuard('o', ['api.internal:8080', '10.0.0.7:80', '[fd00::7]:443']);
    expect(guard.refusal('api.internal', 8080, '10.9.9.9')).toBeUndefined();
    expect(guard.refusal('API.internal', 8080, '10.9.9.9')).toBeUndefined();
    expect(guard.refusal('somewhere', 80, '10.0.0.7')).toBeUndefined();
    expect(guard.refusal('[fd00::7]', 443, 'fd00::7')).toBeUndefined();
    expect(guard.refusal('api.internal', 8081, '10.9.9.9')?.code).toBe('ADDRESS_REFUSED');
    expect(guard.refusal('other', 8080, '10.9.9.9')?.code).toBe('ADDRESS_REFUSED');
  });

  it('keeps metadata services closed even when everything private is allowed', () => {
    const guard = createAddressGuard('o', true);
    expect(guard.refusal('h', 80, '10.0.0.1')).toBeUndefined();
    for (const address of ['169.254.169.254', '::ffff:169.254.169.254', 'fd00:ec2::254']) {
      expect(guard.refusal('metadata', 80, address)?.code).toBe('ADDRESS_REFUSED');
    }
    const listed = createAddressGuard('o', ['169.254.169.254:80']);
    expect(listed.refusal('h', 80, '169.254.169.254')).toBeUndefined();
  });

  it('says in its message exactly what would allow the address', () => {
    const error = createAddressGuard('flights', false).refusal('localhost', 3000, '127.0.0.1');
    expect(error?.message).toContain('allowPrivate: ["localhost:3000"]');
  });
});

/** Peer addresses as text. */
import { describe, expect, it } from 'vitest';
import { addressText, unmapped } from '../../../../src/protocols/http/remote-address.ts';

const sixteen = (hex: string) => Buffer.from(hex.replaceAll(':', ''), 'hex');

describe('peer addresses', () => {
  it.each([
    [Uint8Array.of(127, 0, 0, 1), '127.0.0.1'],
    [sixteen('0000:0000:0000:0000:0000:ffff:7f00:0001'), '127.0.0.1'],
    [sixteen('0000:0000:0000:0000:0000:0000:0000:0001'), '::1'],
    [sixteen('2001:0db8:0000:0000:0001:0000:0000:0001'), '2001:db8::1:0:0:1'],
    [sixteen('2001:0db8:0000:0001:0001:0001:0001:0001'), '2001:db8:0:1:1:1:1:1'],
    [sixteen('0000:0000:0000:0000:0000:0000:0000:0000'), '::'],
    [new Uint8Array(0), ''],
  ])('are written alike on both engines [RFC5952 §4]', (bytes, text) => {
    expect(addressText(bytes)).toBe(text);
  });

  it("lose Node's prefix of mapped addresses", () => {
    expect(unmapped('::ffff:10.0.0.1')).toBe('10.0.0.1');
    expect(unmapped('::1')).toBe('::1');
    expect(unmapped(undefined)).toBe('');
  });
});

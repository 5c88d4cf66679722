/** Whom a node takes for its client when proxies stand in front. */
import { describe, expect, it } from 'vitest';
import { isNetwork } from '../../../../src/base/network.ts';
import { clientAddress, proxyTrust } from '../../../../src/protocols/http/client-address.ts';

const trust = proxyTrust(['10.0.0.0/8', '192.0.2.7', 'fd00::/8']);
const client = (peer: string, field?: string) =>
  trust === undefined ? '' : clientAddress(peer, field, trust);

describe('the address of a client', () => {
  it('is that of the socket when the peer is no trusted proxy', () => {
    expect(client('203.0.113.5', '198.51.100.1')).toBe('203.0.113.5');
    expect(client('192.0.2.8', '198.51.100.1')).toBe('192.0.2.8');
  });

  it('is the nearest address that no trusted proxy has', () => {
    expect(client('10.1.2.3', '198.51.100.1')).toBe('198.51.100.1');
    expect(client('10.1.2.3', '198.51.100.1, 192.0.2.7, 10.9.9.9')).toBe('198.51.100.1');
    expect(client('fd00::1', '2001:db8::5, 10.0.0.1')).toBe('2001:db8::5');
  });

  it('does not believe what a client wrote in front', () => {
    expect(client('10.1.2.3', '127.0.0.1, 198.51.100.1')).toBe('198.51.100.1');
    expect(client('10.1.2.3', '1.1.1.1, unknown, 10.0.0.2')).toBe('10.0.0.2');
    expect(client('10.1.2.3', '')).toBe('10.1.2.3');
  });

  it('is read with ports and brackets, and without the prefix of mapped addresses', () => {
    expect(client('10.1.2.3', '198.51.100.1:4711')).toBe('198.51.100.1');
    expect(client('10.1.2.3', '[2001:db8::5]:443')).toBe('2001:db8::5');
    expect(client('10.1.2.3', '::ffff:198.51.100.1')).toBe('198.51.100.1');
  });

  it('looks at a bounded number of hops', () => {
    const field = `198.51.100.1, ${Array.from({ length: 5_000 }, () => '10.0.0.1').join(', ')}`;
    expect(client('10.1.2.3', field)).toBe('10.0.0.1');
  });

  it('knows what a network is', () => {
    const good = ['10.0.0.0/8', '::1', 'fd00::/8', '192.0.2.1/32'];
    const bad = ['10.0.0.0/33', 'example.com', '10.0.0.0/8/8', '', '10.0.0.0/x', '::/129'];
    expect([...good, ...bad].filter(isNetwork)).toEqual(good);
  });
});

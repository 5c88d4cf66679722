/** Which scheme a client speaks when proxies stand in front. */
import { describe, expect, it } from 'vitest';
import { proxyTrust } from '../../../../src/protocols/http/client-address.ts';
import { toldSchemeOf } from '../../../../src/protocols/http/told-scheme.ts';

const trust = proxyTrust(['10.0.0.0/8', 'fd00::/8']) ?? { trusts: () => false };
const told = (peer: string, fields: Readonly<Record<string, string>>) =>
  toldSchemeOf({ header: (name) => fields[name] }, () => peer, trust);
const PROXY = '10.0.0.1';

describe('the scheme of a client', () => {
  it('is what a trusted proxy says, and what nobody else says', () => {
    expect(told(PROXY, { 'x-forwarded-proto': 'https' })).toBe('https');
    expect(told(PROXY, { 'x-forwarded-proto': 'HTTPS ' })).toBe('https');
    expect(told(PROXY, { 'x-forwarded-proto': 'http' })).toBe('http');
    expect(told(PROXY, { 'x-forwarded-proto': 'wss' })).toBe('https');
    expect(told('203.0.113.5', { 'x-forwarded-proto': 'https' })).toBeUndefined();
    expect(told('203.0.113.5', { forwarded: 'proto=https' })).toBeUndefined();
    expect(told(PROXY, {})).toBeUndefined();
  });

  it.each(['', 'ftp', 'https/1', 'javascript', '\u0000', 'https;http'])('is not %o', (word) => {
    expect(told(PROXY, { 'x-forwarded-proto': word })).toBeUndefined();
  });

  it('is that of the outermost proxy that is trusted, and of nobody left of it', () => {
    const list = (proto: string, hops: string) =>
      told(PROXY, { 'x-forwarded-proto': proto, 'x-forwarded-for': hops });
    expect(list('https, http', '198.51.100.1, 10.0.0.2')).toBe('https');
    expect(list('https, http', '198.51.100.1')).toBe('http');
    expect(list('https, http, http', '1.1.1.1, 198.51.100.1, 10.0.0.2')).toBe('http');
    expect(list('https', '198.51.100.1, 10.0.0.2, 10.0.0.3')).toBe('https');
    expect(list('https, http', '10.0.0.3, 10.0.0.2')).toBe('https');
    expect(list('https, http', '10.0.0.2, rubbish')).toBe('http');
  });

  it('is read from Forwarded when there is nothing else', () => {
    const field = (forwarded: string, more = {}) => told(PROXY, { forwarded, ...more });
    expect(field('for=198.51.100.1;proto=https;by=10.0.0.1')).toBe('https');
    expect(field('For="[2001:db8::1]:4711"; Proto="https"')).toBe('https');
    expect(field('for=198.51.100.1;proto=https, for=10.0.0.2;proto=http')).toBe('https');
    expect(field('for=1.1.1.1;proto=https, for=198.51.100.1;proto=http')).toBe('http');
    expect(field('for=198.51.100.1')).toBeUndefined();
    expect(field('proto=https', { 'x-forwarded-proto': 'http' })).toBe('http');
  });

  it.each(['for="', 'for="\\', '"', ',', '=', ';proto=https', 'proto=http proto=https', 'a=b;;'])(
    'is not read from a Forwarded that %o spoils',
    (start) => {
      expect(told(PROXY, { forwarded: `${start}, for=198.51.100.1;proto=https` })).toBeUndefined();
    },
  );

  it('is found in bounded time, whatever stands there', () => {
    const many = Array.from({ length: 5_000 }, () => '10.0.0.1');
    const fields = {
      'x-forwarded-proto': `https, ${'http, '.repeat(5_000)}http`,
      'x-forwarded-for': many.join(', '),
    };
    expect(told(PROXY, fields)).toBe('http');
    expect(told(PROXY, { forwarded: `${'for=10.0.0.1;'.repeat(5_000)}proto=https` })).toBe('https');
  });
});

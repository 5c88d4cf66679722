/** The `Cache-Status` field as RFC 9211 wants it printed. */
import { describe, expect, it } from 'vitest';
import { formatCacheStatus } from '../../../../src/protocols/http/cache-status.ts';

describe('Cache-Status', () => {
  it.each([
    [{ hit: true, ttl: 12 }, 'millrace; hit; ttl=12'],
    [
      { hit: true, ttl: -3, detail: 'stale-while-revalidate' },
      'millrace; hit; ttl=-3; detail=stale-while-revalidate',
    ],
    [
      { hit: false, fwd: 'uri-miss', fwdStatus: 200, stored: true, collapsed: true },
      'millrace; fwd=uri-miss; fwd-status=200; stored; collapsed',
    ],
    [
      { hit: false, fwd: 'stale', stored: false, detail: 'ORIGIN_TIMED_OUT' },
      'millrace; fwd=stale; detail=ORIGIN_TIMED_OUT',
    ],
    [{ hit: false }, 'millrace'],
  ] as const)('prints %j [RFC9211 §2]', (status, text) => {
    expect(formatCacheStatus(status)).toBe(text);
  });

  it('never names a forward reason with a hit [RFC9211 §2.2]', () => {
    expect(formatCacheStatus({ hit: true, fwd: 'miss', fwdStatus: 200 })).toBe('millrace; hit');
  });

  it('quotes a detail that is no token, and keeps it on one line [RFC8941 §3.3.3]', () => {
    const text = formatCacheStatus({ hit: false, detail: 'say "no"\r\nx: y\\' });
    expect(text).toBe('millrace; detail="say \\"no\\"??x: y\\\\"');
  });
});

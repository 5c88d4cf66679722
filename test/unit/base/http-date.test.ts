/** HTTP dates: three forms read, one written. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { epochMs } from '../../../src/base/brands.ts';
import { formatHttpDate, parseHttpDate } from '../../../src/base/http-date.ts';

const at = epochMs(784111777000);

describe('HTTP dates', () => {
  it('writes an IMF-fixdate and cuts milliseconds off [RFC9110 §5.6.7]', () => {
    expect(formatHttpDate(epochMs(784111777999))).toBe('Sun, 06 Nov 1994 08:49:37 GMT');
  });

  it.each([
    'Sun, 06 Nov 1994 08:49:37 GMT',
    'Sunday, 06-Nov-94 08:49:37 GMT',
    'Sun Nov  6 08:49:37 1994',
  ])('reads %s [RFC9110 §5.6.7]', (text) => {
    expect(parseHttpDate(text)).toBe(at);
  });

  it('takes a two-digit year more than 50 years ahead for the past [RFC9110 §5.6.7]', () => {
    const now = epochMs(Date.UTC(2026, 0, 1));
    const text = (year: string) => `Friday, 01-Jan-${year} 00:00:00 GMT`;
    expect(parseHttpDate(text('76'), now)).toBe(Date.UTC(2076, 0, 1));
    expect(parseHttpDate(text('77'), now)).toBe(Date.UTC(1977, 0, 1));
  });

  it.each([
    '',
    '0',
    'yesterday',
    '2026-11-23T06:52:00Z',
    'Sun, 06 Nov 1994 08:49:37 +0100',
    'Sun, 06 Nov 1994 24:49:37 GMT',
    'Mon, 31 Feb 2026 00:00:00 GMT',
    'Sun, 06 Now 1994 08:49:37 GMT',
  ])('does not take %j for a date', (text) => {
    expect(parseHttpDate(text)).toBeUndefined();
  });

  it('reads back what it wrote, whatever was memoised before', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_102_444_800 }), (second) => {
        const text = formatHttpDate(epochMs(second * 1000));
        expect(text).toBe(new Date(second * 1000).toUTCString());
        expect(parseHttpDate(text)).toBe(second * 1000);
      }),
    );
  });
});

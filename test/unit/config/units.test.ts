/** Quantities as people write them. */
import { describe, expect, it } from 'vitest';
import { parseCount, parseDuration, parseShare, parseSize } from '../../../src/config/units.ts';

describe('durations', () => {
  it.each([
    ['250ms', 250],
    ['10s', 10_000],
    ['1.5s', 1_500],
    ['5m', 300_000],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
    ['1w', 604_800_000],
    ['1h30m', 5_400_000],
    ['1h 30m', 5_400_000],
    ['0', 0],
    [0, 0],
  ])('%j is %d ms', (written, ms) => {
    expect(parseDuration(written)).toBe(ms);
  });

  it.each([60, '60', 's', '10 seconds', '-1s', '1s!', '', null, true, `${'9'.repeat(30)}d`])(
    '%j is none: a number needs its unit',
    (written) => {
      expect(parseDuration(written)).toBeUndefined();
    },
  );
});

describe('sizes', () => {
  it.each([
    ['8MiB', 8_388_608],
    ['64KiB', 65_536],
    ['1.5 GiB', 1_610_612_736],
    ['10MB', 10_000_000],
    ['5kB', 5_000],
    ['7B', 7],
    ['7', 7],
    [1024, 1024],
  ])('%j is %d bytes', (written, bytes) => {
    expect(parseSize(written)).toBe(bytes);
  });

  it.each(['8M', 'MiB', '-1', -1, 1.5, '1KiB2', ''])('%j is none', (written) => {
    expect(parseSize(written)).toBeUndefined();
  });
});

describe('shares', () => {
  it.each([
    ['10%', 0.1],
    ['0%', 0],
    ['100 %', 1],
    [0.25, 0.25],
    ['0.5', 0.5],
  ])('%j is %d', (written, share) => {
    expect(parseShare(written)).toBe(share);
  });

  it.each(['101%', -0.1, 2, 'half', '', null, true])('%j is none', (written) => {
    expect(parseShare(written)).toBeUndefined();
  });
});

describe('counts', () => {
  it('are whole numbers, also as digits', () => {
    expect(parseCount('7')).toBe(7);
    expect(parseCount(0)).toBe(0);
  });

  it.each(['', '-1', -1, 1.5, '1e3', null, 2 ** 53])('%j is none', (written) => {
    expect(parseCount(written)).toBeUndefined();
  });
});

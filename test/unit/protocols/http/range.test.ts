/** Byte ranges as pure functions. */
import { describe, expect, it } from 'vitest';
import { entityTag, epochMs } from '../../../../src/base/brands.ts';
import { contentRange, parseRange, rangeStillHolds } from '../../../../src/protocols/http/range.ts';

const parts = (...ranges: [number, number][]) => ({
  kind: 'parts',
  ranges: ranges.map(([first, last]) => ({ first, last })),
});

describe('ranges', () => {
  it.each([
    ['bytes=0-0', parts([0, 0])],
    ['bytes=0-499', parts([0, 99])],
    ['bytes=90-', parts([90, 99])],
    ['bytes=-10', parts([90, 99])],
    ['bytes=-1000', parts([0, 99])],
    ['BYTES=1-2', parts([1, 2])],
    ['bytes=0-1, 50-51', parts([0, 1], [50, 51])],
    ['bytes=0-1, 200-201', parts([0, 1])],
  ])('reads %s of 100 bytes [RFC9110 §14.1.2]', (field, verdict) => {
    expect(parseRange(field, 100)).toEqual(verdict);
  });

  it.each([
    undefined,
    'lines=0-1',
    'bytes=',
    'bytes=a-b',
    'bytes=5-1',
    'bytes=-',
    'bytes=0-9,5-12',
  ])('ignores %j [RFC9110 §14.2]', (field) => {
    expect(parseRange(field, 100)).toEqual({ kind: 'whole' });
  });

  it('ignores more than eight ranges', () => {
    const many = (count: number) =>
      `bytes=${Array.from({ length: count }, (_, i) => `${i * 3}-${i * 3}`).join(',')}`;
    expect(parseRange(many(8), 100).kind).toBe('parts');
    expect(parseRange(many(9), 100).kind).toBe('whole');
  });

  it.each(['bytes=100-', 'bytes=-0', 'bytes=100-101,200-201'])(
    'cannot satisfy %s of 100 bytes',
    (field) => {
      expect(parseRange(field, 100)).toEqual({ kind: 'unsatisfiable' });
    },
  );

  it('writes Content-Range [RFC9110 §14.4]', () => {
    expect(contentRange({ first: 0, last: 4 }, 10)).toBe('bytes 0-4/10');
  });

  it('holds an If-Range by strong tag or exact date only [RFC9110 §13.1.5]', () => {
    const tag = entityTag('"a"');
    const at = epochMs(784111777500);
    expect(rangeStillHolds(undefined, tag, at)).toBe(true);
    expect(rangeStillHolds('"a"', tag, at)).toBe(true);
    expect(rangeStillHolds('W/"a"', entityTag('W/"a"'), at)).toBe(false);
    expect(rangeStillHolds('"b"', tag, at)).toBe(false);
    expect(rangeStillHolds('Sun, 06 Nov 1994 08:49:37 GMT', tag, at)).toBe(true);
    expect(rangeStillHolds('Sun, 06 Nov 1994 08:49:38 GMT', tag, at)).toBe(false);
  });
});

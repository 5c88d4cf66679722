/** Who is next in a line of many sources, and who gives way. */
import { describe, expect, it } from 'vitest';
import { FairLine } from '../../../src/base/fair-line.ts';

/** A line of items that say whose they are, such as `a1`. */
function lineOf(...items: readonly string[]): FairLine<string> {
  const line = new FairLine<string>();
  for (const item of items) line.push(item[0] ?? '', item);
  return line;
}

const take = (line: FairLine<string>, count: number): (string | undefined)[] =>
  Array.from({ length: count }, () => line.shift());

describe('a fair line', () => {
  it('serves the sources in turn, and the items of each in order', () => {
    const line = lineOf('a1', 'a2', 'a3', 'b1', 'c1', 'b2');
    expect(take(line, 7)).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3', undefined]);
    expect(line.length).toBe(0);
  });

  it('serves a source of which nothing waits before those that ask for many at once', () => {
    const line = lineOf('a1', 'a2', 'a3', 'b1', 'b2', 'b3');
    expect(take(line, 3)).toEqual(['a1', 'b1', 'a2']);
    line.push('c', 'c1');
    expect(line.shift()).toBe('c1');
    line.push('c', 'c2');
    expect(take(line, 4)).toEqual(['c2', 'b2', 'a3', 'b3']);
  });

  it('goes on with the round after four newcomers in a row', () => {
    const line = lineOf('a1', 'a2', 'a3');
    expect(line.shift()).toBe('a1');
    for (const item of ['b1', 'c1', 'd1', 'e1', 'f1', 'g1']) line.push(item[0] ?? '', item);
    expect(take(line, 8)).toEqual(['b1', 'c1', 'd1', 'a2', 'e1', 'f1', 'g1', 'a3']);
  });

  it('lets the newest of whoever has most give way to one with less than a share', () => {
    const line = lineOf('a1', 'a2', 'a3', 'a4');
    expect(line.giveWay('a')).toBeUndefined();
    expect(line.giveWay('b')).toBe('a4');
    line.push('b', 'b1');
    expect(line.giveWay('b')).toBe('a3');
    line.push('b', 'b2');
    expect(line.giveWay('b')).toBeUndefined();
    expect(take(line, 5)).toEqual(['a1', 'b1', 'a2', 'b2', undefined]);
  });

  it('serves those who ask for one thing each as they come', () => {
    const line = lineOf('a1', 'b1');
    expect(take(line, 2)).toEqual(['a1', 'b1']);
    line.push('b', 'b2');
    line.push('a', 'a2');
    expect(take(line, 3)).toEqual(['b2', 'a2', undefined]);
  });
});

/** Places inside an origin's events: both ways of writing them, and reading them safely. */
import { describe, expect, it } from 'vitest';
import { must } from '../../../src/base/assert.ts';
import { parseJsonPath, valueAt } from '../../../src/config/json-path.ts';

describe('a path', () => {
  it.each([
    ['$', []],
    ['', []],
    ['$.flight.id', ['flight', 'id']],
    ['$.legs[0].gate', ['legs', '0', 'gate']],
    ["$['odd name'].x", ['odd name', 'x']],
    ['/flight/id', ['flight', 'id']],
    ['/a~1b/c~0d', ['a/b', 'c~d']], // [RFC6901 §4]
    ['/', ['']],
  ])('%j has the segments %j', (written, segments) => {
    expect(parseJsonPath(written)).toEqual(segments);
  });

  it.each(['flight.id', '$..id', '$.*', '$[?(@.a)]', '$flight', '$.a[', '/a~2', '/a~', '$.'])(
    '%j is none',
    (written) => {
      expect(parseJsonPath(written)).toBeUndefined();
    },
  );

  it('has a greatest depth', () => {
    expect(parseJsonPath(`$${'.a'.repeat(32)}`)).toHaveLength(32);
    expect(parseJsonPath(`$${'.a'.repeat(33)}`)).toBeUndefined();
  });
});

describe('the value at a path', () => {
  const at = (document: unknown, written: string) =>
    valueAt(document, must(parseJsonPath(written), written));

  it('is found in objects and lists', () => {
    expect(at({ legs: [{ gate: 'B4' }] }, '$.legs[0].gate')).toBe('B4');
    expect(at('whole', '$')).toBe('whole');
  });

  it('is undefined where there is nothing, and never inherited', () => {
    expect(at({ a: null }, '$.a.b')).toBeUndefined();
    expect(at({}, '$.constructor.name')).toBeUndefined();
    expect(at('text', '$.length')).toBeUndefined();
  });
});

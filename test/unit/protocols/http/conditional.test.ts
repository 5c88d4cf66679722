/** Entity-tag lists and preconditions, clause by clause. */
import { describe, expect, it } from 'vitest';
import { entityTag, epochMs } from '../../../../src/base/brands.ts';
import {
  notModified,
  parseEntityTags,
  preconditionsHold,
} from '../../../../src/protocols/http/conditional.ts';

const tag = entityTag('"a"');
const modified = epochMs(Date.UTC(2026, 0, 1) + 300);
const same = 'Thu, 01 Jan 2026 00:00:00 GMT';
const before = 'Wed, 31 Dec 2025 23:59:59 GMT';

describe('entity-tag lists', () => {
  it.each([
    ['*', '*'],
    ['"a"', ['"a"']],
    ['"a", W/"b" ,, "c,d"', ['"a"', 'W/"b"', '"c,d"']],
    ['"a', []],
    ['"a", broken, "b"', ['"a"']],
    ['', []],
  ] as const)('reads %j [RFC9110 §13.1.2]', (field, tags) => {
    expect(parseEntityTags(field)).toEqual(tags);
  });
});

describe('conditional reads', () => {
  it.each([
    ['"a"', true],
    ['W/"a"', true],
    ['"b", "a"', true],
    ['*', true],
    ['"b"', false],
    ['a', false],
  ] as const)('compares If-None-Match %s weakly [RFC9110 §13.1.2]', (ifNoneMatch, expected) => {
    expect(notModified({ ifNoneMatch }, tag, modified)).toBe(expected);
  });

  it.each([
    [same, true],
    [before, false],
    ['not a date', false],
  ] as const)('compares If-Modified-Since %s by seconds [RFC9110 §13.1.3]', (since, expected) => {
    expect(notModified({ ifModifiedSince: since }, tag, modified)).toBe(expected);
  });

  it('does not look at If-Modified-Since beside If-None-Match [RFC9110 §13.2.2]', () => {
    const conditions = { ifNoneMatch: '"b"', ifModifiedSince: same };
    expect(notModified(conditions, tag, modified)).toBe(false);
  });
});

describe('preconditions of writes', () => {
  it.each([
    ['"a"', true],
    ['W/"a"', false],
    ['"b", "a"', true],
    ['*', true],
    ['"b"', false],
  ] as const)('compares If-Match %s strongly [RFC9110 §13.1.1]', (ifMatch, expected) => {
    expect(preconditionsHold({ ifMatch }, tag, modified)).toBe(expected);
  });

  it('fails If-Match when there is nothing, and If-None-Match: * when there is something', () => {
    expect(preconditionsHold({ ifMatch: '*' }, undefined, undefined)).toBe(false);
    expect(preconditionsHold({ ifNoneMatch: '*' }, undefined, undefined)).toBe(true);
    expect(preconditionsHold({ ifNoneMatch: '*' }, tag, modified)).toBe(false);
  });

  it('looks at If-Unmodified-Since only without If-Match [RFC9110 §13.2.2]', () => {
    expect(preconditionsHold({ ifUnmodifiedSince: before }, tag, modified)).toBe(false);
    expect(preconditionsHold({ ifUnmodifiedSince: same }, tag, modified)).toBe(true);
    expect(preconditionsHold({ ifUnmodifiedSince: 'never' }, tag, modified)).toBe(true);
    const conditions = { ifMatch: '"a"', ifUnmodifiedSince: before };
    expect(preconditionsHold(conditions, tag, modified)).toBe(true);
  });
});

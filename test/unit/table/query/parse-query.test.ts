/** The query grammar: what each form means, and that every error says where it is. */
import { describe, expect, it } from 'vitest';
import { NodeError } from '../../../../src/base/errors.ts';
import { LIMITS } from '../../../../src/config/limits.ts';
import { parseFilter, parseQuery } from '../../../../src/table/query/parse-query.ts';
import type { Filter, Query } from '../../../../src/table/query/query.ts';
import { recordScope } from '../../../../src/table/query/scope.ts';
import { indexedTable, ROWS } from '../../../support/query-table.ts';

const read = (text: string): Query => parseQuery(text, recordScope(indexedTable), ROWS);

/** A filter in short: `and(tag eq "x", count range >1 <=9)`. */
function brief(filter: Filter | undefined): string {
  if (filter === undefined) return '';
  if (filter.kind !== 'condition') {
    return `${filter.kind}(${filter.filters.map(brief).join(', ')})`;
  }
  const { field, test } = filter;
  const name = field.path.join('.');
  const value = (each: unknown) => (typeof each === 'bigint' ? `${each}n` : JSON.stringify(each));
  switch (test.kind) {
    case 'eq':
    case 'ne':
      return `${name} ${test.kind} ${value(test.value)}`;
    case 'range': {
      const from = test.from && `${test.from.isOpen ? '>' : '>='}${value(test.from.value)}`;
      const to = test.to && `${test.to.isOpen ? '<' : '<='}${value(test.to.value)}`;
      return [name, from, to].filter((part) => part !== undefined).join(' ');
    }
    case 'key':
      return `${name} ${test.name}`;
    default:
      return `${name} ${test.kind} ${value(test.text)}`;
  }
}

const AT = Date.UTC(2026, 0, 2, 3, 4, 5);

describe('conditions', () => {
  it.each([
    ['tag=x', 'tag eq "x"'],
    ['tag===x', 'tag eq "x"'],
    ['tag==x', 'tag eq "x"'],
    ['tag!=x', 'tag ne "x"'],
    ['tag!==x', 'tag ne "x"'],
    ['tag=ne=x', 'tag ne "x"'],
    ['count=lt=5', 'count <5'],
    ['count=le=5', 'count <=5'],
    ['count=gt=5', 'count >5'],
    ['count=ge=-5', 'count >=-5'],
    ['count=gt=1&lt=9', 'count >1 <9'],
    ['count=le=9&ge=1&tag=x', 'and(count >=1 <=9, tag eq "x")'],
    ['tag=sw=ab', 'tag prefix "ab"'],
    ['tag==ab*', 'tag prefix "ab"'],
    ['tag=ab*', 'tag eq "ab*"'],
    ['tag==ab%2A', 'tag eq "ab*"'],
    ['tag=ew=ab', 'tag suffix "ab"'],
    ['tag=ct=ab', 'tag contains "ab"'],
    ['tags=ct=ab', 'tags contains "ab"'],
    ['tag=null', 'tag eq null'],
    ['tag==null', 'tag eq null'],
    ['tag!=null', 'tag ne null'],
    ['tag=string:null', 'tag eq "null"'],
    ['tag=number%3A5', 'tag eq "number:5"'],
    ['tag=', 'tag eq ""'],
    ['tag=a+b%20c', 'tag eq "a b c"'],
    ['tag=f(x)', 'tag eq "f(x)"'],
    ['tag=base64==', 'tag eq "base64=="'],
    ['id=a/b', 'id eq "a/b"'],
    ['count=5', 'count eq 5'],
    ['count=number:5', 'count eq 5'],
    ['price=1.5e2', 'price eq 150'],
    ['price=-.5', 'price eq -0.5'],
    ['big=12345678901234567890', 'big eq 12345678901234567890n'],
    ['open=true', 'open eq true'],
    ['open=boolean:false', 'open eq false'],
    ['at=2026-01-02T03:04:05.000Z', `at eq ${AT}`],
    ['at=date:2026-01-02T03%3A04%3A05Z', `at eq ${AT}`],
    [`at=ge=${AT}`, `at >=${AT}`],
    ['any=5', 'any eq "5"'],
    ['any===true', 'any eq "true"'],
    ['any==5', 'any eq 5'],
    ['any==true', 'any eq true'],
    ['any==text', 'any eq "text"'],
    ['any!=5', 'any ne 5'],
    ['any!==5', 'any ne "5"'],
    ['any=number:5', 'any eq 5'],
    ['any=date:2026-01-02T03:04:05Z', `any eq ${AT}`],
    ['any=gt=5', 'any >5'],
    ['any.deep.er=5', 'any.deep.er eq "5"'],
    ['place.city==Oslo', 'place.city eq "Oslo"'],
  ])('%s', (text, expected) => {
    expect(brief(read(text).filter)).toBe(expected);
  });

  it.each([
    ['tag=x|tag=y', 'or(tag eq "x", tag eq "y")'],
    ['tag=x&count=1|count=2', 'or(and(tag eq "x", count eq 1), count eq 2)'],
    ['tag=x&(count=1|count=2)', 'and(tag eq "x", or(count eq 1, count eq 2))'],
    ['[tag=x|[count=1&open=true]]', 'or(tag eq "x", and(count eq 1, open eq true))'],
    ['(((tag=x)))', 'tag eq "x"'],
    ['(tag=f(x))&count=1', 'and(tag eq "f(x)", count eq 1)'],
    ['(count=gt=1&lt=9)|tag=x', 'or(count >1 <9, tag eq "x")'],
    ['tag=x&(count=1&open=true)', 'and(tag eq "x", count eq 1, open eq true)'],
  ])('group: %s', (text, expected) => {
    expect(brief(read(text).filter)).toBe(expected);
  });
});

describe('directives', () => {
  it('cuts by limit', () => {
    expect(read('')).toMatchObject({ offset: 0, limit: 1_000, filter: undefined });
    expect(read('limit(20)')).toMatchObject({ offset: 0, limit: 20 });
    expect(read('limit(5,20)')).toMatchObject({ offset: 5, limit: 15 });
  });

  it('sorts by several attributes', () => {
    const keys = read('sort(+tag,-count,place.zip)').sort;
    expect(keys.map(({ field, isDescending }) => [field.path.join('.'), isDescending])).toEqual([
      ['tag', false],
      ['count', true],
      ['place.zip', false],
    ]);
  });

  it.each([
    ['select(tag)', { shape: 'value', selections: [{ name: 'tag' }] }],
    ['select(tag,)', { shape: 'object', selections: [{ name: 'tag' }] }],
    ['select(tag,id)', { shape: 'object', selections: [{ name: 'tag' }, { name: 'id' }] }],
    ['select([tag,id])', { shape: 'array', selections: [{ name: 'tag' }, { name: 'id' }] }],
    [
      'select(id,place{city,zip{x}})',
      {
        shape: 'object',
        selections: [
          { name: 'id' },
          { name: 'place', nested: [{ name: 'city' }, { name: 'zip', nested: [{ name: 'x' }] }] },
        ],
      },
    ],
  ])('%s', (text, expected) => {
    expect(read(text).select).toEqual(expected);
  });

  it('may stand anywhere between the conditions', () => {
    const query = read('limit(2)&tag=x&explain()&count=1&select(id)&after()&sort(-id)');
    expect(brief(query.filter)).toBe('and(tag eq "x", count eq 1)');
    expect(query).toMatchObject({ limit: 2, isExplain: true, after: '' });
  });

  it('has one signature for the same conditions in any order', () => {
    const one = read('tag=x&(count=1|count=2)&limit(3)').signature;
    const other = read('(count=2|count=1)&select(id)&tag=x').signature;
    expect(one).toBe(other);
    expect(read('tag=x&sort(id)').signature).not.toBe(read('tag=x').signature);
  });

  it('is refused in a subscription', () => {
    expect(brief(parseFilter('tag=x', recordScope(indexedTable)))).toBe('tag eq "x"');
    expect(() => parseFilter('tag=x&limit(2)', recordScope(indexedTable))).toThrow(/position 6/);
  });
});

describe('errors say where', () => {
  const depth = LIMITS.queryNestingMax;
  it.each([
    ['nope=1', 0],
    ['tag=x&nope=1', 6],
    ['tag', 0],
    ['=x', 0],
    ['tag=x&', 6],
    ['&tag=x', 0],
    ['tag=x&&count=1', 6],
    ['count=cheap', 6],
    ['count=', 6],
    ['count=0x10', 6],
    ['count=1e999', 6],
    ['big=1.5', 4],
    ['open=maybe', 5],
    ['at=yesterday', 3],
    ['tag=x&count==cheap', 13],
    ['count=string:5', 6],
    ['tag=number:5', 4],
    ['count=number:x', 13],
    ['count=gt=null', 9],
    ['count=sw=1', 9],
    ['count=gt=1&gt=2', 11],
    ['count=gt=1&lt=x', 14],
    ['any=gt=1&lt=x', 9],
    ['lt=9', 0],
    ['tag=zz=1', 3],
    ['tag=%zz', 4],
    ['%zz=1', 0],
    ['tag.x=1', 4],
    ['any..x=1', 4],
    ['(tag=x', 6],
    ['(tag=x]', 6],
    ['tag=x)', 5],
    ['()', 1],
    ['(limit(1))', 1],
    ['tag=x|', 6],
    ['|tag=x', 0],
    ['tag=x|limit(1)', 6],
    ['tag=x]', 5],
    ['limit(5,2)', 6],
    ['limit(x)', 6],
    ['limit(-1)', 6],
    ['limit(1000000)', 6],
    ['limit(1', 7],
    ['limit(1)&limit(2)', 9],
    ['limit(1)x', 8],
    ['sort()', 5],
    ['sort(nope)', 5],
    ['sort(tag,)', 9],
    ['sort(tag', 8],
    ['select()', 7],
    ['select(nope)', 7],
    ['select(tag,,id)', 11],
    ['select([tag)', 11],
    ['select(place{city)', 17],
    ['select(tag', 10],
    ['explain(x)', 8],
    [`${'('.repeat(depth + 1)}tag=x`, depth],
    [`${'('.repeat(5_000)}`, depth],
    [`select(${'any{'.repeat(depth + 2)}`, 7 + 4 * (depth + 1)],
    [`${'tag=1|'.repeat(LIMITS.queryConditionsMax)}tag=1`, 6 * LIMITS.queryConditionsMax],
    ['x'.repeat(100_000), LIMITS.queryTextCharsMax],
  ])('%s', (text, position) => {
    let error: unknown;
    try {
      read(text);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(NodeError);
    expect(error).toMatchObject({ code: 'QUERY_INVALID', details: { position } });
    expect((error as NodeError).message).toMatch(new RegExp(`^query, position ${position}: .`));
    expect((error as NodeError).message.length).toBeLessThan(400);
  });
});

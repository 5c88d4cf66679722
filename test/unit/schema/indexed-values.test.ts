/** Under which values a record stands in its indexes, and which of them need a second look. */
import { describe, expect, it } from 'vitest';
import { must } from '../../../src/base/assert.ts';
import {
  compileIndexedValues,
  INDEX_STRING_CHARS_MAX,
  indexValueOf,
  isExact,
} from '../../../src/schema/indexed-values.ts';
import { parseSchema } from '../../../src/schema/parse-schema.ts';

const { schema } = parseSchema(
  `type A @table {
    id: ID
    name: String @indexed
    at: Date @indexed
    tags: [String] @indexed
    big: BigInt @indexed
    any: Any @indexed
    label: String @computed(from: "name") @indexed
    plain: Int
  }`,
  'schema.graphql',
);
const table = must(schema?.tables[0], 'table');
const valuesOf = compileIndexedValues(table);
const attribute = (name: string) =>
  must(
    table.attributes.find((each) => each.name === name),
    name,
  );

describe('the values of a record', () => {
  it('are those of its indexed attributes, each in a form that has an order', () => {
    const values = valuesOf({
      id: 'a',
      name: 'x',
      at: '1970-01-01T00:00:01Z',
      tags: ['b', 'a', 'b'],
      big: '12',
      any: true,
      plain: 7,
    });
    expect({ ...values }).toEqual({
      name: ['x'],
      at: [1000],
      tags: ['b', 'a'],
      big: [12],
      any: [true],
      label: [null],
    });
  });

  it('are null where there is none, so that queries for null find them [SCH-12]', () => {
    expect({ ...valuesOf({ name: null, tags: [] }) }).toEqual({
      name: [null],
      at: [null],
      tags: [],
      big: [null],
      any: [null],
      label: [null],
    });
    expect(valuesOf('no record').name).toEqual([null]);
  });

  it('leave out what has no order', () => {
    expect(valuesOf({ any: { a: 1 }, at: 'soon' })).toMatchObject({ any: [], at: [] });
    expect(valuesOf({ any: -0 }).any).toEqual([0]);
  });

  it('are not inherited', () => {
    const inherited: unknown = Object.create({ name: 'x' });
    expect(valuesOf(inherited).name).toEqual([null]);
  });

  it('cost nothing where nothing is indexed', () => {
    const plain = compileIndexedValues({ attributes: [attribute('plain')] });
    expect(plain({ plain: 1 })).toBe(plain({ plain: 2 }));
  });
});

describe('long text', () => {
  it('is cut, never inside a character', () => {
    const long = 'a'.repeat(INDEX_STRING_CHARS_MAX - 1);
    expect(indexValueOf(attribute('name'), `${long}bc`)).toBe(`${long}b`);
    expect(indexValueOf(attribute('name'), `${long}😀`)).toBe(long);
  });

  it('is not exact once it may have been cut', () => {
    const name = attribute('name');
    const exact = (text: string) => isExact(name, must(indexValueOf(name, text), 'value'));
    expect(exact('short')).toBe(true);
    expect(exact('a'.repeat(INDEX_STRING_CHARS_MAX - 2))).toBe(true);
    expect(exact('a'.repeat(INDEX_STRING_CHARS_MAX - 1))).toBe(false);
    expect(exact('a'.repeat(1000))).toBe(false);
  });
});

describe('numbers beyond 53 bits', () => {
  it('are rounded and not exact', () => {
    const big = attribute('big');
    expect(indexValueOf(big, '9007199254740993')).toBe(9007199254740992);
    expect(isExact(big, 9007199254740992)).toBe(false);
    expect(isExact(big, 12)).toBe(true);
  });
});

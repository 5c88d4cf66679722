/** The record check: which values each type accepts, and where a fault is said to be. */
import { describe, expect, it } from 'vitest';
import { must } from '../../../src/base/assert.ts';
import { parseSchema } from '../../../src/schema/parse-schema.ts';
import {
  compileRecordCheck,
  formatRecordProblem,
  type RecordCheck,
} from '../../../src/schema/record.ts';

function checkOf(text: string): RecordCheck {
  const schema = must(parseSchema(text, 'schema.graphql').schema, 'schema');
  return compileRecordCheck(must(schema.tables[0], 'table'), schema.objects);
}

const typed = (type: string): RecordCheck => checkOf(`type A @table { id: ID value: ${type} }`);

const accepted: Readonly<Record<string, readonly unknown[]>> = {
  ID: ['a', 7],
  String: ['', 'ä'],
  Int: [0, -2147483648, 2147483647],
  Long: [2 ** 53 - 1, -(2 ** 53) + 1],
  Float: [0.5, 1e300, 3],
  BigInt: [1, 10n, '123456789012345678901234567890', '-5', 1e20],
  Boolean: [true, false],
  Date: ['2026-11-23', '2026-11-23T07:00:00Z', '2026-11-23T07:00:00.5+01:00', 0, new Date(0)],
  Bytes: ['aGk=', new Uint8Array(2)],
  Blob: ['text', new Uint8Array(0)],
  Any: ['a', 1, true, [1], { a: 1 }],
  '[Int]': [[], [1, 2], [1, null]],
  '[[Float]]': [[[1, 2], 'x']],
};

const refused: Readonly<Record<string, readonly unknown[]>> = {
  ID: [1.5, true, {}],
  String: [1, ['a'], {}],
  Int: [2147483648, 1.5, '1', Number.NaN],
  Long: [2 ** 53, 0.1, '1'],
  Float: ['1', Number.POSITIVE_INFINITY, Number.NaN],
  BigInt: ['1.5', 'abc', 1.5, '9'.repeat(400)],
  Boolean: ['true', 0],
  Date: ['tomorrow', '2026-13-45', '23.11.2026', Number.NaN, 1e20, {}],
  Bytes: [1, [1]],
  Blob: [{}, 5],
  '[Int]': [1, [1, 'x'], {}],
  '[Int!]': [[null]],
  '[Int]!': [null, undefined],
};

describe('the value of an attribute', () => {
  const cases = (table: typeof accepted) =>
    Object.entries(table).flatMap(([type, values]) =>
      values.map((value) => [type, value] as const),
    );

  it.each(cases(accepted))('%s accepts %o', (type, value) => {
    expect(typed(type)({ id: 'a', value }, 'put')).toBeUndefined();
  });

  it.each(cases(refused))('%s refuses %o', (type, value) => {
    expect(typed(type)({ id: 'a', value }, 'put')?.path).toMatch(/^value/);
  });

  it('may be null unless it is required [SCH-8]', () => {
    expect(typed('Int')({ value: null }, 'put')).toBeUndefined();
    expect(typed('Int!')({ value: null }, 'put')).toMatchObject({ path: 'value', got: 'null' });
  });
});

describe('a record', () => {
  const check = checkOf(`
    type A @table {
      id: ID! @primaryKey
      name: String!
      made: Long! @createdTime
      sum: Int @computed(from: "1")
      other: B @relationship(from: name)
      stops: [Stop]
      constructor: String
    }
    type B @table { id: ID }
    type Stop @sealed { gate: Int! next: Stop }
  `);

  it('needs what is required, but neither its key nor its time stamps', () => {
    expect(check({ name: 'a' }, 'put')).toBeUndefined();
    expect(check({}, 'put')).toEqual({ path: 'name', expected: 'String!', got: 'nothing' });
  });

  it('may leave out what is required in a patch, but not clear it', () => {
    expect(check({}, 'patch')).toBeUndefined();
    expect(check({ name: null }, 'patch')?.path).toBe('name');
  });

  it.each([null, 7, 'text', [], new Date(0)])('is an object, not %j', (value) => {
    expect(check(value, 'put')).toMatchObject({ path: '', expected: 'an object' });
  });

  it('keeps attributes that are not declared, unless it is sealed [SCH-5]', () => {
    expect(check({ name: 'a', extra: [1] }, 'put')).toBeUndefined();
    const problem = check({ name: 'a', stops: [{ gate: 1, gaet: 2 }] }, 'put');
    expect(problem?.path).toBe('stops[0].gaet');
    expect(problem?.expected).toContain('gate');
  });

  it('names the place of a fault inside lists and nested types', () => {
    const stops = [{ gate: 1 }, { gate: 2, next: { gate: 'B4' } }];
    const problem = must(check({ name: 'a', stops }, 'put'), 'problem');
    expect(formatRecordProblem(problem)).toBe('stops[1].next.gate: expected Int, got string "B4"');
  });

  it('demands whole elements of a list even in a patch', () => {
    expect(check({ stops: [{}] }, 'patch')?.path).toBe('stops[0].gate');
  });

  it('cannot set what is computed or related', () => {
    expect(check({ name: 'a', sum: 1 }, 'put')?.path).toBe('sum');
    expect(check({ name: 'a', other: {} }, 'put')?.path).toBe('other');
  });

  it('is not confused by names that every object inherits', () => {
    expect(check({ name: 'a' }, 'put')).toBeUndefined();
    expect(check({ name: 'a', constructor: 7 }, 'put')?.path).toBe('constructor');
    expect(check({ name: 'a', toString: 7 }, 'put')).toBeUndefined();
  });

  it('refuses a prototype that JSON smuggles in, and stays unpolluted', () => {
    const smuggled: unknown = JSON.parse('{"name":"a","__proto__":{"polluted":1}}');
    expect(check(smuggled, 'put')?.path).toBe('__proto__');
    const nested: unknown = JSON.parse('{"name":"a","stops":[{"gate":1,"__proto__":{"x":1}}]}');
    expect(check(nested, 'put')?.path).toBe('stops[0].__proto__');
    expect('polluted' in {}).toBe(false);
  });
});

describe('a patch', () => {
  const check = checkOf('type A @table { id: ID count: Int name: String }');

  it('may increment a number', () => {
    expect(check({ count: { __op__: 'add', value: 1 } }, 'patch')).toBeUndefined();
  });

  it('may not increment by what is no number, nor text, nor in a put', () => {
    expect(check({ count: { __op__: 'add', value: 'x' } }, 'patch')?.path).toBe('count.value');
    expect(check({ name: { __op__: 'add', value: 1 } }, 'patch')?.path).toBe('name');
    expect(check({ count: { __op__: 'add', value: 1 } }, 'put')?.path).toBe('count');
  });
});

describe('a type without attributes', () => {
  it('accepts any value', () => {
    const check = checkOf('type Topic @table @export(name: "*")');
    expect(check('just text', 'put')).toBeUndefined();
    expect(check({ a: 1 }, 'put')).toBeUndefined();
  });
});

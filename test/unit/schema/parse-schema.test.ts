/**
 * `schema.graphql` → definitions: what every directive becomes, and that no text makes it throw.
 * What is reported for mistakes is proved by the fixture applications of `config/application`.
 */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { must } from '../../../src/base/assert.ts';
import type { Schema, TableDefinition } from '../../../src/schema/definition.ts';
import { parseSchema } from '../../../src/schema/parse-schema.ts';
import { formatProblem } from '../../../src/schema/problem.ts';

const fixture = (name: string): string =>
  readFileSync(
    new URL(`../../fixtures/applications/${name}/schema.graphql`, import.meta.url),
    'utf8',
  );

function schemaOf(text: string): Schema {
  const parsed = parseSchema(text, 'schema.graphql');
  expect((parsed.problems ?? []).map(formatProblem)).toEqual([]);
  return must(parsed.schema, 'schema');
}

function tableOf(schema: Schema, typeName: string): TableDefinition {
  return must(
    schema.tables.find((table) => table.typeName === typeName),
    typeName,
  );
}

const attributeOf = (table: TableDefinition, name: string) =>
  must(
    table.attributes.find((attribute) => attribute.name === name),
    name,
  );

describe('a schema with every directive', () => {
  const schema = schemaOf(fixture('everything'));
  const flight = tableOf(schema, 'Flight');

  it('names tables by database, except in the default one', () => {
    expect(schema.tables.map((table) => table.name)).toEqual([
      'air.Flight',
      'Airport',
      'Page',
      'Topic',
    ]);
  });

  it('keeps the times of @table in seconds, and how it replicates', () => {
    expect(flight).toMatchObject({
      expiration: 3600,
      eviction: 7200,
      scanInterval: 60,
      replicate: 'entries',
      history: false,
      sealed: true,
    });
  });

  it('keeps history for audit', () => {
    expect(tableOf(schema, 'Airport')).toMatchObject({ history: true, replicate: true });
  });

  it('replicates pages by their invalidations unless told otherwise', () => {
    expect(tableOf(schema, 'Page').replicate).toBe('invalidations');
  });

  it('makes nothing public and everything reachable by default', () => {
    expect(tableOf(schema, 'Airport').export).toEqual({
      name: 'Airport',
      public: new Set(),
      protocols: new Set(['rest', 'websocket', 'sse', 'mqtt']),
    });
    expect(flight.export).toEqual({
      name: 'flights',
      public: new Set(['read', 'subscribe']),
      protocols: new Set(['rest', 'websocket']),
    });
  });

  it('reads origin, policy and overrides with their places', () => {
    expect(flight.sourcedFrom).toMatchObject({
      origin: 'flights',
      path: '/flights/{id}',
      write: 'through',
      place: { line: 5, column: 3 },
    });
    expect(flight.cache).toMatchObject({
      policy: 'live-feed',
      overrides: { freshness: '60s', stale: { ifError: '1d' }, negative: { _404: '5s' } },
      places: { freshness: { line: 6, column: 31 } },
    });
  });

  it('takes pages and topics without braces', () => {
    expect(tableOf(schema, 'Page').pages).toMatchObject({
      origin: 'web',
      policy: 'site',
      path: '/*',
      host: 'example.com',
    });
    const topic = tableOf(schema, 'Topic');
    expect(topic.attributes).toEqual([]);
    expect(topic.export?.name).toBe('*');
  });

  it('reads types, lists and what is required', () => {
    expect(attributeOf(flight, 'miles')).toMatchObject({ type: 'Long', required: true });
    expect(attributeOf(flight, 'tags')).toMatchObject({
      type: 'String',
      list: true,
      required: true,
      elementRequired: true,
      indexed: true,
    });
    expect(attributeOf(flight, 'position').type).toEqual({ object: 'Position' });
    expect(schema.objects.get('Position')?.attributes).toHaveLength(3);
    expect(schema.objects.has('Airport')).toBe(false);
  });

  it('reads roles, relationships, computed and hidden attributes', () => {
    expect(attributeOf(flight, 'made').role).toBe('createdTime');
    expect(attributeOf(flight, 'changed').role).toBe('updatedTime');
    expect(attributeOf(flight, 'until').role).toBe('expiresAt');
    expect(attributeOf(flight, 'airport').relationship).toEqual({ from: 'airportId' });
    expect(attributeOf(flight, 'label').computed).toEqual({ from: 'id + gate' });
    expect(attributeOf(flight, 'photo').hidden).toBe(true);
  });

  it('keeps a vector index as written, apart from the ordered ones', () => {
    const vector = attributeOf(tableOf(schema, 'Airport'), 'vector');
    expect(vector.indexed).toBe(false);
    expect(vector.vectorIndex).toEqual({ type: 'HNSW', distance: 'cosine', efConstruction: 100 });
  });

  it('keeps docstrings', () => {
    expect(flight.description).toBe('Flights of today.');
    expect(attributeOf(flight, 'gate').description).toBe('Where it leaves.');
  });
});

describe('primary keys', () => {
  it('takes an attribute called id when none is declared', () => {
    const table = tableOf(schemaOf('type A @table { name: String id: Int }'), 'A');
    expect(table).toMatchObject({ primaryKey: 'id', primaryKeyType: 'number' });
    expect(attributeOf(table, 'id').primaryKey).toBe(true);
  });

  it('adds an id of type ID when there is none', () => {
    const table = tableOf(schemaOf('type A @table @sealed { name: String }'), 'A');
    expect(table).toMatchObject({ primaryKey: 'id', primaryKeyType: 'string' });
    expect(attributeOf(table, 'id').type).toBe('ID');
  });

  it('takes any attribute that is declared', () => {
    const table = tableOf(schemaOf('type A @table { code: String @primaryKey id: Int }'), 'A');
    expect(table).toMatchObject({ primaryKey: 'code', primaryKeyType: 'string' });
    expect(attributeOf(table, 'id').primaryKey).toBe(false);
  });
});

describe('how a table replicates', () => {
  it('cannot be by its entries when it holds pages, and says what to do instead', () => {
    const text = 'type Site @table(replicate: entries) @pages(origin: "site") @export';
    const [problem] = (parseSchema(text, 'schema.graphql').problems ?? []).map(formatProblem);
    expect(problem).toContain('entries is for records, not for pages');
    expect(problem).toContain('cluster.shield: true');
  });
});

describe('a schema written for Harper 4', () => {
  const schema = schemaOf(fixture('harper-four'));

  it('loads with its names, its switches and its older words [SCH-2]', () => {
    expect(schema.tables.map((table) => table.name)).toEqual([
      'Dog',
      'people.dog owners',
      'Cache',
      'Message',
    ]);
    expect(tableOf(schema, 'Dog')).toMatchObject({ history: true, replicate: false });
  });

  it('can switch single protocols off', () => {
    const owner = tableOf(schema, 'Owner');
    expect(owner.export?.protocols).toEqual(new Set(['rest', 'websocket', 'sse']));
  });

  it('keeps a list of lists without looking inside', () => {
    expect(attributeOf(tableOf(schema, 'Dog'), 'tags')).toMatchObject({ type: 'Any', list: true });
  });
});

describe('input that is no schema', () => {
  it.each(['', '  \n', '# only a comment\n', '\ufeff'])('is an empty schema: %j', (text) => {
    expect(parseSchema(text, 'schema.graphql').schema?.tables).toEqual([]);
  });

  it('bounds what a hostile file costs', () => {
    const parsed = parseSchema('type A { a: Int } '.repeat(100_000), 'schema.graphql');
    expect(parsed.problems).toHaveLength(1);
  });

  it('survives nesting deeper than the stack', () => {
    const parsed = parseSchema(`type A @cache(key: ${'['.repeat(90_000)}`, 'schema.graphql');
    expect(parsed.problems).toHaveLength(1);
  });

  it.each([100, 1_000, 5_000])('survives values nested %d deep', (depth) => {
    const value = `${'['.repeat(depth)}1${']'.repeat(depth)}`;
    const parsed = parseSchema(`type A @table @cache(key: ${value})`, 'schema.graphql');
    expect((parsed.problems === undefined) !== (parsed.schema === undefined)).toBe(true);
  });

  it('never throws, whatever the text', () => {
    const word = fc.constantFrom(
      ...'type A @table @export { } ( ) : " """ # [ ] ! id ID name "x" $ @cache null 1 -1 {'.split(
        ' ',
      ),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 40 }), (words) => {
        const parsed = parseSchema(words.join(' '), 'schema.graphql');
        expect((parsed.problems === undefined) !== (parsed.schema === undefined)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

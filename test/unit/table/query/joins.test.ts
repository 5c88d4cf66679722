/**
 * Generated queries over related tables, against a reading of the records in memory that was
 * written apart: with every foreign key indexed and with only those that must be, over the engine
 * in memory and over LMDB.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { must } from '../../../../src/base/assert.ts';
import type { EpochMs, TableName } from '../../../../src/base/brands.ts';
import { systemClock } from '../../../../src/base/clock.ts';
import { DEFAULT_POLICY } from '../../../../src/cache/default-policy.ts';
import { LIMITS } from '../../../../src/config/limits.ts';
import { compileExpressions } from '../../../../src/resource/expressions.ts';
import { compileIndexedValues } from '../../../../src/schema/indexed-values.ts';
import { parseSchema } from '../../../../src/schema/parse-schema.ts';
import { ProblemList } from '../../../../src/schema/problem.ts';
import { openLmdbStore } from '../../../../src/store/lmdb/open.ts';
import { openMemoryStore } from '../../../../src/store/memory/open.ts';
import type { Store } from '../../../../src/store/store-options.ts';
import { parseQuery } from '../../../../src/table/query/parse-query.ts';
import { QueryReader } from '../../../../src/table/query/query-reader.ts';
import { plainContext } from '../../../../src/table/query/row-context.ts';
import { createScopes } from '../../../../src/table/query/scope.ts';
import { put } from '../../../contract/store-fixture.ts';
import { ROWS } from '../../../support/query-table.ts';

/** `index` stands where an index helps; where a relationship needs one there always is one. */
const schemaOf = (index: string) => `
type Author @table {
  id: ID @primaryKey
  name: String ${index}
  age: Int
  books: [Book] @relationship(to: authorId)
  readers: [Reader] @relationship(from: name, to: idol)
}
type Book @table {
  id: ID @primaryKey
  authorId: ID @indexed
  coIds: [ID] ${index}
  pages: Int ${index}
  author: Author @relationship(from: authorId)
  coAuthors: [Author] @relationship(from: coIds)
  twice: Int @computed(from: "pages * 2") ${index}
}
type Reader @table { id: ID @primaryKey, idol: String @indexed, town: String }
`;

interface Author {
  readonly id: string;
  readonly name?: string | null;
  readonly age?: number;
}
interface Book {
  readonly id: string;
  readonly authorId?: string | null;
  readonly coIds?: readonly string[];
  readonly pages?: number;
}
interface Reader {
  readonly id: string;
  readonly idol: string;
  readonly town: string;
}

const AUTHORS = 12;
const LONG = 'x'.repeat(300);
const nameAt = (at: number): string | null =>
  at % 7 === 6 ? null : `${at % 3 === 0 ? LONG : ''}n${at % 5}`;
const authors: readonly Author[] = Array.from({ length: AUTHORS }, (_, at) => ({
  ...{ id: `a${at}`, name: nameAt(at) },
  ...(at % 4 === 0 ? {} : { age: at % 4 }),
}));
// Some lead nowhere, some to nothing, some to several, one of them twice.
const books: readonly Book[] = Array.from({ length: 90 }, (_, at) => ({
  id: `b${String(at).padStart(2, '0')}`,
  ...(at % 9 === 8 ? { authorId: null } : { authorId: `a${(at * 5) % (AUTHORS + 2)}` }),
  ...(at % 3 === 0 ? {} : { coIds: [`a${(at * 7) % AUTHORS}`, `a${at % 5}`, `a${at % 5}`] }),
  ...(at % 10 === 9 ? {} : { pages: at % 8 }),
}));
const readers: readonly Reader[] = Array.from({ length: 20 }, (_, at) => ({
  ...{ id: `r${at}`, idol: nameAt(at) ?? 'nobody', town: `t${at % 3}` },
}));

const authorOf = (book: Book) => authors.filter(({ id }) => id === book.authorId);
const coAuthorsOf = (book: Book) =>
  [...new Set(book.coIds ?? [])].flatMap((id) => authors.filter((author) => author.id === id));
const booksOf = ({ id }: Author) => books.filter(({ authorId }) => authorId === id);
const readersOf = ({ name }: Author) =>
  readers.filter(({ idol }) => name !== undefined && name !== null && idol === name);

type Naive<T> = readonly [text: string, holds: (row: T) => boolean];

const age = fc.integer({ min: 0, max: 4 });
const pages = fc.integer({ min: 0, max: 8 });
const name = fc.constantFrom('n0', 'n3', `${LONG}n0`, `${LONG}n1`, 'gone');

const ofBook: fc.Arbitrary<Naive<Book>> = fc.oneof(
  name.map(
    (v): Naive<Book> => [
      `author.name=${v}`,
      (book) => authorOf(book).some((author) => author.name === v),
    ],
  ),
  age.map(
    (v): Naive<Book> => [
      `author.age=${v}`,
      (book) => authorOf(book).some((author) => author.age === v),
    ],
  ),
  age.map(
    (v): Naive<Book> => [
      `author.age!=${v}`,
      (book) => authorOf(book).some((author) => author.age !== v),
    ],
  ),
  fc.constant<Naive<Book>>([
    'author.age=null',
    (book) => authorOf(book).some((author) => author.age === undefined),
  ]),
  name.map(
    (v): Naive<Book> => [
      `coAuthors.name=${v}`,
      (book) => coAuthorsOf(book).some((author) => author.name === v),
    ],
  ),
  pages.map(
    (v): Naive<Book> => [
      `author.books.pages=${v}`,
      (book) => authorOf(book).some((author) => booksOf(author).some((one) => one.pages === v)),
    ],
  ),
  pages.map(
    (v): Naive<Book> => [`twice=ge=${v}`, ({ pages: own }) => own !== undefined && own * 2 >= v],
  ),
  pages.map((v): Naive<Book> => [`pages=${v}`, (book) => book.pages === v]),
);

const ofAuthor: fc.Arbitrary<Naive<Author>> = fc.oneof(
  pages.map(
    (v): Naive<Author> => [
      `books.pages=lt=${v}`,
      (author) => booksOf(author).some((book) => (book.pages ?? 99) < v),
    ],
  ),
  pages.map(
    (v): Naive<Author> => [
      `books.twice=${v}`,
      (author) => booksOf(author).some((book) => book.pages !== undefined && book.pages * 2 === v),
    ],
  ),
  fc
    .constantFrom('t0', 't1', 't9')
    .map(
      (v): Naive<Author> => [
        `readers.town=${v}`,
        (author) => readersOf(author).some((reader) => reader.town === v),
      ],
    ),
  name.map(
    (v): Naive<Author> => [
      `books.coAuthors.name=${v}`,
      (author) =>
        booksOf(author).some((book) => coAuthorsOf(book).some((other) => other.name === v)),
    ],
  ),
  age.map((v): Naive<Author> => [`age=${v}`, (author) => author.age === v]),
);

/** Two conditions, and or or; a third beside them. */
function combined<T>(one: fc.Arbitrary<Naive<T>>): fc.Arbitrary<Naive<T>> {
  return fc
    .tuple(one, one, one, fc.boolean())
    .map(
      ([a, b, c, isAnd]): Naive<T> =>
        isAnd
          ? [`${a[0]}&${b[0]}`, (row) => a[1](row) && b[1](row)]
          : [`[${a[0]}|${b[0]}]&${c[0]}`, (row) => (a[1](row) || b[1](row)) && c[1](row)],
    );
}

describe.each([
  ['with indexes, in memory', '@indexed', 'memory'],
  ['without, in memory', '', 'memory'],
  ['with indexes, over LMDB', '@indexed', 'lmdb'],
  ['without, over LMDB', '', 'lmdb'],
] as const)('joins %s', (_title, index, engine) => {
  const { schema } = parseSchema(schemaOf(index), 'schema.graphql');
  const tables = must(schema, 'a schema without problems').tables;
  const computed = compileExpressions(tables, new ProblemList());
  const scopeOf = createScopes(tables, computed);
  const tableOf = (type: string) =>
    must(
      tables.find(({ typeName }) => typeName === type),
      type,
    );
  const valuesOf = new Map(
    tables.map((table) => [
      table.name,
      compileIndexedValues(table, (attribute) => computed.get(table.name, attribute)),
    ]),
  );
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-joins-'));
  let store: Store;
  beforeAll(async () => {
    const options = {
      definitions: tables,
      clock: systemClock,
      indexedValues: (table: string, record: unknown) =>
        must(valuesOf.get(table as never), table)(record),
      checkRecord: () => undefined,
    };
    store =
      engine === 'memory'
        ? openMemoryStore(options)
        : await openLmdbStore({ ...options, path: folder });
    for (const [type, rows] of Object.entries({ Author: authors, Book: books, Reader: readers })) {
      const table = tableOf(type).name;
      const indexed = must(valuesOf.get(table), type);
      const ops = rows.map((row) => put(row.id, row, { table, meta: { indexed: indexed(row) } }));
      await store.commit(ops, 'process');
    }
    await store.indexesReady;
  });
  afterAll(async () => {
    await store.close();
    rmSync(folder, { recursive: true });
  });

  function answer(type: string, text: string): unknown[] {
    const definition = tableOf(type);
    const query = parseQuery(text, scopeOf(definition), ROWS);
    const reader = new QueryReader(query, { definition, reader: store, clock: systemClock });
    const rows: unknown[] = [];
    for (;;) {
      const page = reader.next();
      for (const row of page.rows) rows.push(JSON.parse(Buffer.from(row).toString()));
      if (page.done) return rows;
    }
  }

  const agree = <T extends { readonly id: string }>(
    type: string,
    rows: readonly T[],
    filters: fc.Arbitrary<Naive<T>>,
  ) =>
    fc.assert(
      fc.property(filters, fc.boolean(), ([text, holds], isPaged) => {
        const query = `${text}&select(id)&limit(1000)${isPaged ? '&after()' : ''}`;
        const wanted = rows.filter(holds).map(({ id }) => id);
        expect([query, answer(type, query).toSorted()]).toEqual([query, wanted.toSorted()]);
      }),
      { numRuns: 150 },
    );

  it('yield exactly what a plain reading yields, each once', () => {
    agree('Book', books, combined(ofBook));
    agree('Author', authors, combined(ofAuthor));
  }, 60_000);

  it('sort by what they lead to, and by what is computed', () => {
    const rank = (book: Book): number => authorOf(book)[0]?.age ?? -1;
    const byAge = [...books].sort((a, b) => rank(a) - rank(b) || (a.id < b.id ? -1 : 1));
    expect(answer('Book', 'sort(author.age,id)&select(id)')).toEqual(byAge.map(({ id }) => id));
    const size = (book: Book): number => book.pages ?? -1;
    const bySize = [...books].sort((a, b) => size(b) - size(a) || (a.id < b.id ? -1 : 1));
    expect(answer('Book', 'sort(-twice,+id)&select(id)')).toEqual(bySize.map(({ id }) => id));
  });

  it('give the records they lead to, in order, and nothing where there are none', () => {
    const text = 'sort(id)&select(id,twice,author{id,books{id}},coAuthors{id})';
    const wanted = books.map((book) => {
      const [author] = authorOf(book);
      return {
        id: book.id,
        ...(book.pages === undefined ? {} : { twice: book.pages * 2 }),
        ...(author && {
          author: { id: author.id, books: booksOf(author).map(({ id }) => ({ id })) },
        }),
        coAuthors: coAuthorsOf(book).map(({ id }) => ({ id })),
      };
    });
    expect(answer('Book', text)).toEqual(wanted);
  });
});

describe('joins', () => {
  const { schema } = parseSchema(schemaOf(''), 'schema.graphql');
  const tables = must(schema, 'a schema without problems').tables;
  const scopeOf = createScopes(tables, compileExpressions(tables, new ProblemList()));
  const authorTable = must(tables[0], 'Author');
  const bookTable = must(tables[1], 'Book');
  const indexed = compileIndexedValues(bookTable);
  const bookPut = (at: number) => {
    const book = { id: `b${at}`, authorId: 'busy' };
    return put(book.id, book, { table: bookTable.name, meta: { indexed: indexed(book) } });
  };
  let store: Store;
  beforeAll(async () => {
    store = openMemoryStore({
      definitions: tables,
      clock: systemClock,
      indexedValues: (table, record) => (table === bookTable.name ? indexed(record) : {}),
      checkRecord: () => undefined,
    });
    await store.commit([put('busy', { id: 'busy' }, { table: authorTable.name })], 'process');
    const all = Array.from({ length: LIMITS.queryRelatedMax }, (_, at) => bookPut(at));
    for (let at = 0; at < all.length; at += 1_000) {
      await store.commit(all.slice(at, at + 1_000), 'process');
    }
  });
  afterAll(() => store.close());

  const first = (text: string, scopes = scopeOf): unknown[] => {
    const query = parseQuery(text, scopes(authorTable), ROWS);
    const parts = { definition: authorTable, reader: store, clock: systemClock };
    const { rows } = new QueryReader(query, parts).next();
    return rows.map((row) => JSON.parse(Buffer.from(row).toString()) as unknown);
  };

  it('give as many related records as one answer may gather, and refuse one more', async () => {
    const text = 'select(books{id})';
    const [row] = first(text) as readonly { readonly books: readonly unknown[] }[];
    expect(row?.books).toHaveLength(LIMITS.queryRelatedMax);
    await store.commit([bookPut(LIMITS.queryRelatedMax)], 'process');
    const tooMany = expect.objectContaining({ code: 'QUERY_TOO_EXPENSIVE' });
    for (const each of [text, 'books.pages=1|age=1']) {
      expect(() => first(each)).toThrowError(tooMany);
    }
    // From the other side nothing has to be gathered.
    expect(first('books.id=b7&select(id)')).toEqual(['busy']);
  });

  it('show only rows that the policy of their own table lets be served', () => {
    const judgedBy = (isShown: boolean) => (table: TableName, now: EpochMs) => ({
      ...plainContext(bookTable, now),
      isOrigin: table !== bookTable.name,
      policy: {
        ...DEFAULT_POLICY,
        hooks: { mayLookup: () => isShown },
      },
    });
    const computed = compileExpressions(tables, new ProblemList());
    const shown = (isShown: boolean) =>
      first('books.id=b7&select(id)', createScopes(tables, computed, judgedBy(isShown)));
    expect([shown(true), shown(false)]).toEqual([['busy'], []]);
  });

  it('of ten thousand terms are refused', () => {
    const terms = Array.from({ length: 10_000 }, () => 'books.pages=1').join('&');
    expect(() => first(terms)).toThrowError(expect.objectContaining({ code: 'QUERY_INVALID' }));
  });
});

/**
 * What a query in code yields: rows that are found while they are asked for, with the methods of a
 * list that do so too. `for await` sees everything; a plain `for` sees what is held at the time,
 * without asking any origin, and holds up its thread until the rows are there.
 */

type Awaitable<T> = T | Promise<T>;
type Rows<T> = () => AsyncIterator<T>;

export class Results<T> implements AsyncIterable<T>, Iterable<T> {
  readonly #rows: Rows<T>;
  readonly #held: () => Iterator<T>;

  constructor(rows: Rows<T>, held: () => Iterator<T>) {
    this.#rows = rows;
    this.#held = held;
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    return this.#rows();
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#held();
  }

  map<U>(fn: (row: T, index: number) => Awaitable<U>): Results<U> {
    return this.#made(
      (row, index) => [fn(row, index)],
      (row, index) => [fn(row, index) as U],
    );
  }

  filter(fn: (row: T, index: number) => Awaitable<unknown>): Results<T> {
    return this.#made(
      async (row, index) => ((await fn(row, index)) ? [row] : []),
      (row, index) => (fn(row, index) ? [row] : []),
    );
  }

  flatMap<U>(fn: (row: T, index: number) => Awaitable<U | Iterable<U>>): Results<U> {
    return this.#made(
      async (row, index) => listOf(await fn(row, index)),
      (row, index) => listOf(fn(row, index) as U | Iterable<U>),
    );
  }

  /** As the rows, and then those of `others`. */
  concat<U>(others: AsyncIterable<U> | Iterable<U>): Results<T | U> {
    const rows = this;
    return new Results<T | U>(
      async function* () {
        yield* rows;
        yield* others;
      },
      function* () {
        yield* rows as Iterable<T>;
        if (Symbol.iterator in others) yield* others;
      },
    );
  }

  slice(start = 0, end = Number.POSITIVE_INFINITY): Results<T> {
    const rows = this;
    return new Results<T>(
      async function* () {
        let index = 0;
        if (end <= 0) return;
        for await (const row of rows) {
          if (index >= start) yield row;
          index += 1;
          if (index >= end) return;
        }
      },
      function* () {
        let index = 0;
        if (end <= 0) return;
        for (const row of rows as Iterable<T>) {
          if (index >= start) yield row;
          index += 1;
          if (index >= end) return;
        }
      },
    );
  }

  /** Goes on with what `fn` makes of an error, which ends the rows. */
  mapError<U>(fn: (error: unknown) => Awaitable<U>): Results<T | U> {
    const rows = this;
    return new Results<T | U>(
      async function* () {
        try {
          yield* rows;
        } catch (error) {
          yield await fn(error);
        }
      },
      function* () {
        try {
          yield* rows as Iterable<T>;
        } catch (error) {
          yield fn(error) as U;
        }
      },
    );
  }

  async forEach(fn: (row: T, index: number) => unknown): Promise<void> {
    let index = 0;
    for await (const row of this) {
      await fn(row, index);
      index += 1;
    }
  }

  /** All rows at once: for answers that are known to be small. */
  async toArray(): Promise<T[]> {
    const rows: T[] = [];
    for await (const row of this) rows.push(row);
    return rows;
  }

  #made<U>(
    later: (row: T, index: number) => Awaitable<Iterable<Awaitable<U>>>,
    now: (row: T, index: number) => Iterable<U>,
  ): Results<U> {
    const rows = this;
    return new Results<U>(
      async function* () {
        let index = 0;
        for await (const row of rows) {
          for (const made of await later(row, index)) yield await made;
          index += 1;
        }
      },
      function* () {
        let index = 0;
        for (const row of rows as Iterable<T>) {
          yield* now(row, index);
          index += 1;
        }
      },
    );
  }
}

function listOf<U>(made: U | Iterable<U>): Iterable<U> {
  const isList = typeof made === 'object' && made !== null && Symbol.iterator in made;
  return isList ? (made as Iterable<U>) : [made as U];
}

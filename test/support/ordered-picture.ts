/**
 * What a client shows of a query with `sort()` and `limit()`: rows in an order, led from list to
 * list by events that say where each row stands. Throws when a record's version (`n`) goes back.
 */
import type { FeedEvent } from './fake-sink.ts';
import { applyMergePatch } from './merge-patch.ts';

interface Shown {
  readonly id: string | number;
  readonly value: unknown;
}

export class OrderedPicture {
  rows: Shown[] = [];
  readonly #newest = new Map<string | number, number>();
  #isGrowing = false;

  apply(event: FeedEvent & { readonly index?: number }): void {
    const { type, id, value, index } = event;
    if (type === 'snapshot') this.#snapshot(event);
    else if (id === null) throw new Error(`${type} without an id`);
    else if (type === 'leave') this.#take(id);
    else if (index === undefined) throw new Error(`${type} without a place`);
    else if (type === 'patch') this.#place(id, applyMergePatch(this.#valueOf(id), value), index);
    else if (type === 'put' || type === 'enter') this.#place(id, value, index);
    else throw new Error(`an event of type ${type}`);
  }

  #snapshot({ ids = [], values = [], more }: FeedEvent): void {
    if (!this.#isGrowing) this.rows = [];
    this.#isGrowing = more === true;
    for (const [at, id] of ids.entries()) this.#place(id, values[at], this.rows.length);
  }

  #place(id: string | number, value: unknown, index: number): void {
    const { n = 0 } = value as { n?: number };
    if (n < (this.#newest.get(id) ?? 0)) throw new Error(`${id} went back to ${n}`);
    this.#newest.set(id, n);
    this.#take(id);
    this.rows.splice(index, 0, { id, value });
  }

  #take(id: string | number): void {
    this.rows = this.rows.filter((row) => row.id !== id);
  }

  #valueOf(id: string | number): unknown {
    const row = this.rows.find((one) => one.id === id);
    if (row === undefined) throw new Error(`a patch of ${id}, which is not shown`);
    return row.value;
  }
}

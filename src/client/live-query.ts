/**
 * The rows of a query (or the one row of a record) as they are now: kept by id, changed by events,
 * ordered as the query's `sort(…)` says. Whoever looks is told once for all that came together. The
 * list is the same object until something changes, so that views may compare it.
 */
import { mergePatch } from './merge-patch.ts';
import type { LiveError, LiveEvent } from './protocol.ts';

export type RowId = string | number;
/** `loading` until the present state is whole; `stale` while there is no connection. */
export type QueryStatus = 'loading' | 'live' | 'stale' | 'failed' | 'closed';

/** What the store needs of its subscription. */
export interface QueryFeed {
  /** Begins anew, with the present state. */
  restart(): void;
  stop(): void;
}

export class LiveQuery<Row> {
  status: QueryStatus = 'loading';
  error: LiveError | undefined;
  #rows = new Map<RowId, Row>();
  /** A snapshot that is still coming. */
  #coming: Map<RowId, Row> | undefined;
  #list: readonly Row[] | undefined;
  #told = false;
  #loaded = false;
  readonly #order: ((a: Row, b: Row) => number) | undefined;
  readonly #watchers = new Set<(rows: readonly Row[], query: LiveQuery<Row>) => void>();
  readonly #feed: QueryFeed;

  constructor(path: string, open: (query: LiveQuery<Row>) => QueryFeed) {
    this.#order = orderOf(path);
    this.#feed = open(this);
  }

  get rows(): readonly Row[] {
    if (this.#list === undefined) {
      const list = [...this.#rows.values()];
      this.#list = this.#order === undefined ? list : list.sort(this.#order);
    }
    return this.#list;
  }

  get size(): number {
    return this.#rows.size;
  }

  get(id: RowId): Row | undefined {
    return this.#rows.get(id);
  }

  /** Calls `fn` now and after every change, as stores of Svelte do; yields what ends that. */
  subscribe(fn: (rows: readonly Row[], query: LiveQuery<Row>) => void): () => void {
    this.#watchers.add(fn);
    fn(this.rows, this);
    return () => void this.#watchers.delete(fn);
  }

  close(): void {
    this.#feed.stop();
    this.became('closed');
  }

  /** For the connection. */
  became(status: QueryStatus, error?: LiveError): void {
    if (this.status === 'closed' || (this.status === 'failed' && status === 'stale')) return;
    this.status = status;
    this.error = error;
    this.#changed();
  }

  /** For the connection: it goes on from where it was. */
  resumed(): void {
    if (this.status === 'stale') this.became(this.#loaded ? 'live' : 'loading');
  }

  /** For the connection. */
  hear(event: LiveEvent<Row>): void {
    const { type, id, value } = event;
    switch (type) {
      case 'snapshot':
        this.#snapshot(event);
        break;
      case 'reset':
        // The present state follows: what is held is shown until it is there.
        this.#coming = new Map();
        break;
      case 'put':
      case 'enter':
        this.#put(id, value as Row);
        break;
      case 'patch':
        this.#patch(id, value);
        break;
      case 'delete':
      case 'leave':
      case 'invalidate':
        if (id === null || id === undefined) this.#feed.restart();
        // What was invalidated is what it was until it comes anew.
        else if (type === 'invalidate') this.#live();
        else this.#remove(id);
        break;
      default:
    }
  }

  /** Something of the present state, or a change: with it a record's own state is whole. */
  #live(): void {
    if (this.#coming !== undefined) {
      this.#rows = this.#coming;
      this.#coming = undefined;
    }
    this.#loaded = true;
    this.became('live');
  }

  #snapshot({ values = [], ids = [], more }: LiveEvent<Row>): void {
    this.#coming ??= new Map();
    for (const [index, row] of values.entries()) this.#coming.set(ids[index] ?? index, row);
    if (more !== true) this.#live();
  }

  #put(id: RowId | null | undefined, row: Row): void {
    if (id === null || id === undefined) return;
    this.#live();
    this.#rows.set(id, row);
  }

  #patch(id: RowId | null | undefined, patch: unknown): void {
    if (id === null || id === undefined) return;
    const row = this.#rows.get(id);
    // A delta on what is not held here: only the whole can mend that.
    if (row === undefined) this.#feed.restart();
    else this.#put(id, mergePatch(row, patch) as Row);
  }

  #remove(id: RowId): void {
    this.#live();
    this.#rows.delete(id);
  }

  #changed(): void {
    this.#list = undefined;
    if (this.#told) return;
    this.#told = true;
    queueMicrotask(() => {
      this.#told = false;
      for (const fn of this.#watchers) fn(this.rows, this);
    });
  }
}

/** Without a `limit` the order is the list's own business: the node is not asked for it. */
export const asFollowed = (path: string): string =>
  /[?&]limit\(/.test(path)
    ? path
    : path.replace(/([?&])sort\([^)]*\)&?/, '$1').replace(/[?&]$/, '');

/** `sort(-score,name)` of a query: descending by score, then by name. */
function orderOf<Row>(path: string): ((a: Row, b: Row) => number) | undefined {
  const keys = /[?&]sort\(([^)]*)\)/.exec(path)?.[1]?.split(',');
  if (keys === undefined) return undefined;
  const parts = keys.map((key) => ({
    sign: key.startsWith('-') ? -1 : 1,
    name: key.replace(/^[-+]/, ''),
  }));
  return (a, b) => {
    for (const { sign, name } of parts) {
      const one = (a as Record<string, string>)[name];
      const other = (b as Record<string, string>)[name];
      if (one === other) continue;
      // What is not there comes first, as on the node.
      if (one === undefined || one === null) return -sign;
      if (other === undefined || other === null) return sign;
      return one < other ? -sign : sign;
    }
    return 0;
  };
}

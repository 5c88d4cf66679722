/**
 * A query over a table that may be a cache. Rows which may not be served as they are, since they
 * were invalidated or the request demands validation, are fetched before the answer begins: within
 * a budget of rows and time, several at a time, each through the read path, so that readers of the
 * same record share the fetch. Then the query is answered anew, since a row that was fetched may
 * stand elsewhere, or match no more. What the budget or the origin leaves undone is left out.
 * Stale rows which were served are refreshed behind the answer, within budgets of their own.
 */
import { durationMs, type EpochMs, epochMs, later, type RecordId } from '../base/brands.ts';
import type { StopSignal } from '../base/stop.ts';
import type { DecisionContext } from '../cache/decide.ts';
import type { RequestDirectives } from '../cache/directives.ts';
import { FOREVER } from '../cache/entry.ts';
import type { Answer, CacheStatus, ReadRequest } from '../cache/read-request.ts';
import { LIMITS } from '../config/limits.ts';
import type { Query } from './query/query.ts';
import { type QueryPage, type QueryParts, QueryReader } from './query/query-reader.ts';

/** What the read path of a cache does for rows. */
export interface RowReads {
  rowContext(request: ReadRequest): DecisionContext;
  read(request: ReadRequest, answer: Answer): void | Promise<void>;
  refresh(id: RecordId): void | Promise<void>;
}

/** What the client asked of the caches. */
export interface RowDemands {
  readonly directives: RequestDirectives;
  readonly mayForce: boolean;
  readonly signal?: StopSignal | undefined;
}

export interface CollectionParts extends Pick<QueryParts, 'definition' | 'reader' | 'clock'> {
  /** `undefined` for a table which is its own origin. */
  readonly rows: RowReads | undefined;
  readonly refreshes: RefreshBudget;
  /** Sees to it that the rows which the origin lists are there. */
  readonly list?:
    | ((demands: RowDemands, filter: Query['filter']) => Promise<CacheStatus>)
    | undefined;
}

/** Refreshes behind answers of queries which are under way, of one table on one thread. */
export interface RefreshBudget {
  underWay: number;
}

/** The first rows of an answer, with what is known of them when its header is sent. */
export interface FirstRows extends QueryPage {
  /** Rows for which the origin was asked. */
  readonly fetched: number;
  /** What became of the list of the origin, for a table that has one. */
  readonly listed?: CacheStatus | undefined;
}

export class Collection {
  readonly #query: Query;
  readonly #demands: RowDemands;
  readonly #parts: CollectionParts;
  #reader: QueryReader;
  readonly #behind: RecordId[] = [];

  /** Throws `QUERY_INVALID` for a cursor that does not fit. */
  constructor(query: Query, demands: RowDemands, parts: CollectionParts) {
    this.#query = query;
    this.#demands = demands;
    this.#parts = parts;
    this.#reader = this.#open(undefined);
  }

  get reader(): QueryReader {
    return this.#reader;
  }

  /** The first rows: all of a small answer, or of one which is wanted whole. */
  async first(isWhole: boolean, pause: () => Promise<boolean>): Promise<FirstRows> {
    const listed = await this.#parts.list?.(this.#demands, this.#query.filter);
    // The rows may have come since the query was planned.
    if (listed?.hit === false) this.#reader = this.#open(undefined);
    const found = await this.#gather(isWhole, pause);
    const wanted = found.missing.slice(0, LIMITS.queryRefetchRowsMax);
    const mayAsk = this.#parts.rows !== undefined && !this.#demands.directives.onlyIfCached;
    if (wanted.length === 0 || !mayAsk) return this.#noted({ ...found, fetched: 0, listed });
    const fetched = await this.#fetch(wanted);
    this.#reader = this.#open(fetched);
    const again = await this.#gather(isWhole, pause);
    return this.#noted({ ...again, fetched: fetched.size, listed });
  }

  /** The rows behind; their header has been sent, so what is missing of them is left out. */
  next(): QueryPage {
    return this.#noted(this.#reader.next());
  }

  /** To be called when the answer is on its way. */
  refreshBehind(): void {
    const { rows, refreshes } = this.#parts;
    if (rows === undefined || this.#demands.directives.onlyIfCached) return;
    for (const id of this.#behind.splice(0)) {
      if (refreshes.underWay >= LIMITS.queryRefreshesMax) return;
      const refreshing = rows.refresh(id);
      if (refreshing === undefined) continue;
      refreshes.underWay += 1;
      void refreshing.finally(() => {
        refreshes.underWay -= 1;
      });
    }
  }

  #open(fetched: ReadonlySet<RecordId> | undefined): QueryReader {
    const { definition, reader, clock, rows } = this.#parts;
    const context = rows?.rowContext({ ...this.#demands, id: '', variant: '' });
    return new QueryReader(this.#query, { definition, reader, clock, context, fetched });
  }

  async #gather(isWhole: boolean, pause: () => Promise<boolean>): Promise<QueryPage> {
    let page = this.#reader.next();
    if (page.done) return page;
    const pages = [page];
    let { bytes } = page;
    while (!page.done && (isWhole || bytes < LIMITS.queryPageBytesMax) && (await pause())) {
      page = this.#reader.next();
      pages.push(page);
      bytes += page.bytes;
    }
    return joined(pages);
  }

  /** The rows which the origin, or another reader's fetch, brought in time. */
  async #fetch(wanted: readonly RecordId[]): Promise<Set<RecordId>> {
    const { rows, clock } = this.#parts;
    const fetched = new Set<RecordId>();
    const queue = [...wanted];
    const deadline = later(clock.now(), durationMs(LIMITS.queryRefetchMsMax));
    const work = async (): Promise<void> => {
      for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
        const row = id;
        if (clock.now() >= deadline || this.#demands.signal?.aborted === true) return;
        await rows?.read({ ...this.#demands, id, variant: '', deadline }, ({ kind }) => {
          if (kind === 'found') fetched.add(row);
        });
      }
    };
    await Promise.all(Array.from({ length: LIMITS.queryRefetchConcurrency }, work));
    return fetched;
  }

  #noted<P extends QueryPage>(page: P): P {
    const room = LIMITS.queryRefreshRowsMax - this.#behind.length;
    if (room > 0) this.#behind.push(...page.behind.slice(0, room));
    return page;
  }
}

function joined(pages: readonly QueryPage[]): QueryPage {
  const least = (value: (page: QueryPage) => EpochMs): EpochMs =>
    epochMs(Math.min(FOREVER, ...pages.map(value)));
  const sum = (value: (page: QueryPage) => number): number =>
    pages.reduce((total, page) => total + value(page), 0);
  return {
    rows: pages.flatMap((page) => page.rows),
    missing: pages.flatMap((page) => page.missing),
    behind: pages.flatMap((page) => page.behind),
    bytes: sum((page) => page.bytes),
    stale: sum((page) => page.stale),
    unseen: sum((page) => page.unseen),
    freshUntil: least((page) => page.freshUntil),
    bornAt: least((page) => page.bornAt),
    done: pages.at(-1)?.done ?? true,
  };
}

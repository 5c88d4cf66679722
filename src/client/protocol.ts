/** What is said on `/live`, as far as the client makes use of it. Rows are told by their tables. */

/** What the server tells of a subscription. */
export interface LiveEvent<Row = unknown> {
  readonly type:
    | 'put'
    | 'patch'
    | 'delete'
    | 'invalidate'
    | 'message'
    | 'enter'
    | 'leave'
    | 'snapshot'
    | 'reset'
    | 'presence'
    | 'error';
  readonly sub: number;
  readonly table?: string;
  readonly id?: string | number | null;
  readonly value?: Row;
  /** Of a snapshot, with the ids of its rows. */
  readonly values?: readonly Row[];
  readonly ids?: readonly (string | number)[];
  /** More of the snapshot follows. */
  readonly more?: boolean;
  readonly position?: string;
  readonly at?: number;
  /** The state at the beginning, not a change. */
  readonly retained?: boolean;
  /** Of a presence. */
  readonly count?: number;
  /** Of an error. */
  readonly code?: string;
  readonly message?: string;
  readonly status?: number;
}

/** What a write was answered with. */
export interface Acknowledged {
  readonly outcome: 'created' | 'updated' | 'deleted' | 'published';
  readonly status: number;
  readonly entityTag?: string;
  /** At which subscribers have been told of it. */
  readonly position?: string;
  readonly location?: string;
  readonly value?: unknown;
}

/** A refusal of the server, by its code; or `CONNECTION_LOST`, `TIMED_OUT`, `CLOSED`. */
export class LiveError extends Error {
  override name = 'LiveError';
  readonly code: string;
  readonly status: number;

  constructor(code: string, message: string, status = 0) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

/** Row types by table: `{ Flight: Flight }`. Generated types have one of that shape. */
export type Rows = object;

/** The row that a path is about, where the table is known: `/Flight/AA1`, `/Flight/?gate=A`. */
export type RowAt<
  Schema extends Rows,
  Path extends string,
> = Path extends `/${infer Table}/${string}`
  ? Table extends keyof Schema
    ? Schema[Table]
    : unknown
  : unknown;

/**
 * `for await (const event of tables.X.subscribe({ id }))`: the changes of a table or a record as an
 * iterable. The present state comes first, as events marked `retained`. A reader that is slow gets
 * the newest value of each record, as every subscriber does; `reset` says that changes may be
 * missing, and the present state follows.
 */
import type { RecordId } from '../base/brands.ts';
import type { ErrorCode } from '../base/errors.ts';
import type { EncodedEvent, EventType } from '../feed/event.ts';
import type { Sink } from '../feed/sink.ts';
import type { Subscription, SubscriptionRequest } from '../feed/subscriber.ts';
import type { TableDefinition } from '../schema/definition.ts';
import type { JsonRecord } from '../table/record-draft.ts';

/** Registers a subscription with the feed of this thread. */
export type OpenFeed = (request: SubscriptionRequest, sink: Sink) => Subscription;

export interface SubscribeOptions {
  /** One record; without it, the whole table. */
  readonly id?: RecordId | undefined;
  /** Changes only. */
  readonly omitCurrent?: boolean | undefined;
  /** Position of the last event that was seen. */
  readonly from?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface TableEvent {
  readonly type: Exclude<EventType, 'snapshot'>;
  /** `undefined` when the whole table is meant. */
  readonly id: RecordId | undefined;
  readonly value?: unknown;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  /** To resume from. */
  readonly position: string;
  /** The state at the beginning, not a change. */
  readonly retained: boolean;
}

/** Marks an iterable which has no end: nobody may expect its next row in time. */
export const ENDLESS = Symbol.for('millrace.endless');

const EVENTS_MAX = 256;

export class TableEvents implements AsyncIterableIterator<TableEvent>, Sink {
  readonly [ENDLESS] = true;
  readonly #subscription: Subscription;
  readonly #queue: TableEvent[] = [];
  #waiting: ((result: IteratorResult<TableEvent>) => void) | undefined;
  #closed = false;

  constructor(open: OpenFeed, definition: TableDefinition, options: SubscribeOptions) {
    const { id, omitCurrent, from, signal } = options;
    const common = { table: definition, protocol: 'code', omitCurrent, from } as const;
    const request: SubscriptionRequest =
      id === undefined ? { ...common, kind: 'collection' } : { ...common, kind: 'record', id };
    this.#subscription = open(request, this);
    this.#subscription.begin();
    if (signal?.aborted === true) this.#end();
    else signal?.addEventListener('abort', () => this.#end(), { once: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<TableEvent>> {
    const event = this.#queue.shift();
    if (event !== undefined) {
      if (this.#queue.length === EVENTS_MAX / 2) this.#subscription.drained();
      return { value: event, done: false };
    }
    if (this.#closed) return DONE;
    this.#subscription.drained();
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  async return(): Promise<IteratorResult<TableEvent>> {
    this.#end();
    return DONE;
  }

  ready(): boolean {
    return this.#queue.length < EVENTS_MAX;
  }

  write(event: EncodedEvent): void {
    this.#queue.push(...eventsOf(event));
    const waiting = this.#waiting;
    const first = waiting === undefined ? undefined : this.#queue.shift();
    if (waiting === undefined || first === undefined) return;
    this.#waiting = undefined;
    waiting({ value: first, done: false });
  }

  close(_code: ErrorCode): void {
    this.#end();
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#subscription.close();
    this.#waiting?.(DONE);
    this.#waiting = undefined;
  }
}

const DONE: IteratorResult<TableEvent> = Object.freeze({ value: undefined, done: true });

interface Wire {
  readonly type: EventType;
  readonly id?: RecordId | null;
  readonly ids?: readonly RecordId[];
  readonly value?: unknown;
  readonly values?: readonly JsonRecord[];
  readonly position: string;
  readonly at: number;
  readonly retained?: boolean;
}

function eventsOf(event: EncodedEvent): TableEvent[] {
  const { type, id, ids, value, values, position, at, retained } = JSON.parse(event.json) as Wire;
  const common = { position, timestamp: at };
  if (type !== 'snapshot') {
    return [{ ...common, type, id: id ?? undefined, value, retained: retained ?? false }];
  }
  const rows = values ?? [];
  return rows.map((row, index) => ({
    ...common,
    type: 'put',
    id: ids?.[index],
    value: row,
    retained: true,
  }));
}

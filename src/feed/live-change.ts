/**
 * One change as the live stream hands it round: decides what it means to each kind of subscriber
 * and encodes each meaning once. `row` is given when the change's own bytes are not to be used
 * (the ring no longer holds them, or a newer row was already shown to somebody): then the record's
 * present state takes their place, so that versions never go back.
 */

import type { EpochMs, Position } from '../base/brands.ts';
import type { RowFilter } from '../table/query/row-filter.ts';
import type { Change } from '../table/store-port.ts';
import { type EncodedEvent, type EventType, encodeEvent, messageJson, textOf } from './event.ts';
import type { RecordState } from './record-state.ts';
import type { TableTopics } from './topic-index.ts';

type State =
  | { readonly kind: 'found'; readonly value: string | undefined }
  | { readonly kind: 'absent' }
  | { readonly kind: 'unknown' };

export class LiveChange {
  readonly change: Change;
  readonly #topics: TableTopics;
  readonly #position: Position;
  readonly #row: RecordState | undefined;
  readonly #events = new Map<EventType, EncodedEvent>();
  #state: State | undefined;
  #after: unknown;
  #before: unknown;

  constructor(
    change: Change,
    topics: TableTopics,
    position: Position,
    row: RecordState | undefined,
  ) {
    this.change = change;
    this.#topics = topics;
    this.#position = position;
    this.#row = row;
  }

  /** Whether the change is about what a record is, and not a message or an invalidation. */
  get isState(): boolean {
    return this.change.op !== 'message' && this.change.op !== 'invalidate';
  }

  /** For subscribers of the record and of the whole collection. */
  plain(): EncodedEvent {
    if (!this.isState) return this.#event(this.change.op);
    return this.#event(eventOf[this.#now().kind]);
  }

  /** For subscribers of the rows that match; `undefined` when the change does not concern them. */
  filtered(filter: RowFilter): EncodedEvent | undefined {
    if (!this.isState) return this.#event(this.change.op);
    const state = this.#now();
    if (state.kind === 'unknown') return this.#event('invalidate');
    const was = this.#wasMember(filter);
    if (state.kind === 'absent') return was === false ? undefined : this.#event('delete');
    this.#after ??= parse(state.value);
    if (filter.matches(this.#after)) return this.#event(was === false ? 'enter' : 'put');
    // A client that never had the row ignores its leaving.
    return was === false ? undefined : this.#event('leave');
  }

  /** `undefined` when what the subscriber was told last is not known any more. */
  #wasMember(filter: RowFilter): boolean | undefined {
    const { before } = this.change;
    if (before === undefined || this.#row !== undefined) return undefined;
    // An evicted row leaves the store without a change: its subscribers may still show it.
    if (before === null) return this.#topics.evictable ? undefined : false;
    this.#before ??= parse(textOf(before));
    return filter.matches(this.#before);
  }

  #now(): State {
    this.#state ??= this.#computeState();
    return this.#state;
  }

  #computeState(): State {
    const { op, after } = this.change;
    if (this.#row === undefined) {
      return op === 'delete' || after === undefined
        ? { kind: 'absent' }
        : { kind: 'found', value: textOf(after) };
    }
    // A delete leaves no row once its tombstone is gone: absent, not unknown.
    return this.#row.kind === 'unknown' && op === 'delete' ? { kind: 'absent' } : this.#row;
  }

  #event(type: EventType): EncodedEvent {
    let event = this.#events.get(type);
    if (event === undefined) {
      event = encodeEvent({
        type,
        table: this.#topics.typeName,
        id: this.change.id,
        value: this.#value(type),
        position: this.#position,
        at: this.change.at as EpochMs,
      });
      this.#events.set(type, event);
    }
    return event;
  }

  #value(type: EventType): string | undefined {
    if (type === 'message') {
      return this.change.after === undefined ? undefined : messageJson(this.change.after);
    }
    if (type !== 'put' && type !== 'enter') return undefined;
    const state = this.#now();
    return state.kind === 'found' ? state.value : undefined;
  }
}

const eventOf = { found: 'put', absent: 'delete', unknown: 'invalidate' } as const;

/** A row for conditions; `null`, which matches nothing, when it is no JSON. */
export function parse(value: string | undefined): unknown {
  if (value === undefined) return null;
  try {
    return JSON.parse(value);
  } catch {
    return null;
  }
}

/**
 * One change as the live stream hands it round: decides what it means to each kind of subscriber
 * and encodes each meaning once. `row` is given when the change's own bytes are not to be used
 * (the ring no longer holds them, or a newer row was already shown to somebody): then the record's
 * present state takes their place, so that versions never go back.
 */

import type { EpochMs, Position, RecordVersion } from '../base/brands.ts';
import type { RowFilter } from '../table/query/row-filter.ts';
import type { RowView } from '../table/query/row-view.ts';
import type { Change } from '../table/store-port.ts';
import type { DeltaBase } from './delta-base.ts';
import { type EncodedEvent, type EventType, encodeEvent, messageJson, textOf } from './event.ts';
import { EMPTY_PATCH, mergePatchOf } from './merge-patch.ts';
import type { RecordState } from './record-state.ts';
import { seenMessage } from './seen-message.ts';
import type { FilterGroup, TableTopics } from './topic-index.ts';

type State =
  | { readonly kind: 'found'; readonly value: string | undefined }
  | { readonly kind: 'absent' }
  | { readonly kind: 'unknown' };

/**
 * What a change is to somebody who sees a part of the table. `gone` and `touched` are told to those
 * who know of the record; `was`: whether the row before was one that they see.
 */
export type SeenChange =
  | { readonly kind: 'told' | 'shown' | 'touched'; readonly event: EncodedEvent }
  | { readonly kind: 'gone'; readonly event: EncodedEvent; readonly was: boolean | undefined };

export class LiveChange {
  readonly change: Change;
  readonly #topics: TableTopics;
  readonly #position: Position;
  readonly #row: RecordState | undefined;
  readonly #events = new Map<string, EncodedEvent>();
  readonly #patches = new Map<string, EncodedEvent | 'same' | 'none'>();
  readonly #alike = new Map<string, boolean>();
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

  /** The filters it may concern: all of them where the row before is not known. */
  groups(): Iterable<FilterGroup> {
    const { groups, predicates, evictable } = this.#topics;
    const { before } = this.change;
    const isKnown = this.#row === undefined && before !== undefined;
    if (!predicates.isSelective || !this.isState || !isKnown) return groups.values();
    if (before === null && evictable) return groups.values();
    if (before !== null) this.#before ??= parse(textOf(before));
    return predicates.concerned([this.#before, this.#parsed()]);
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
    if (filter.isAll) return this.#event(eventOf[state.kind], filter);
    const was = this.#wasMember(filter);
    if (state.kind === 'absent') return was === false ? undefined : this.#event('delete');
    if (filter.matches(this.#parsed())) return this.#event(was === false ? 'enter' : 'put', filter);
    // A client that never had the row ignores its leaving.
    return was === false ? undefined : this.#event('leave');
  }

  /** For subscribers who see a part of the table; `undefined` when it does not concern them. */
  seen(filter: RowFilter, view: RowView): SeenChange | undefined {
    const { op, id } = this.change;
    if (op === 'message') return this.#seenMessage(view);
    if (op === 'invalidate') {
      return { kind: id === undefined ? 'told' : 'touched', event: this.#event('invalidate') };
    }
    const state = this.#now();
    if (state.kind === 'unknown') return { kind: 'touched', event: this.#event('invalidate') };
    const was = this.#wasMember(filter);
    if (state.kind === 'absent') return { kind: 'gone', event: this.#event('delete'), was };
    if (!filter.matches(this.#parsed())) return { kind: 'gone', event: this.#event('leave'), was };
    // That something changed which may not be read is nothing to tell of.
    if (was === true && view.isMasked && this.#isShownAlike(filter)) return undefined;
    return { kind: 'shown', event: this.#event(was === false ? 'enter' : 'put', filter) };
  }

  /**
   * The event as it is told to somebody who asked for patches; `undefined` when nothing of what is
   * shown to it has changed.
   */
  asDelta(
    delta: DeltaBase,
    filter: RowFilter | undefined,
    event: EncodedEvent,
  ): EncodedEvent | undefined {
    const { id, op } = this.change;
    // Without a version it is long gone, and what comes next is told whole.
    if (this.#row !== undefined && this.#row.kind !== 'unknown') {
      delta.rowShown(this.#row.version ?? NO_VERSION);
    }
    if (event.type === 'invalidate' || op === 'invalidate') delta.invalidated(id);
    if (event.type !== 'put' || !delta.holds(id)) {
      if (event.type !== 'invalidate' && event.type !== 'message') delta.sent(id);
      return event;
    }
    const patch = this.#patch(filter);
    if (patch === 'same') return filter?.project === undefined ? event : undefined;
    return patch ?? event;
  }

  /** The change of what such subscribers are shown; `undefined` when it is not known, or longer. */
  #patch(filter: RowFilter | undefined): EncodedEvent | 'same' | undefined {
    const key = filter?.project === undefined ? '' : filter.key;
    const kept = this.#patches.get(key);
    if (kept !== undefined) return kept === 'none' ? undefined : kept;
    const text = this.#patchText(filter?.project);
    const patch =
      text === undefined ? 'none' : text === EMPTY_PATCH ? 'same' : this.#encoded('patch', text);
    this.#patches.set(key, patch);
    return patch === 'none' ? undefined : patch;
  }

  #patchText(project: RowFilter['project']): string | undefined {
    const { before } = this.change;
    const state = this.#now();
    if (!before || this.#row !== undefined || state.kind !== 'found') return undefined;
    if (project === undefined) return mergePatchOf(textOf(before) ?? '', state.value ?? '');
    this.#before ??= parse(textOf(before));
    return mergePatchOf(project(this.#before), project(this.#parsed()));
  }

  /** Whether of the row before the same was shown: asked where it is known. */
  #isShownAlike(filter: RowFilter): boolean {
    let isAlike = this.#alike.get(filter.key);
    if (isAlike === undefined) {
      const { project } = filter;
      isAlike = project !== undefined && project(this.#before) === project(this.#parsed());
      this.#alike.set(filter.key, isAlike);
    }
    return isAlike;
  }

  #seenMessage(view: RowView): SeenChange | undefined {
    const { id } = this.change;
    const value = this.#value('message') ?? 'null';
    if (id === undefined) return undefined;
    const seen = seenMessage(view, this.#topics.definition.primaryKey, id, value);
    if (seen === undefined) return undefined;
    if (seen === value) return { kind: 'told', event: this.#event('message') };
    return { kind: 'told', event: this.#encoded('message', seen) };
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

  /** The row as it is now. */
  #parsed(): unknown {
    const state = this.#now();
    this.#after ??= parse(state.kind === 'found' ? state.value : undefined);
    return this.#after;
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

  /** `filter` is given when it may show a part of the row only. */
  #event(type: EventType, filter?: RowFilter): EncodedEvent {
    const project = hasValue(type) ? filter?.project : undefined;
    const key = project === undefined ? type : `${type} ${filter?.key}`;
    let event = this.#events.get(key);
    if (event === undefined) {
      event = this.#encoded(
        type,
        project === undefined ? this.#value(type) : project(this.#parsed()),
      );
      this.#events.set(key, event);
    }
    return event;
  }

  #encoded(type: EventType, value: string | undefined): EncodedEvent {
    return encodeEvent({
      type,
      table: this.#topics.typeName,
      id: this.change.id,
      value,
      position: this.#position,
      at: this.change.at as EpochMs,
    });
  }

  #value(type: EventType): string | undefined {
    if (type === 'message') {
      return this.change.after === undefined ? undefined : messageJson(this.change.after);
    }
    if (!hasValue(type)) return undefined;
    const state = this.#now();
    return state.kind === 'found' ? state.value : undefined;
  }
}

const NO_VERSION = 0 as RecordVersion;

/** Whether such an event carries the row. */
const hasValue = (type: EventType): boolean => type === 'put' || type === 'enter';

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

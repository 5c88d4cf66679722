/**
 * What was told before, for subscribers to a table that keeps its history: the last changes under
 * the subscription, or those since an instant, with the values they had. They come before the
 * present state, from the log as far as it reaches back, and are marked; the subscription is what
 * it would be without them. Bounds: the entries looked at (`replayEntriesMax`), the events of one
 * history (`historyEventsMax`), and the work of one step.
 */
import type { EpochMs, Sequence } from '../base/brands.ts';
import { sequence } from '../base/brands.ts';
import { type Change, formatPosition } from '../table/store-port.ts';
import type { ChangeSource } from './change-source.ts';
import { type EncodedEvent, encodeEvent, messageJson, textOf } from './event.ts';
import type { FeedLimits } from './limits.ts';
import { parse } from './live-change.ts';
import type { LogBlocks } from './log-blocks.ts';
import { seenMessage } from './seen-message.ts';
import type { Subscriber } from './subscriber.ts';

/** What is wanted of the past. */
export interface HistoryWish {
  /** At most so many changes, the newest. */
  readonly last: number;
  readonly since: EpochMs | undefined;
}

export interface HistoryProgress {
  /** How far the log was looked through. */
  looked: Sequence;
  /** Changes to tell, the oldest first; complete when the log was looked through to the cursor. */
  readonly found: Sequence[];
  told: number;
}

export type HistoryAdvance = 'done' | 'full' | 'more';

const BLOCKS_PER_STEP = 8;
const SENDS_PER_STEP = 128;

export interface HistoryParts {
  readonly source: ChangeSource;
  readonly blocks: LogBlocks;
  readonly limits: FeedLimits;
}

export class History {
  readonly #parts: HistoryParts;

  constructor(parts: HistoryParts) {
    this.#parts = parts;
  }

  /** Readies it to look through the log up to the subscriber's cursor. */
  begin(subscriber: Subscriber): void {
    const { source, limits } = this.#parts;
    const oldest = Math.max(
      source.firstSequence() - 1,
      subscriber.cursor - limits.replayEntriesMax,
    );
    subscriber.history = { looked: sequence(Math.max(0, oldest)), found: [], told: 0 };
  }

  /** One bounded step. */
  advance(subscriber: Subscriber, progress: HistoryProgress): HistoryAdvance {
    if (progress.looked < subscriber.cursor) {
      this.#look(subscriber, progress);
      return 'more';
    }
    for (let sent = 0; sent < SENDS_PER_STEP; sent += 1) {
      const at = progress.found[progress.told];
      if (at === undefined) return 'done';
      if (!subscriber.sink.ready()) return 'full';
      progress.told += 1;
      const event = this.#event(subscriber, at);
      if (event !== undefined) subscriber.sink.write(event);
    }
    return 'more';
  }

  #look(subscriber: Subscriber, progress: HistoryProgress): void {
    const { blocks, limits } = this.#parts;
    const wish = subscriber.request.history;
    const last = Math.min(wish?.last ?? 0, limits.historyEventsMax);
    for (let step = 0; step < BLOCKS_PER_STEP && progress.looked < subscriber.cursor; step += 1) {
      progress.looked = blocks.visit(progress.looked, (change) => {
        if (change.sequence > subscriber.cursor) return true;
        if (!concerns(subscriber, change) || change.at < (wish?.since ?? 0)) return true;
        progress.found.push(change.sequence);
        if (progress.found.length > last) progress.found.shift();
        return true;
      });
    }
  }

  /** `undefined`: it is not to be seen, did not match, or the log has it no more. */
  #event(subscriber: Subscriber, at: Sequence): EncodedEvent | undefined {
    const { source } = this.#parts;
    const [change] = source.changesAfter(sequence(at - 1), 1).changes;
    if (change?.sequence !== at) return undefined;
    const told = pastOf(subscriber, change);
    if (told === undefined) return undefined;
    const position = formatPosition(source.epoch, at);
    const common = { table: subscriber.typeName, id: change.id, position, at: change.at };
    return encodeEvent({ ...common, ...told, history: true });
  }
}

const concerns = ({ table, id }: Subscriber, change: Change): boolean =>
  change.table === table &&
  change.op !== 'invalidate' &&
  change.id !== undefined &&
  (id === undefined || id === change.id);

interface Past {
  readonly type: 'put' | 'delete' | 'message';
  readonly value?: string | undefined;
}

function pastOf(subscriber: Subscriber, { op, id, after }: Change): Past | undefined {
  const { filter, view, request } = subscriber;
  if (op === 'message') {
    const value = after === undefined ? 'null' : messageJson(after);
    if (view === undefined) return { type: 'message', value };
    const seen = id && seenMessage(view, request.table.primaryKey, id, value);
    return seen === undefined ? undefined : { type: 'message', value: String(seen) };
  }
  // Of a record that is gone it is not known whether it was one of theirs.
  if (op === 'delete') return view === undefined ? { type: 'delete' } : undefined;
  const value = after === undefined ? undefined : textOf(after);
  if (value === undefined) return undefined;
  const row = filter && parse(value);
  if (filter?.matches(row) === false) return undefined;
  return { type: 'put', value: filter?.project?.(row) ?? value };
}

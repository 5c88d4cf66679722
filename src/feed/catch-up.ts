/**
 * Brings a subscriber which is behind back to the live stream: reads the log from its cursor,
 * conflates what it finds, and sends the present state of each record that changed while its sink
 * has room. Versions never go back, since present rows are sent, and every subscriber ends at the
 * newest value. Bounds: the items held (`conflatedRecordsMax`, `pendingMessageBytesMax`; the
 * rest stays in the log), the log entries behind (`replayEntriesMax`, then it is lost), and the
 * work of one step.
 */
import {
  type EpochMs,
  type Position,
  type RecordId,
  type RecordVersion,
  recordVersion,
  type Sequence,
  sequence,
} from '../base/brands.ts';
import { versionTime } from '../base/hlc.ts';
import { formatPosition } from '../table/store-port.ts';
import type { ChangeSource } from './change-source.ts';
import type { FeedCounters } from './counters.ts';
import { type EncodedEvent, type EventType, encodeEvent, messageJson, textOf } from './event.ts';
import type { FeedLimits } from './limits.ts';
import { parse } from './live-change.ts';
import type { LogBlocks } from './log-blocks.ts';
import { mergePatchOf } from './merge-patch.ts';
import { Pending, type PendingItem } from './pending.ts';
import { isHeld } from './position.ts';
import { isEvictable, isPageValid, type RecordState, storedState } from './record-state.ts';
import { seenMessage } from './seen-message.ts';
import type { Subscriber } from './subscriber.ts';

/** `full`: waits for room; `more`: goes on in a later turn; `lost`: the log no longer helps. */
export type CatchUpProgress = 'caughtUp' | 'full' | 'more' | 'lost';

const BLOCKS_PER_STEP = 8;
const SENDS_PER_STEP = 256;
const MEMO_MAX = 512;

export interface CatchUpParts {
  readonly source: ChangeSource;
  readonly blocks: LogBlocks;
  readonly limits: FeedLimits;
  readonly counters: FeedCounters;
  /** Told of every row shown, so that the live stream never shows an older one. */
  readonly rowShown: (version: RecordVersion) => void;
}

interface Told {
  readonly type: EventType;
  readonly id: RecordId | undefined;
  readonly value?: string | undefined;
  readonly at: EpochMs;
  readonly version: RecordVersion;
  readonly retained?: boolean;
}

export class CatchUp {
  readonly #parts: CatchUpParts;
  /** Events by what they say: many subscribers behind on the same record get the same event. */
  readonly #memo = new Map<string, EncodedEvent>();

  constructor(parts: CatchUpParts) {
    this.#parts = parts;
  }

  /** One bounded step. */
  advance(subscriber: Subscriber): CatchUpProgress {
    if (!subscriber.sink.ready()) return 'full';
    subscriber.pending ??= new Pending(subscriber.cursor);
    const { pending } = subscriber;
    if (!this.#scan(subscriber, pending)) return 'lost';
    this.#send(subscriber, pending);
    if (subscriber.mustReset) return 'lost';
    subscriber.cursor = pending.safePosition();
    if (pending.size > 0 || pending.scanned < this.#parts.source.lastSequence()) {
      return subscriber.sink.ready() ? 'more' : 'full';
    }
    subscriber.pending = undefined;
    return 'caughtUp';
  }

  /** The state which a record subscription begins with. */
  retained(subscriber: Subscriber, state: RecordState, now: EpochMs): EncodedEvent {
    const position = this.#position(subscriber);
    const { id, filter } = subscriber;
    const row = filter && state.kind === 'found' ? parse(state.value) : undefined;
    // Only who sees a part of the table has conditions on one record.
    if (state.kind === 'found' && filter?.matches(row) !== false) {
      const { version } = state;
      const value = filter?.project === undefined ? state.value : filter.project(row);
      if (id !== undefined) subscriber.shown?.add(id);
      const at = versionTime(version);
      const told = { type: 'put', id, value, at, version, retained: true } as const;
      return this.#event(subscriber, told, position);
    }
    const type = state.kind === 'unknown' ? 'invalidate' : 'delete';
    return this.#event(subscriber, { type, id, at: now, version: recordVersion(0) }, position);
  }

  #position = (subscriber: Subscriber): Position =>
    formatPosition(this.#parts.source.epoch, subscriber.cursor);

  #scan(subscriber: Subscriber, pending: Pending): boolean {
    const { source, blocks, limits, counters } = this.#parts;
    const last = source.lastSequence();
    if (last - pending.scanned > limits.replayEntriesMax) return false;
    for (let step = 0; step < BLOCKS_PER_STEP && pending.scanned < last; step += 1) {
      if (isFull(pending, limits)) return true;
      const from = pending.scanned;
      pending.scanned = blocks.visit(from, (change) => {
        if (change.table !== subscriber.table) return true;
        const concerns =
          subscriber.id === undefined || change.id === undefined || change.id === subscriber.id;
        if (!concerns) return true;
        if (isFull(pending, limits)) return false;
        if (pending.add(change)) counters.conflated[subscriber.protocol] += 1;
        return true;
      });
      // Looked at afterwards: the log may be trimmed by another thread while it is read.
      if (!isHeld(from, source)) return false;
    }
    return true;
  }

  #send(subscriber: Subscriber, pending: Pending): void {
    for (let sent = 0; sent < SENDS_PER_STEP && subscriber.sink.ready(); sent += 1) {
      const item = pending.shift();
      if (item === undefined) return;
      const position = formatPosition(this.#parts.source.epoch, pending.safePosition());
      for (const each of this.#tell(subscriber, item)) {
        const told = subscriber.view === undefined ? each : seenTold(subscriber, each);
        if (subscriber.mustReset) return;
        if (told === undefined) continue;
        const last = subscriber.delta === undefined ? told : this.#asDelta(subscriber, item, told);
        subscriber.sink.write(this.#event(subscriber, last, position));
        this.#parts.counters.messagesSent[subscriber.protocol] += 1;
      }
    }
  }

  #tell(subscriber: Subscriber, item: PendingItem): readonly Told[] {
    const { id, at, version } = item;
    if (item.op === 'message') {
      const value = item.body === undefined ? undefined : messageJson(item.body);
      return [{ type: 'message', id, value, at, version }];
    }
    const { table } = subscriber.request;
    if (id === undefined) {
      // Followers of a page hear of what was invalidated with others when theirs was among it.
      if (table.pages === undefined || subscriber.id === undefined) {
        return [{ type: 'invalidate', id, at, version }];
      }
      if (isPageValid(this.#parts.source, table, subscriber.id)) return [];
      return [{ type: 'invalidate', id: subscriber.id, at, version }];
    }
    const state = storedState(this.#parts.source, table, id, isEvictable(table));
    if (state.kind === 'found') return this.#tellFound(subscriber, item, id, state);
    const gone = state.kind === 'absent' || item.op === 'delete';
    const seen = (state.kind === 'absent' ? state.version : undefined) ?? version;
    this.#parts.rowShown(seen);
    if (!gone) return [{ type: 'invalidate', id, at, version }];
    if (seen <= subscriber.seenVersion) return [];
    if (subscriber.id !== undefined) subscriber.seenVersion = seen;
    return [{ type: 'delete', id, at, version: seen }];
  }

  #tellFound(
    subscriber: Subscriber,
    item: PendingItem,
    id: RecordId,
    { value, version }: Extract<RecordState, { kind: 'found' }>,
  ): readonly Told[] {
    this.#parts.rowShown(version);
    const told: Told[] = [];
    if (version > subscriber.seenVersion) {
      if (subscriber.id !== undefined) subscriber.seenVersion = version;
      const at = versionTime(version);
      const { filter } = subscriber;
      const row = filter && parse(value);
      const stays = filter?.matches(row) ?? true;
      const shown = filter?.project === undefined ? value : filter.project(row);
      told.push(
        stays ? { type: 'put', id, value: shown, at, version } : { type: 'leave', id, at, version },
      );
    }
    // Invalidated after the row was written, softly: the value stands, but may not be current.
    if (item.op === 'invalidate' && version < item.version) {
      told.push({ type: 'invalidate', id, at: item.at, version: item.version });
    }
    return told;
  }

  /** The first row not told against the present one, where the former is what was sent last. */
  #asDelta({ delta, filter }: Subscriber, item: PendingItem, told: Told): Told {
    const { id, type, value = '' } = told;
    if (delta === undefined) return told;
    if (type === 'invalidate') delta.invalidated(id);
    const isKnown =
      type === 'put' &&
      delta.holds(id) &&
      !item.wasBroken &&
      delta.isBefore(item.first, item.firstVersion);
    const before = isKnown ? this.#rowBefore(item.first) : undefined;
    if (type !== 'invalidate' && type !== 'message') {
      delta.sent(id);
      delta.rowShown(told.version);
    }
    if (before === undefined) return told;
    const row = filter && parse(before);
    if (filter?.matches(row) === false) return told;
    const patch = mergePatchOf(filter?.project?.(row) ?? before, value);
    return patch === undefined ? told : { ...told, type: 'patch', value: patch };
  }

  /** JSON of the row before a change, while the ring has it. */
  #rowBefore(first: Sequence): string | undefined {
    const [change] = this.#parts.source.changesAfter(sequence(first - 1), 1).changes;
    return change?.sequence === first && change.before ? textOf(change.before) : undefined;
  }

  #event(subscriber: Subscriber, told: Told, position: Position): EncodedEvent {
    const { type, id, value, at, version, retained } = told;
    const make = () =>
      encodeEvent({ type, table: subscriber.typeName, id, value, position, at, retained });
    if (type === 'message') return make();
    // Patches of a record may begin at different rows.
    const kind = `${type === 'patch' ? value : type} ${retained === true} ${typeof id}`;
    const view = subscriber.filter?.project === undefined ? '' : subscriber.filter.key;
    const key = `${subscriber.table} ${position} ${version} ${kind} ${id} ${view}`;
    let event = this.#memo.get(key);
    if (event === undefined) {
      if (this.#memo.size >= MEMO_MAX) this.#memo.clear();
      event = make();
      this.#memo.set(key, event);
    }
    return event;
  }
}

/** What somebody who sees a part of the table is told; `undefined`: nothing. */
function seenTold(subscriber: Subscriber, told: Told): Told | undefined {
  const { view, shown, request } = subscriber;
  const { id, type, value = 'null' } = told;
  if (view === undefined || shown === undefined || id === undefined) return told;
  if (type === 'message') {
    const seen = seenMessage(view, request.table.primaryKey, id, value);
    return seen === undefined ? undefined : { ...told, value: seen };
  }
  if (type === 'put') {
    shown.add(id);
    return told;
  }
  const isKnown = shown.knows(id, type === 'invalidate' ? false : undefined);
  if (isKnown === undefined && view.coversKey(id)) subscriber.mustReset = true;
  if (isKnown !== true) return undefined;
  if (type !== 'invalidate') shown.remove(id);
  return told;
}

const isFull = (pending: Pending, limits: FeedLimits): boolean =>
  pending.size >= limits.conflatedRecordsMax ||
  pending.messageBytes >= limits.pendingMessageBytesMax;

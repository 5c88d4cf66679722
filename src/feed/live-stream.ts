/**
 * The live end of the feed: reads the log once for all who are up to date, and hands each change
 * to those whom it concerns and who have room. Who has none falls behind, and is caught up later.
 *
 * Invariant: a live subscriber has been handed every matching change after its cursor up to the
 * head; changes older than a row that somebody was already shown go out as the present row.
 */
import { must } from '../base/assert.ts';
import { type DurationMs, type RecordVersion, type Sequence, sequence } from '../base/brands.ts';
import type { Clock } from '../base/clock.ts';
import { type Change, formatPosition } from '../table/store-port.ts';
import { BatchSize } from './batch-size.ts';
import type { ChangeSource } from './change-source.ts';
import type { FeedCounters, ObserveLag } from './counters.ts';
import type { Members } from './crowd.ts';
import type { EncodedEvent } from './event.ts';
import { LiveChange, type SeenChange } from './live-change.ts';
import { isPageValid, storedState } from './record-state.ts';
import { FEED_PROTOCOLS, type FeedProtocol } from './sink.ts';
import type { Subscriber } from './subscriber.ts';
import type { TableTopics, TopicIndex } from './topic-index.ts';

export interface LiveStreamParts {
  readonly source: ChangeSource;
  readonly clock: Clock;
  readonly index: TopicIndex;
  readonly counters: FeedCounters;
  readonly changeBatchMax: number;
  readonly observeLag: ObserveLag | undefined;
  /** Told of those who were live when the log was trimmed past the head; they are behind now. */
  readonly lost: (subscriber: Subscriber) => void;
}

export class LiveStream {
  readonly #parts: LiveStreamParts;
  readonly #source: ChangeSource;
  /** Records of this batch with a change left out: the next one's *before* was told to nobody. */
  readonly #skipped = new Set<string>();
  readonly #batch: BatchSize;
  #head: Sequence;
  #newestRow = 0 as RecordVersion;

  constructor(parts: LiveStreamParts) {
    this.#parts = parts;
    this.#source = parts.source;
    this.#batch = new BatchSize(parts.changeBatchMax);
    this.#head = parts.source.lastSequence();
  }

  /** How far the log was handed round. */
  get head(): Sequence {
    return this.#head;
  }

  /** Passes over what nobody was subscribed to. */
  skipToEnd(): void {
    this.#head = this.#source.lastSequence();
  }

  /** A row of this version was shown outside the live stream: nothing older may follow. */
  rowShown(version: RecordVersion): void {
    if (version > this.#newestRow) this.#newestRow = version;
  }

  /** Hands one batch round; true: there is more. */
  pump(): boolean {
    const last = this.#source.lastSequence();
    if (this.#head >= last) return false;
    if (this.#parts.index.size === 0) {
      this.#head = last;
      return false;
    }
    const { clock } = this.#parts;
    const began = clock.monotonic();
    const batch = this.#source.changesAfter(this.#head, this.#batch.size);
    if (batch.truncated) return this.#loseAll(last);
    const { changes } = batch;
    this.#skipped.clear();
    for (let at = 0; at < changes.length; at += 1) this.#deliver(changes, at);
    this.#batch.took(clock.monotonic() - began, changes.length);
    const advanced = batch.next > this.#head;
    this.#head = sequence(Math.max(this.#head, batch.next));
    return advanced && this.#head < last;
  }

  /** The log was trimmed past the head: nobody who was live can be sure to have everything. */
  #loseAll(last: Sequence): boolean {
    for (const subscriber of [...this.#parts.index.all()]) {
      if (subscriber.stage !== 'live') continue;
      subscriber.leaveCrowd();
      subscriber.stage = 'behind';
      subscriber.cursor = sequence(Math.max(subscriber.cursor, this.#head));
      this.#parts.lost(subscriber);
    }
    this.#head = last;
    return true;
  }

  #deliver(changes: readonly Change[], at: number): void {
    const change = must(changes[at], 'a change of the batch');
    const topics = this.#parts.index.table(change.table);
    if (topics === undefined) return;
    const live = this.#liveChange(changes, at, topics);
    if (live === undefined) return;
    const sent = { websocket: 0, sse: 0, mqtt: 0, code: 0 };
    if (change.id === undefined && topics.definition.pages !== undefined) {
      this.#tellPages(changes, at, topics, sent);
    } else if (change.id === undefined) {
      for (const members of topics.records.values()) this.#send(members, live, sent);
    } else {
      const members = topics.records.get(change.id);
      if (members !== undefined) this.#send(members, live, sent);
    }
    for (const { filter, view, members } of live.groups()) {
      if (view !== undefined && filter !== undefined) {
        this.#sendSeen(members, live, sent, live.seen(filter, view));
        continue;
      }
      const event = filter === undefined ? live.plain() : live.filtered(filter);
      if (event !== undefined) this.#send(members, live, sent, event);
    }
    this.#account(change, sent);
  }

  /**
   * Something of the page table was invalidated: a group, a prefix, all of it. Followers of a page
   * hear of it when it was theirs; of several in a batch the last is looked at.
   */
  #tellPages(
    changes: readonly Change[],
    at: number,
    topics: TableTopics,
    sent: Record<FeedProtocol, number>,
  ): void {
    const change = must(changes[at], 'a change of the batch');
    const isRepeated = changes.some(
      ({ table, id }, later) => later > at && id === undefined && table === change.table,
    );
    if (isRepeated) return;
    const position = formatPosition(this.#source.epoch, change.sequence);
    for (const [id, members] of topics.records) {
      if (isPageValid(this.#source, topics.definition, id)) continue;
      this.#send(members, new LiveChange({ ...change, id }, topics, position, undefined), sent);
    }
  }

  /** `undefined`: a later change of the batch shows the same present row. */
  #liveChange(changes: readonly Change[], at: number, topics: TableTopics): LiveChange | undefined {
    const change = must(changes[at], 'a change of the batch');
    const position = formatPosition(this.#source.epoch, change.sequence);
    const { op, id } = change;
    if (id === undefined || op === 'message' || op === 'invalidate') {
      return new LiveChange(change, topics, position, undefined);
    }
    const ownBytes = op === 'delete' || change.after !== undefined;
    const mayUse = ownBytes && change.version >= this.#newestRow;
    if (mayUse && (this.#skipped.size === 0 || !this.#skipped.has(recordKey(change)))) {
      return new LiveChange(change, topics, position, undefined);
    }
    if (isChangedLater(changes, at)) {
      this.#skipped.add(recordKey(change));
      return undefined;
    }
    const row = storedState(this.#source, topics.definition, id, topics.evictable);
    const version = row.kind === 'unknown' ? undefined : row.version;
    if (version !== undefined) this.rowShown(version);
    return new LiveChange(change, topics, position, row);
  }

  #send(
    members: Members,
    live: LiveChange,
    sent: Record<FeedProtocol, number>,
    event: EncodedEvent = live.plain(),
  ): void {
    const { sequence: offset, version } = live.change;
    const { isState } = live;
    for (const crowd of members.crowds) sent[crowd.protocol] += crowd.tell(event);
    const { mayCrowd } = members;
    for (const subscriber of members.alone) {
      if (subscriber.stage !== 'live' || offset <= subscriber.cursor) continue;
      if (isState && version <= subscriber.seenVersion) continue;
      const { filter, view, delta } = subscriber;
      if (view !== undefined && filter !== undefined) {
        this.#show(subscriber, live, sent, live.seen(filter, view));
      } else if (this.#hand(subscriber, live, sent, event) && mayCrowd) {
        if (delta === undefined && version > subscriber.seenVersion) members.crowd(subscriber);
      }
    }
  }

  /** To those who see a part of the table. */
  #sendSeen(
    members: Iterable<Subscriber>,
    live: LiveChange,
    sent: Record<FeedProtocol, number>,
    seen: SeenChange | undefined,
  ): void {
    const { sequence: offset, version } = live.change;
    const { isState } = live;
    for (const subscriber of members) {
      if (subscriber.stage !== 'live' || offset <= subscriber.cursor) continue;
      if (isState && version <= subscriber.seenVersion) continue;
      this.#show(subscriber, live, sent, seen);
    }
  }

  #show(
    subscriber: Subscriber,
    live: LiveChange,
    sent: Record<FeedProtocol, number>,
    seen: SeenChange | undefined,
  ): void {
    const { shown, view } = subscriber;
    const { id, sequence: offset } = live.change;
    if (seen === undefined || shown === undefined) return;
    if (id === undefined || seen.kind === 'told') {
      this.#hand(subscriber, live, sent, seen.event);
      return;
    }
    const isKnown =
      seen.kind === 'shown' || shown.knows(id, seen.kind === 'gone' ? seen.was : false);
    if (isKnown === undefined && view?.coversKey(id) === true) {
      this.#beginAnew(subscriber, offset);
      return;
    }
    if (isKnown !== true) return;
    // Who has no room now is told later, from the log: what was shown has not changed yet.
    if (!this.#hand(subscriber, live, sent, seen.event)) return;
    if (seen.kind === 'shown') shown.add(id);
    if (seen.kind === 'gone') shown.remove(id);
  }

  /** It cannot be said whether this concerns the subscriber: the present state is to follow. */
  #beginAnew(subscriber: Subscriber, offset: Sequence): void {
    subscriber.stage = 'behind';
    subscriber.cursor = sequence(offset - 1);
    subscriber.mustReset = true;
    this.#parts.lost(subscriber);
  }

  /** False: it has no room and is behind now. */
  #hand(
    subscriber: Subscriber,
    live: LiveChange,
    sent: Record<FeedProtocol, number>,
    event: EncodedEvent,
  ): boolean {
    const { sink, delta, filter } = subscriber;
    if (sink.ready()) {
      const told = delta === undefined ? event : live.asDelta(delta, filter, event);
      if (told === undefined) return true;
      sink.write(told);
      sent[subscriber.protocol] += 1;
      return true;
    }
    subscriber.stage = 'behind';
    // What was left out for a later change, which it does not get now, it never held.
    if (this.#skipped.size > 0) delta?.restart();
    subscriber.cursor = sequence(live.change.sequence - 1);
    this.#parts.counters.stalls[subscriber.protocol] += 1;
    return false;
  }

  #account(change: Change, sent: Record<FeedProtocol, number>): void {
    for (const protocol of FEED_PROTOCOLS) {
      const deliveries = sent[protocol];
      if (deliveries === 0) continue;
      this.#parts.counters.messagesSent[protocol] += deliveries;
      const lag = Math.max(0, this.#parts.clock.now() - change.at) as DurationMs;
      this.#parts.observeLag?.(protocol, lag, deliveries);
    }
  }
}

const recordKey = ({ table, id }: Change): string => `${table} ${typeof id} ${id}`;

/** Whether the batch holds a later change of the same record's state. */
function isChangedLater(changes: readonly Change[], at: number): boolean {
  const { table, id } = must(changes[at], 'a change of the batch');
  for (let later = at + 1; later < changes.length; later += 1) {
    const change = changes[later];
    if (change === undefined || change.id !== id || change.table !== table) continue;
    if (change.op !== 'message' && change.op !== 'invalidate') return true;
  }
  return false;
}

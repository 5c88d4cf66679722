/**
 * Hands the changes of the log round to the subscribers of one thread. One reader reads the log
 * once, in bounded batches, and yields to the event loop between them; a subscriber without room
 * keeps a cursor and is caught up later (`catch-up.ts`); nobody has a queue.
 *
 * Invariants: a subscriber which is live has been handed every matching change after its cursor up
 * to the head; per record, versions handed over never go back (`newestRow` is the newest row
 * anybody was shown outside the live stream, and older changes are shown as the present row).
 */
import { must } from '../base/assert.ts';
import { type DurationMs, type RecordVersion, type Sequence, sequence } from '../base/brands.ts';
import type { Clock } from '../base/clock.ts';
import { type Change, formatPosition } from '../table/store-port.ts';
import { CatchUp } from './catch-up.ts';
import type { ChangeSource, Soon } from './change-source.ts';
import { createCounters, type FeedCounters, type ObserveLag } from './counters.ts';
import { type EncodedEvent, encodeReset } from './event.ts';
import { FEED_LIMITS, type FeedLimits } from './limits.ts';
import { LiveChange } from './live-change.ts';
import { LogBlocks } from './log-blocks.ts';
import { resumeOffset } from './position.ts';
import { isEvictable, type ReadRecord, type RecordState, storedState } from './record-state.ts';
import { FEED_PROTOCOLS, type Sink } from './sink.ts';
import { Snapshots } from './snapshot.ts';
import {
  type Drive,
  Subscriber,
  type Subscription,
  type SubscriptionRequest,
} from './subscriber.ts';
import { type TableTopics, TopicIndex } from './topic-index.ts';

export interface FanoutOptions {
  readonly source: ChangeSource;
  readonly clock: Clock;
  /** How a record subscription gets its first value; the stored row when absent. */
  readonly readRecord?: ReadRecord | undefined;
  /** Defers work to a later turn of the event loop; `setImmediate` when absent. */
  readonly soon?: Soon | undefined;
  readonly observeLag?: ObserveLag | undefined;
  readonly limits?: Partial<FeedLimits> | undefined;
}

const defaultSoon: Soon = (fn) => void setImmediate(fn);

export class Fanout {
  readonly counters: FeedCounters = createCounters();
  readonly #source: ChangeSource;
  readonly #clock: Clock;
  readonly #limits: FeedLimits;
  readonly #readRecord: ReadRecord;
  readonly #soon: Soon;
  readonly #observeLag: ObserveLag | undefined;
  readonly #index = new TopicIndex();
  readonly #catchUp: CatchUp;
  readonly #snapshots: Snapshots;
  /** Subscribers with something to do and, as far as is known, room for it. */
  readonly #runnable = new Set<Subscriber>();
  readonly #drive: Drive;
  #head: Sequence;
  #newestRow = 0 as RecordVersion;
  /** Records of this batch with a change left out: the next one's *before* was told to nobody. */
  readonly #skipped = new Set<string>();
  #scheduled = false;
  #stop: (() => void) | undefined;

  constructor(options: FanoutOptions) {
    const { source, clock } = options;
    this.#source = source;
    this.#clock = clock;
    this.#limits = { ...FEED_LIMITS, ...options.limits };
    this.#soon = options.soon ?? defaultSoon;
    this.#observeLag = options.observeLag;
    this.#readRecord =
      options.readRecord ??
      ((table, id, answer) => answer(storedState(source, table.name, id, isEvictable(table))));
    const rowShown = (version: RecordVersion) => {
      if (version > this.#newestRow) this.#newestRow = version;
    };
    const limits = this.#limits;
    const blocks = new LogBlocks(source, limits.changeBatchMax);
    this.#catchUp = new CatchUp({ source, blocks, limits, counters: this.counters, rowShown });
    this.#snapshots = new Snapshots({ source, limits, now: () => clock.now(), rowShown });
    this.#drive = {
      begin: (subscriber) => this.#begin(subscriber),
      drained: (subscriber) => this.#run(subscriber),
      close: (subscriber) => this.#close(subscriber),
    };
    this.#head = source.lastSequence();
  }

  /** Begins to follow the log. */
  start(): void {
    this.#head = this.#source.lastSequence();
    this.#stop = this.#source.onCommit(() => this.#schedule());
  }

  /** Stops following; subscriptions stay open and hear nothing more. */
  stop(): void {
    this.#stop?.();
    this.#stop = undefined;
    this.#runnable.clear();
  }

  get subscriptionCount(): number {
    return this.#index.size;
  }

  /**
   * Registers a subscription at the present end of the log. Nothing is sent before
   * `Subscription.begin()`; nothing committed after this call is missed.
   */
  subscribe(request: SubscriptionRequest, sink: Sink): Subscription {
    const cursor = this.#source.lastSequence();
    // Without subscribers the log is not read: the head stands where the last one left.
    if (this.#index.size === 0) this.#head = cursor;
    const subscriber = new Subscriber(request, sink, cursor, this.#drive);
    this.#index.add(subscriber);
    this.counters.subscriptions[request.protocol] += 1;
    return subscriber;
  }

  #close(subscriber: Subscriber): void {
    if (subscriber.stage === 'closed') return;
    subscriber.stage = 'closed';
    subscriber.pending = undefined;
    subscriber.snapshot = undefined;
    this.#index.remove(subscriber);
    this.#runnable.delete(subscriber);
    this.counters.subscriptions[subscriber.protocol] -= 1;
  }

  // The stages of one subscriber -------------------------------------------------------------

  #begin(subscriber: Subscriber): void {
    if (subscriber.stage !== 'registered') return;
    const { from, omitCurrent } = subscriber.request;
    if (from !== undefined) {
      const offset = resumeOffset(from, this.#source);
      if (offset === undefined) {
        this.#reset(subscriber);
      } else {
        subscriber.cursor = offset;
        this.#follow(subscriber);
      }
    } else if (omitCurrent === true) {
      this.#follow(subscriber);
    } else {
      this.#sendPresent(subscriber);
    }
  }

  /** Goes on from the cursor: live when the head has not passed it, otherwise by catching up. */
  #follow(subscriber: Subscriber): void {
    subscriber.snapshot = undefined;
    if (subscriber.cursor >= this.#head) {
      this.#goLive(subscriber);
    } else {
      subscriber.stage = 'behind';
      this.#run(subscriber);
    }
  }

  #goLive(subscriber: Subscriber): void {
    subscriber.stage = 'live';
    subscriber.restarts = 0;
  }

  /** Sends what there is at the cursor, then follows. */
  #sendPresent(subscriber: Subscriber): void {
    if (subscriber.id === undefined) {
      subscriber.stage = 'snapshot';
      this.counters.snapshots[subscriber.protocol] += 1;
      this.#snapshots.begin(subscriber);
      this.#run(subscriber);
      return;
    }
    subscriber.stage = 'reading';
    const { table } = subscriber.request;
    this.#readRecord(table, subscriber.id, (state) => this.#present(subscriber, state));
  }

  #present(subscriber: Subscriber, state: RecordState): void {
    if (subscriber.stage !== 'reading') return;
    const version = state.kind === 'unknown' ? undefined : state.version;
    if (version !== undefined) {
      subscriber.seenVersion = version;
      if (version > this.#newestRow) this.#newestRow = version;
    }
    this.#write(subscriber, this.#catchUp.retained(subscriber, state, this.#clock.now()));
    this.#follow(subscriber);
  }

  /** Says that changes may be missing, and begins again with the present state. */
  #reset(subscriber: Subscriber): void {
    if (subscriber.restarts > this.#limits.snapshotRestartsMax) {
      this.#close(subscriber);
      subscriber.sink.close('POSITION_UNKNOWN');
      return;
    }
    subscriber.restarts += 1;
    subscriber.pending = undefined;
    subscriber.cursor = this.#source.lastSequence();
    this.counters.resets[subscriber.protocol] += 1;
    this.#write(subscriber, this.#resetEvent(subscriber));
    this.#sendPresent(subscriber);
  }

  #resetEvent(subscriber: Subscriber): EncodedEvent {
    const position = formatPosition(this.#source.epoch, subscriber.cursor);
    const { typeName, id } = subscriber;
    return encodeReset({ table: typeName, id, position, at: this.#clock.now() });
  }

  #write(subscriber: Subscriber, event: EncodedEvent): void {
    subscriber.sink.write(event);
    this.counters.messagesSent[subscriber.protocol] += 1;
  }

  // Turns ------------------------------------------------------------------------------------

  #run(subscriber: Subscriber): void {
    this.#runnable.add(subscriber);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#soon(() => {
      this.#scheduled = false;
      const live = this.#pump();
      const behind = this.#advanceRunnable();
      if (live || behind) this.#schedule();
    });
  }

  /** One step for each subscriber that can go on, within the time of a turn; true: there is more. */
  #advanceRunnable(): boolean {
    const until = this.#clock.monotonic() + this.#limits.feedTurnMsMax;
    let left = this.#runnable.size;
    for (const subscriber of this.#runnable) {
      this.#runnable.delete(subscriber);
      this.#step(subscriber);
      left -= 1;
      if (left <= 0 || this.#clock.monotonic() >= until) break;
    }
    return this.#runnable.size > 0;
  }

  #step(subscriber: Subscriber): void {
    if (subscriber.stage === 'snapshot') {
      const progress = must(subscriber.snapshot, 'the progress of a snapshot');
      const result = this.#snapshots.advance(subscriber, progress);
      if (result === 'more') this.#runnable.add(subscriber);
      if (result === 'done') this.#follow(subscriber);
    } else if (subscriber.stage === 'behind') {
      const result = this.#catchUp.advance(subscriber);
      if (result === 'more') this.#runnable.add(subscriber);
      if (result === 'caughtUp') this.#goLive(subscriber);
      if (result === 'lost') this.#reset(subscriber);
    }
  }

  // The live stream --------------------------------------------------------------------------

  /** Hands one batch round; true: there is more. */
  #pump(): boolean {
    const last = this.#source.lastSequence();
    if (this.#head >= last) return false;
    if (this.#index.size === 0) {
      this.#head = last;
      return false;
    }
    const batch = this.#source.changesAfter(this.#head, this.#limits.changeBatchMax);
    if (batch.truncated) return this.#loseAll(last);
    const { changes } = batch;
    this.#skipped.clear();
    for (let at = 0; at < changes.length; at += 1) this.#deliver(changes, at);
    const advanced = batch.next > this.#head;
    this.#head = sequence(Math.max(this.#head, batch.next));
    return advanced && this.#head < last;
  }

  /** The log was trimmed past the head: nobody who was live can be sure to have everything. */
  #loseAll(last: Sequence): boolean {
    for (const subscriber of [...this.#index.all()]) {
      if (subscriber.stage !== 'live') continue;
      subscriber.stage = 'behind';
      subscriber.cursor = sequence(Math.max(subscriber.cursor, this.#head));
      this.#runnable.add(subscriber);
    }
    this.#head = last;
    return true;
  }

  #deliver(changes: readonly Change[], at: number): void {
    const change = must(changes[at], 'a change of the batch');
    const topics = this.#index.table(change.table);
    if (topics === undefined) return;
    const live = this.#liveChange(changes, at, topics);
    if (live === undefined) return;
    const sent = { websocket: 0, sse: 0, mqtt: 0 };
    if (change.id === undefined) {
      for (const members of topics.records.values()) this.#send(members, live, sent);
    } else {
      const members = topics.records.get(change.id);
      if (members !== undefined) this.#send(members, live, sent);
    }
    for (const { filter, members } of topics.groups.values()) {
      const event = filter === undefined ? live.plain() : live.filtered(filter);
      if (event !== undefined) this.#send(members, live, sent, event);
    }
    this.#account(change, sent);
  }

  /** `undefined`: a later change of the batch shows the same present row. */
  #liveChange(changes: readonly Change[], at: number, topics: TableTopics): LiveChange | undefined {
    const change = must(changes[at], 'a change of the batch');
    const position = formatPosition(this.#source.epoch, change.sequence);
    const { op, id, table } = change;
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
    const row = storedState(this.#source, table, id, topics.evictable);
    const version = row.kind === 'unknown' ? undefined : row.version;
    if (version !== undefined && version > this.#newestRow) this.#newestRow = version;
    return new LiveChange(change, topics, position, row);
  }

  #send(
    members: ReadonlySet<Subscriber>,
    live: LiveChange,
    sent: Record<Subscriber['protocol'], number>,
    event: EncodedEvent = live.plain(),
  ): void {
    const { sequence: offset, version } = live.change;
    const { isState } = live;
    for (const subscriber of members) {
      if (subscriber.stage !== 'live' || offset <= subscriber.cursor) continue;
      if (isState && version <= subscriber.seenVersion) continue;
      if (subscriber.sink.ready()) {
        subscriber.sink.write(event);
        sent[subscriber.protocol] += 1;
      } else {
        subscriber.stage = 'behind';
        subscriber.cursor = sequence(offset - 1);
        this.counters.stalls[subscriber.protocol] += 1;
      }
    }
  }

  #account(change: Change, sent: Record<Subscriber['protocol'], number>): void {
    for (const protocol of FEED_PROTOCOLS) {
      const deliveries = sent[protocol];
      if (deliveries === 0) continue;
      this.counters.messagesSent[protocol] += deliveries;
      const lag = Math.max(0, this.#clock.now() - change.at) as DurationMs;
      this.#observeLag?.(protocol, lag, deliveries);
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

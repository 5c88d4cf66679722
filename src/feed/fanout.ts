/**
 * The subscriptions of one thread: registers them, leads each through its stages (`SPEC.md`), and
 * divides the thread's time between the live stream and those who are catching up. One turn is
 * bounded by a batch of changes and a few milliseconds, then the event loop serves its sockets.
 * Nobody has a queue.
 */
import { must } from '../base/assert.ts';
import type { CacheFigures } from '../base/bounded-cache.ts';
import type { RecordVersion } from '../base/brands.ts';
import type { Clock } from '../base/clock.ts';
import { formatPosition } from '../table/store-port.ts';
import { CatchUp } from './catch-up.ts';
import type { ChangeSource, Soon } from './change-source.ts';
import { createCounters, type FeedCounters, type ObserveLag } from './counters.ts';
import { type EncodedEvent, encodeReset } from './event.ts';
import { History } from './history.ts';
import { type FeedLimits, feedLimits } from './limits.ts';
import { LiveStream } from './live-stream.ts';
import { LogBlocks } from './log-blocks.ts';
import { resumeOffset } from './position.ts';
import { isEvictable, type ReadRecord, type RecordState, storedState } from './record-state.ts';
import { ShownBudget } from './shown.ts';
import type { FeedProtocol, Sink } from './sink.ts';
import { Snapshots } from './snapshot.ts';
import {
  type Drive,
  Subscriber,
  type Subscription,
  type SubscriptionRequest,
} from './subscriber.ts';
import { TopicIndex } from './topic-index.ts';
import { isWindowRequest, Windows } from './windows.ts';

export interface FanoutOptions {
  readonly source: ChangeSource;
  readonly clock: Clock;
  /** How a record subscription gets its first value; the stored row when absent. */
  readonly readRecord?: ReadRecord | undefined;
  /** Defers work to a later turn of the event loop; `setImmediate` when absent. */
  readonly soon?: Soon | undefined;
  readonly observeLag?: ObserveLag | undefined;
  /** Told of each subscription that begins and ends. */
  readonly onFollow?: ((request: SubscriptionRequest, change: 1 | -1) => void) | undefined;
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
  readonly #index = new TopicIndex();
  readonly #catchUp: CatchUp;
  readonly #snapshots: Snapshots;
  /** Subscribers with something to do and, as far as is known, room for it. */
  readonly #runnable = new Set<Subscriber>();
  readonly #drive: Drive;
  readonly #shownBudget: ShownBudget;
  readonly #live: LiveStream;
  readonly #blocks: LogBlocks;
  readonly #windows: Windows;
  readonly #history: History;
  readonly #onFollow: FanoutOptions['onFollow'];
  #scheduled = false;
  #stop: (() => void) | undefined;

  constructor(options: FanoutOptions) {
    const { source, clock } = options;
    this.#source = source;
    this.#clock = clock;
    this.#limits = { ...feedLimits(), ...options.limits };
    this.#soon = options.soon ?? defaultSoon;
    this.#onFollow = options.onFollow;
    const { shownRecordsMax, shownRecordsOfThreadMax } = this.#limits;
    this.#shownBudget = new ShownBudget(shownRecordsMax, shownRecordsOfThreadMax);
    this.#readRecord =
      options.readRecord ??
      ((table, id, answer) => answer(storedState(source, table, id, isEvictable(table))));
    const limits = this.#limits;
    this.#live = new LiveStream({
      ...{ source, clock, index: this.#index, counters: this.counters },
      ...{ changeBatchMax: limits.changeBatchMax, observeLag: options.observeLag },
      lost: (subscriber) => this.#runnable.add(subscriber),
    });
    const rowShown = (version: RecordVersion) => this.#live.rowShown(version);
    const blocks = new LogBlocks(source, limits.changeBatchMax);
    this.#blocks = blocks;
    this.#history = new History({ source, blocks, limits });
    this.#catchUp = new CatchUp({ source, blocks, limits, counters: this.counters, rowShown });
    this.#snapshots = new Snapshots({ source, limits, now: () => clock.now(), rowShown });
    this.#windows = new Windows({
      ...{ source, clock, limits, counters: this.counters, schedule: () => this.#schedule() },
      closed: ({ request }) => this.#count(request, -1),
    });
    this.#drive = {
      begin: (subscriber) => this.#begin(subscriber),
      drained: (subscriber) => this.#run(subscriber),
      close: (subscriber) => this.#close(subscriber),
    };
  }

  /** Subscribers who are behind at the moment, by protocol: looked for when it is asked. */
  slowSubscribers(): Readonly<Record<FeedProtocol, number>> {
    const slow = { websocket: 0, sse: 0, mqtt: 0, code: 0 };
    for (const { stage, protocol } of this.#index.all())
      if (stage === 'behind') slow[protocol] += 1;
    this.#windows.countSlow(slow);
    return slow;
  }

  /** What is kept in memory for those who join or catch up together. */
  get memory(): readonly CacheFigures[] {
    return [this.#blocks.figures, ...this.#snapshots.figures];
  }

  /** Begins to follow the log. */
  start(): void {
    this.#live.skipToEnd();
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
    this.#count(request, 1);
    if (isWindowRequest(request)) return this.#windows.subscribe(request, sink);
    const cursor = this.#source.lastSequence();
    // Without subscribers the log is not read: the head stands where the last one left.
    if (this.#index.size === 0) this.#live.skipToEnd();
    const subscriber = new Subscriber(request, sink, cursor, {
      drive: this.#drive,
      shownBudget: this.#shownBudget,
    });
    const { from } = request;
    if (from !== undefined) subscriber.recovered = resumeOffset(from, this.#source) !== undefined;
    this.#index.add(subscriber);
    return subscriber;
  }

  #close(subscriber: Subscriber): void {
    if (subscriber.stage === 'closed') return;
    subscriber.stage = 'closed';
    subscriber.pending = undefined;
    subscriber.snapshot = undefined;
    subscriber.shown?.clear();
    this.#index.remove(subscriber);
    this.#runnable.delete(subscriber);
    this.#count(subscriber.request, -1);
  }

  #count(request: SubscriptionRequest, change: 1 | -1): void {
    this.counters.subscriptions[request.protocol] += change;
    this.#onFollow?.(request, change);
  }

  #begin(subscriber: Subscriber): void {
    if (subscriber.stage !== 'registered') return;
    const { from, history } = subscriber.request;
    if (from !== undefined) {
      const offset = resumeOffset(from, this.#source);
      subscriber.recovered = offset !== undefined;
      if (offset === undefined) {
        this.#reset(subscriber);
      } else {
        subscriber.cursor = offset;
        this.#follow(subscriber);
      }
    } else if (history !== undefined) {
      subscriber.stage = 'history';
      this.#history.begin(subscriber);
      this.#run(subscriber);
    } else {
      this.#goOn(subscriber);
    }
  }

  #goOn(subscriber: Subscriber): void {
    subscriber.history = undefined;
    if (subscriber.request.omitCurrent === true) this.#follow(subscriber);
    else this.#sendPresent(subscriber);
  }

  /** Goes on from the cursor: live when the head has not passed it, otherwise by catching up. */
  #follow(subscriber: Subscriber): void {
    subscriber.snapshot = undefined;
    if (subscriber.cursor >= this.#live.head) {
      this.#goLive(subscriber);
    } else {
      subscriber.stage = 'behind';
      this.#run(subscriber);
    }
  }

  #goLive(subscriber: Subscriber): void {
    subscriber.stage = 'live';
    subscriber.delta?.live(this.#source.lastSequence());
    subscriber.restarts = 0;
  }

  /** Sends what there is at the cursor, then follows. */
  #sendPresent(subscriber: Subscriber): void {
    subscriber.shown?.restart();
    subscriber.delta?.restart();
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
      this.#live.rowShown(version);
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
    subscriber.mustReset = false;
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

  #run(subscriber: Subscriber): void {
    this.#runnable.add(subscriber);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#soon(() => {
      this.#scheduled = false;
      const live = this.#live.pump();
      const windows = this.#windows.pump();
      const behind = this.#advanceRunnable();
      if (live || windows || behind) this.#schedule();
    });
  }

  /**
   * One step for each subscriber that can go on, within the time of a turn; true: there is more.
   */
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
    if (subscriber.stage === 'history') {
      const progress = must(subscriber.history, 'the progress of a history');
      const result = this.#history.advance(subscriber, progress);
      if (result === 'more') this.#runnable.add(subscriber);
      if (result === 'done') this.#goOn(subscriber);
    } else if (subscriber.stage === 'snapshot') {
      const progress = must(subscriber.snapshot, 'the progress of a snapshot');
      const result = this.#snapshots.advance(subscriber, progress);
      if (result === 'more') this.#runnable.add(subscriber);
      if (result === 'done') this.#follow(subscriber);
    } else if (subscriber.mustReset) {
      this.#reset(subscriber);
    } else if (subscriber.stage === 'behind') {
      const result = this.#catchUp.advance(subscriber);
      if (result === 'more') this.#runnable.add(subscriber);
      if (result === 'caughtUp') this.#goLive(subscriber);
      if (result === 'lost') this.#reset(subscriber);
    }
  }
}

/**
 * Leads the change log to MQTT's consumers (sessions and shared groups). Each is a cursor: a live
 * one is told of changes as they are read; one that had no room stays where it is and reads the log
 * again once it has, records conflated to what they are now. Work is done in turns, so that sockets
 * are served in between.
 */

import type { Position, RecordVersion, Sequence } from '../../base/brands.ts';
import { sequence } from '../../base/brands.ts';
import type { Clock } from '../../base/clock.ts';
import { SparseMap } from '../../base/sparse-map.ts';
import { compileTopicFilter } from '../../base/topic-filter.ts';
import { LIMITS } from '../../config/limits.ts';
import { BatchSize } from '../../feed/batch-size.ts';
import type { ChangeSource, Soon } from '../../feed/change-source.ts';
import { LogBlocks } from '../../feed/log-blocks.ts';
import { type Change, formatPosition } from '../../table/store-port.ts';
import type { Message } from './message.ts';
import { changeMessage } from './read-message.ts';
import { type Subscription, SubscriptionTree } from './subscription-tree.ts';
import type { Topics } from './topics.ts';

/** Who is told of changes. */
export abstract class Consumer {
  /** While not live: all changes up to here have been looked at. */
  cursor: Sequence;
  isLive = false;
  /** Has no room: is not tried again before `Dispatch.wake`. */
  isWaiting = false;
  /** Versions shown ahead of their changes, by topic; empty while live. */
  readonly shown = new SparseMap<string, RecordVersion>();
  readonly #filters = new Map<string, Filter>();

  constructor(cursor: Sequence) {
    this.cursor = cursor;
  }

  /** False: no room; the same message comes again. */
  abstract take(message: Message, matched: readonly Subscription[]): boolean;
  /** The log no longer reaches back to the cursor. */
  abstract lost(): void;

  hold(subscription: Subscription): void {
    const matches = compileTopicFilter(subscription.filter);
    this.#filters.set(subscription.written, { subscription, matches });
  }

  release(written: string): void {
    this.#filters.delete(written);
  }

  *held(): Generator<Subscription> {
    for (const { subscription } of this.#filters.values()) yield subscription;
  }

  matching(topic: string): readonly Subscription[] {
    const found: Subscription[] = [];
    for (const { subscription, matches } of this.#filters.values()) {
      if (matches(topic)) found.push(subscription);
    }
    return found;
  }
}

interface Filter {
  readonly subscription: Subscription;
  readonly matches: (topic: string) => boolean;
}

export interface DispatchParts {
  readonly source: ChangeSource;
  readonly topics: Topics;
  readonly clock: Clock;
  readonly soon?: Soon | undefined;
}

const SHOWN_MAX = 10_000;

export class Dispatch {
  readonly #parts: DispatchParts;
  readonly #soon: Soon;
  readonly #tree = new SubscriptionTree<Consumer>();
  readonly #consumers = new Set<Consumer>();
  readonly #runnable = new Set<Consumer>();
  readonly #blocks: LogBlocks;
  readonly #batch: BatchSize;
  /** All changes up to here were told to the live ones. */
  #head: Sequence;
  /** Live ones that were shown what is newer than the head. */
  readonly #ahead = new Set<Consumer>();
  #scheduled = false;
  #stop: (() => void) | undefined;

  constructor(parts: DispatchParts) {
    this.#parts = parts;
    this.#soon = parts.soon ?? ((fn) => void setImmediate(fn));
    this.#blocks = new LogBlocks(parts.source, LIMITS.changeBatchMax);
    this.#batch = new BatchSize(LIMITS.changeBatchMax);
    this.#head = parts.source.lastSequence();
  }

  get subscriptionCount(): number {
    return this.#tree.size;
  }

  start(): void {
    this.#head = this.#parts.source.lastSequence();
    this.#stop = this.#parts.source.onCommit(() => this.#schedule());
  }

  stop(): void {
    this.#stop?.();
    this.#runnable.clear();
  }

  /** Of a change, as clients are told it. */
  positionOfChange(at: Sequence): Position {
    return formatPosition(this.#parts.source.epoch, at);
  }

  /** Where a new subscription begins: nothing committed after this is missed. */
  now(): Sequence {
    return this.#parts.source.lastSequence();
  }

  /** Whether the log no longer holds what a consumer is still to hear. */
  hasLost(consumer: Consumer): boolean {
    return !consumer.isLive && consumer.cursor + 1 < this.#parts.source.firstSequence();
  }

  /** Up to where a consumer has been told of everything. */
  positionOf(consumer: Consumer): Sequence {
    return consumer.isLive ? this.#head : consumer.cursor;
  }

  /** Begins to serve a consumer, from its cursor. */
  join(consumer: Consumer): void {
    if (this.#consumers.size === 0) this.#head = this.now();
    this.#consumers.add(consumer);
    for (const subscription of consumer.held()) this.#tree.add(consumer, subscription);
    consumer.isWaiting = false;
    this.#follow(consumer);
  }

  /** Ends it; its cursor stays where it would go on. */
  leave(consumer: Consumer): void {
    if (!this.#consumers.delete(consumer)) return;
    if (consumer.isLive) consumer.cursor = this.#head;
    consumer.isLive = false;
    this.#runnable.delete(consumer);
    for (const { filter } of consumer.held()) this.#tree.remove(consumer, filter);
  }

  subscribe(consumer: Consumer, subscription: Subscription): void {
    consumer.hold(subscription);
    if (this.#consumers.has(consumer)) this.#tree.add(consumer, subscription);
  }

  unsubscribe(consumer: Consumer, subscription: Subscription): void {
    consumer.release(subscription.written);
    this.#tree.remove(consumer, subscription.filter);
  }

  /** A consumer that was turned away has room again. */
  wake(consumer: Consumer): void {
    if (!consumer.isWaiting || !this.#consumers.has(consumer)) return;
    consumer.isWaiting = false;
    this.#runnable.add(consumer);
    this.#schedule();
  }

  /** A retained message was sent: changes up to it that are still to be read are not told again. */
  wasShown(consumer: Consumer, { parts }: Message): void {
    const isAhead = !consumer.isLive || this.#head < this.now();
    if (isAhead && consumer.shown.size < SHOWN_MAX) consumer.shown.set(parts.topic, parts.version);
    if (consumer.isLive && isAhead) this.#ahead.add(consumer);
  }

  #follow(consumer: Consumer): void {
    if (consumer.cursor >= this.#head) {
      consumer.isLive = true;
      consumer.shown.clear();
    } else {
      this.#runnable.add(consumer);
      this.#schedule();
    }
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

  /** One batch of changes to the live ones; true: there is more. */
  #pump(): boolean {
    const { source, clock } = this.#parts;
    if (this.#consumers.size === 0) {
      this.#head = source.lastSequence();
      return false;
    }
    const began = clock.monotonic();
    const { changes, truncated, next } = source.changesAfter(this.#head, this.#batch.size);
    if (truncated) this.#loseLive();
    for (const change of changes) {
      this.#tell(change);
      this.#head = change.sequence;
    }
    this.#batch.took(clock.monotonic() - began, changes.length);
    if (next > this.#head) this.#head = next;
    if (this.#head < source.lastSequence()) return true;
    for (const consumer of this.#ahead) if (consumer.isLive) consumer.shown.clear();
    this.#ahead.clear();
    return false;
  }

  #tell(change: Change): void {
    const topic = this.#topicOf(change);
    if (topic === undefined || !this.#tree.hasMatch(topic)) return;
    const { source, topics } = this.#parts;
    const message = changeMessage(change, topic, source, topics);
    if (message === undefined) return;
    this.#tree.match(topic, (consumer, matched) => {
      if (!consumer.isLive || change.sequence <= consumer.cursor) return;
      if (isShown(consumer, message)) return;
      if (consumer.take(message, matched)) noteShown(consumer, message, change);
      else this.#fellBehind(consumer, change.sequence);
    });
  }

  #fellBehind(consumer: Consumer, at: Sequence): void {
    consumer.isLive = false;
    consumer.isWaiting = true;
    consumer.cursor = sequence(at - 1);
  }

  #topicOf({ table, id, op }: Change): string | undefined {
    return id === undefined || op === 'invalidate'
      ? undefined
      : this.#parts.topics.topicOf(table, id);
  }

  #loseLive(): void {
    for (const consumer of [...this.#consumers]) if (consumer.isLive) consumer.lost();
  }

  #advanceRunnable(): boolean {
    const { clock } = this.#parts;
    const until = clock.monotonic() + LIMITS.feedTurnMsMax;
    for (const consumer of this.#runnable) {
      this.#runnable.delete(consumer);
      this.#advance(consumer);
      if (clock.monotonic() >= until) break;
    }
    return this.#runnable.size > 0;
  }

  /** One block of the log to a consumer that is behind. */
  #advance(consumer: Consumer): void {
    if (this.hasLost(consumer)) {
      consumer.lost();
      return;
    }
    let full = false;
    const reached = this.#blocks.visit(consumer.cursor, (change) => {
      if (change.sequence > this.#head) return false;
      full = !this.#offer(consumer, change);
      return !full;
    });
    consumer.cursor = sequence(Math.min(reached, this.#head));
    if (full) consumer.isWaiting = true;
    else this.#follow(consumer);
  }

  #offer(consumer: Consumer, change: Change): boolean {
    const topic = this.#topicOf(change);
    const matched = topic === undefined ? [] : consumer.matching(topic);
    if (topic === undefined || matched.length === 0) return true;
    const { source, topics } = this.#parts;
    const message = changeMessage(change, topic, source, topics);
    if (message === undefined || isShown(consumer, message)) return true;
    if (!consumer.take(message, matched)) return false;
    noteShown(consumer, message, change);
    return true;
  }
}

const isShown = ({ shown }: Consumer, { parts }: Message): boolean =>
  parts.isState && shown.size > 0 && parts.version <= (shown.get(parts.topic) ?? 0);

/** A record that was read is newer than the change which it stands for: later ones are known. */
function noteShown(consumer: Consumer, { parts }: Message, change: Change): void {
  if (!parts.isState || parts.version <= change.version) return;
  if (consumer.shown.size < SHOWN_MAX) consumer.shown.set(parts.topic, parts.version);
}

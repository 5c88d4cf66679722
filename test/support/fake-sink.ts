/**
 * A sink which keeps what it was told, may be stalled, and holds a client's picture of the table:
 * what a screen would show after applying every event. It throws when a version goes back.
 * Values under test are objects with a growing number `v`.
 */
import type { ErrorCode } from '../../src/base/errors.ts';
import type { EncodedEvent } from '../../src/feed/event.ts';
import type { CrowdSink, Sink } from '../../src/feed/sink.ts';
import type { Subscription } from '../../src/feed/subscriber.ts';
import { applyMergePatch } from './merge-patch.ts';

export interface FeedEvent {
  readonly type: string;
  readonly table: string;
  readonly id: string | number | null;
  readonly value?: unknown;
  readonly ids?: readonly (string | number)[];
  readonly values?: readonly unknown[];
  readonly position: string;
  readonly at: number;
  readonly retained?: boolean;
  readonly more?: boolean;
}

const versionOf = (value: unknown): number => (value as { v?: number } | undefined)?.v ?? 0;

/** An engine that sends one message to many. */
export class FakeHost {
  readonly topics = new Map<string, Set<FakeSink>>();
  /** Messages sent, and how many each went to. */
  readonly sent: number[] = [];
  unaskedBytesMax = 1_000;
}

class FakeCrowdSink implements CrowdSink {
  readonly #sink: FakeSink;
  readonly host: FakeHost;
  readonly shape = '';

  constructor(sink: FakeSink, host: FakeHost) {
    this.#sink = sink;
    this.host = host;
  }

  get unaskedBytesMax(): number {
    return this.host.unaskedBytesMax;
  }

  ready = (): boolean => this.#sink.ready();
  write = (event: EncodedEvent): void => this.#sink.write(event);
  close = (code: ErrorCode): void => this.#sink.close(code);
  encode = (event: EncodedEvent): Uint8Array => event.bytes();
  hasRoom = (): boolean => this.#sink.room > 0;

  enter(topic: string): boolean {
    if (this.#sink.room <= 0) return false;
    const members = this.host.topics.get(topic) ?? new Set();
    this.host.topics.set(topic, members.add(this.#sink));
    return true;
  }

  leave(topic: string): void {
    const members = this.host.topics.get(topic);
    members?.delete(this.#sink);
    if (members?.size === 0) this.host.topics.delete(topic);
  }

  tell(topic: string, bytes: Uint8Array): void {
    const event = JSON.parse(Buffer.from(bytes).toString()) as FeedEvent;
    const members = this.host.topics.get(topic) ?? new Set();
    this.host.sent.push(members.size);
    for (const sink of members) sink.take(event, true);
  }
}

export class FakeSink implements Sink {
  readonly events: FeedEvent[] = [];
  readonly picture = new Map<string | number, unknown>();
  readonly messages: unknown[] = [];
  /** Where a client would resume from. */
  resumeFrom: string | undefined;
  closedWith: ErrorCode | undefined;
  subscription: Subscription | undefined;
  /** Events that it still takes. */
  room = Number.POSITIVE_INFINITY;
  #refused = false;
  readonly #newest = new Map<string | number, number>();
  readonly crowded: CrowdSink | undefined;

  /** With a host, it can be handed events together with the others of it. */
  constructor(host?: FakeHost) {
    this.crowded = host && new FakeCrowdSink(this, host);
  }

  ready(): boolean {
    if (this.room > 0) return true;
    this.#refused = true;
    return false;
  }

  write(encoded: EncodedEvent): void {
    this.take(JSON.parse(encoded.json) as FeedEvent, encoded.resumable);
  }

  take(event: FeedEvent, isResumable: boolean): void {
    this.room -= 1;
    this.events.push(event);
    if (isResumable) this.resumeFrom = event.position;
    this.#apply(event);
  }

  close(code: ErrorCode): void {
    this.closedWith = code;
  }

  /** Makes room, and says so when somebody was turned away. */
  drain(room = Number.POSITIVE_INFINITY): void {
    this.room = room;
    if (!this.#refused || room <= 0) return;
    this.#refused = false;
    this.subscription?.drained();
  }

  get types(): readonly string[] {
    return this.events.map((event) => event.type);
  }

  get lastPosition(): string | undefined {
    return this.events.at(-1)?.position;
  }

  #apply(event: FeedEvent): void {
    const { id, type } = event;
    if (type === 'reset') this.picture.clear();
    if (type === 'message') this.messages.push(event.value);
    for (const [at, value] of (event.values ?? []).entries()) {
      const rowId = event.ids?.[at];
      if (rowId !== undefined) this.#show(rowId, value);
    }
    if (id === null || id === undefined) return;
    if (type === 'put' || type === 'enter') this.#show(id, event.value);
    if (type === 'patch' && this.picture.has(id)) {
      this.#show(id, applyMergePatch(this.picture.get(id), event.value));
    }
    if (type === 'delete' || type === 'leave' || type === 'invalidate') this.picture.delete(id);
  }

  #show(id: string | number, value: unknown): void {
    const version = versionOf(value);
    const newest = this.#newest.get(id) ?? 0;
    if (version < newest) throw new Error(`${id} went back from ${newest} to ${version}`);
    this.#newest.set(id, version);
    this.picture.set(id, value);
  }
}

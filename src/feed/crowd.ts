/**
 * Those who follow the same thing. Most of them want the same bytes and have room: they stand in a
 * crowd, which is handed an event by one call of the engine. The others are handed it one by one.
 *
 * A member is live, sees everything its topic brings as it is, and was handed by itself a change
 * newer than whatever else it was shown: so all that comes later is news to it, and no cursors need
 * be compared. Every so many bytes all are asked whether they have room; who has none stands by
 * itself again, falls behind at the next change like anybody, and comes back once it is live and
 * has room.
 */
import { LIMITS } from '../config/limits.ts';
import type { EncodedEvent } from './event.ts';
import type { CrowdSink, FeedProtocol } from './sink.ts';
import type { Subscriber } from './subscriber.ts';

let topics = 0;
const NONE: ReadonlySet<Crowd> = new Set();

export class Crowd {
  readonly protocol: FeedProtocol;
  readonly #members = new Map<Subscriber, CrowdSink>();
  readonly #all: Members;
  readonly #host: object;
  readonly #shape: string;
  readonly #unaskedBytesMax: number;
  readonly #topic: string;
  #unasked = 0;

  constructor(all: Members, protocol: FeedProtocol, first: CrowdSink) {
    this.#all = all;
    this.protocol = protocol;
    this.#host = first.host;
    this.#shape = first.shape;
    this.#unaskedBytesMax = first.unaskedBytesMax;
    topics += 1;
    this.#topic = `crowd-${topics}`;
  }

  get size(): number {
    return this.#members.size;
  }

  members(): Iterable<Subscriber> {
    return this.#members.keys();
  }

  takes({ host, shape }: CrowdSink): boolean {
    return host === this.#host && shape === this.#shape;
  }

  enter(subscriber: Subscriber, sink: CrowdSink): boolean {
    if (!sink.enter(this.#topic)) return false;
    this.#members.set(subscriber, sink);
    subscriber.crowd = this;
    return true;
  }

  /** It is told by itself from now on. */
  leave(subscriber: Subscriber): void {
    this.#drop(subscriber);
    this.#all.alone.add(subscriber);
  }

  /** It is told nothing from now on. */
  forget(subscriber: Subscriber): void {
    this.#drop(subscriber);
  }

  /** Hands it to all who are left after those have gone who have no room; says to how many. */
  tell(event: EncodedEvent): number {
    const bytes = this.#any()?.encode(event);
    if (bytes === undefined) return 0;
    this.#unasked += bytes.byteLength;
    if (this.#unasked > this.#unaskedBytesMax) {
      this.#ask(bytes.byteLength > this.#unaskedBytesMax);
      this.#unasked = bytes.byteLength;
    }
    this.#any()?.tell(this.#topic, bytes);
    return this.#members.size;
  }

  /** Whichever member encodes and sends, it is for all who have entered. */
  #any(): CrowdSink | undefined {
    return this.#members.values().next().value;
  }

  #ask(isTooMuch: boolean): void {
    for (const [subscriber, sink] of this.#members) {
      if (isTooMuch || !sink.hasRoom()) this.leave(subscriber);
    }
  }

  #drop(subscriber: Subscriber): void {
    const sink = this.#members.get(subscriber);
    if (sink === undefined) return;
    this.#members.delete(subscriber);
    subscriber.crowd = undefined;
    if (this.#members.size === 0) this.#all.dissolve(this);
    sink.leave(this.#topic);
  }
}

/** All who follow one record, or one collection by one filter. */
export class Members {
  /** Those who are handed each event by themselves. */
  readonly alone = new Set<Subscriber>();
  #crowds: Set<Crowd> | undefined;

  get crowds(): ReadonlySet<Crowd> {
    return this.#crowds ?? NONE;
  }

  get size(): number {
    let size = this.alone.size;
    for (const crowd of this.crowds) size += crowd.size;
    return size;
  }

  *[Symbol.iterator](): Iterator<Subscriber> {
    yield* this.alone;
    for (const crowd of this.crowds) yield* crowd.members();
  }

  add(subscriber: Subscriber): void {
    this.alone.add(subscriber);
  }

  /** False: it was none of them. */
  delete(subscriber: Subscriber): boolean {
    if (subscriber.crowd === undefined) return this.alone.delete(subscriber);
    subscriber.crowd.forget(subscriber);
    return true;
  }

  /** Whether there are enough of them for one call to cost less than their own. */
  get mayCrowd(): boolean {
    return this.alone.size >= LIMITS.crowdMembersMin || this.crowds.size > 0;
  }

  /** For one that was handed by itself a change newer than whatever else it was shown, as it is. */
  crowd(subscriber: Subscriber): void {
    const sink = subscriber.sink.crowded;
    if (sink === undefined) return;
    const crowd = this.#crowdOf(sink) ?? new Crowd(this, subscriber.protocol, sink);
    const isNew = crowd.size === 0;
    if (isNew && this.crowds.size >= LIMITS.crowdsOfTopicMax) return;
    if (!crowd.enter(subscriber, sink)) return;
    this.alone.delete(subscriber);
    if (isNew) this.#crowds = (this.#crowds ?? new Set()).add(crowd);
  }

  /** The last of it has left. */
  dissolve(crowd: Crowd): void {
    this.#crowds?.delete(crowd);
  }

  #crowdOf(sink: CrowdSink): Crowd | undefined {
    for (const crowd of this.crowds) if (crowd.takes(sink)) return crowd;
    return undefined;
  }
}

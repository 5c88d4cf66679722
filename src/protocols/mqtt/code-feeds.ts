/**
 * The streams of application code that clients follow by SUBSCRIBE. One belongs to a subscription
 * while its client is connected: there is no log behind it, so it ends with the connection and is
 * begun anew, and allowed anew, when the client of a kept session is back. It is read at the pace
 * of the client: without room, or with a full window, the code is not asked for more.
 */
import type { Clock } from '../../base/clock.ts';
import { asNodeError } from '../../base/errors.ts';
import { compileTopicFilter } from '../../base/topic-filter.ts';
import { MessageStream } from '../../resource/message-stream.ts';
import { codeMessage, isTopicName, yieldedAs } from './code-message.ts';
import type { CodeTopic } from './code-topic.ts';
import { REASON, REASONS } from './reasons.ts';
import type { Session } from './session.ts';
import type { Subscription } from './subscription-tree.ts';

/** Others have a turn after so many messages that code has at hand. */
const MESSAGES_PER_TURN = 64;
const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

export class CodeFeeds {
  readonly #clock: Clock;
  readonly #feeds = new Map<Session, Map<string, CodeFeed>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    let size = 0;
    for (const feeds of this.#feeds.values()) size += feeds.size;
    return size;
  }

  /** The client was told that it follows: what the code yields may go to it. */
  begin(session: Session, subscription: Subscription, topic: CodeTopic): void {
    this.end(session, subscription.written);
    if (!session.isConnected) return;
    const feed = new CodeFeed({ session, subscription, topic, clock: this.#clock });
    const feeds = this.#feeds.get(session) ?? new Map<string, CodeFeed>();
    this.#feeds.set(session, feeds.set(subscription.written, feed));
    void feed.run();
  }

  /** The client of a kept session is back: it follows again what it still may. */
  resume(session: Session): void {
    for (const subscription of session.subscriptions.values()) {
      const topic = session.guest?.codeAt(subscription.filter);
      if (topic?.follows !== true || subscription.filter !== subscription.written) continue;
      topic.admit().then(
        () => this.#again(session, subscription, topic),
        () => session.guest?.denied(`subscribe to ${subscription.written}`),
      );
    }
  }

  #again(session: Session, subscription: Subscription, topic: CodeTopic): void {
    const isHeld = session.subscriptions.get(subscription.written) === subscription;
    const isServed = this.#feeds.get(session)?.has(subscription.written) === true;
    if (isHeld && !isServed) this.begin(session, subscription, topic);
  }

  end(session: Session, written: string): void {
    const feeds = this.#feeds.get(session);
    feeds?.get(written)?.stop();
    feeds?.delete(written);
    if (feeds?.size === 0) this.#feeds.delete(session);
  }

  /** The client has gone. */
  endAll(session: Session): void {
    for (const feed of this.#feeds.get(session)?.values() ?? []) feed.stop();
    this.#feeds.delete(session);
  }

  /** There is room again for what waits. */
  wake(session: Session): void {
    for (const feed of this.#feeds.get(session)?.values() ?? []) feed.hasRoom();
  }

  /** Says something to the stream which the session follows at that topic; false: there is none. */
  hear(session: Session, topic: string, message: unknown): boolean {
    return this.#feeds.get(session)?.get(topic)?.hear(message) === true;
  }
}

interface FeedParts {
  readonly session: Session;
  readonly subscription: Subscription;
  readonly topic: CodeTopic;
  readonly clock: Clock;
}

class CodeFeed {
  readonly #parts: FeedParts;
  readonly #incoming = new MessageStream();
  readonly #aborting = new AbortController();
  readonly #matches: (topic: string) => boolean;
  #items: AsyncIterableIterator<unknown> | undefined;
  #room: (() => void) | undefined;

  constructor(parts: FeedParts) {
    this.#parts = parts;
    this.#matches = compileTopicFilter(parts.subscription.filter);
  }

  get #isOver(): boolean {
    return this.#aborting.signal.aborted;
  }

  async run(): Promise<void> {
    const { session, topic } = this.#parts;
    try {
      await this.#pump();
    } catch (thrown) {
      // What it threw on its way out concerns nobody any more.
      if (this.#isOver) return;
      const { code, message } = asNodeError(topic.failure(thrown));
      this.stop();
      // There is no other way to tell a subscriber that nothing more comes.
      session.end(REASONS[code], message);
    }
  }

  stop(): void {
    if (this.#isOver) return;
    this.#aborting.abort();
    this.#incoming.close();
    this.hasRoom();
    void this.#items?.return?.();
  }

  hasRoom(): void {
    this.#room?.();
    this.#room = undefined;
  }

  hear(message: unknown): boolean {
    const isTaken = this.#incoming.send(message);
    if (this.#incoming.overrun) {
      this.#parts.session.end(REASON.quotaExceeded, 'the application does not read what you say');
    }
    return isTaken;
  }

  async #pump(): Promise<void> {
    const { signal } = this.#aborting;
    const items = await this.#parts.topic.open({ incoming: this.#incoming, signal });
    this.#items = items;
    for (let sent = 1; !this.#isOver; sent += 1) {
      const { value, done } = await items.next();
      if (done === true) return;
      await this.#send(value);
      if (sent % MESSAGES_PER_TURN === 0) await nextTurn();
    }
    await items.return?.();
  }

  async #send(item: unknown): Promise<void> {
    const { session, subscription, topic, clock } = this.#parts;
    const yielded = yieldedAs(item, subscription, topic.path);
    if (yielded === undefined || !isTopicName(yielded.topic)) return;
    if (!this.#matches(yielded.topic)) return;
    const format = session.wire?.wishes.format;
    const message = codeMessage(yielded, subscription, { format, now: clock.now() });
    while (!this.#isOver && !session.deliver(message, [subscription], yielded.isRetained)) {
      await new Promise<void>((resolve) => {
        this.#room = resolve;
      });
    }
  }
}

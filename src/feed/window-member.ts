/**
 * Somebody who follows a query with `sort()` and `limit()`: begins with the rows shown, in their
 * order, and is then led from the list it was last sent to the present one. One without room holds
 * on to that list; so nothing is queued, and what lies between is left out.
 *
 *   registered ─► snapshot ─► live ⇄ behind        any ─► closed
 */
import type { ErrorCode } from '../base/errors.ts';
import type { EncodedEvent } from './event.ts';
import type { LiveWindow } from './live-window.ts';
import type { Sink } from './sink.ts';
import type { Stage, Subscription, SubscriptionRequest } from './subscriber.ts';
import type { WindowEvents } from './window-events.ts';
import { afterSteps, type WindowList } from './window-steps.ts';

export interface MemberDrive {
  begin(member: WindowMember): void;
  drained(member: WindowMember): void;
  close(member: WindowMember): void;
}

export class WindowMember implements Subscription {
  readonly request: SubscriptionRequest;
  readonly window: LiveWindow;
  readonly sink: Sink;
  stage: Stage = 'registered';
  readonly #drive: MemberDrive;
  /** What it was sent. */
  #shown: WindowList | undefined;
  /** A snapshot on its way. */
  #sending: { readonly list: WindowList; next: number } | undefined;

  constructor(request: SubscriptionRequest, window: LiveWindow, sink: Sink, drive: MemberDrive) {
    this.request = request;
    this.window = window;
    this.sink = sink;
    this.#drive = drive;
  }

  /** What it was sent before is not known here any more. */
  get recovered(): boolean | undefined {
    return this.request.from === undefined ? undefined : false;
  }

  begin(): void {
    this.#drive.begin(this);
  }

  drained(): void {
    if (this.stage === 'behind' || this.stage === 'snapshot') this.#drive.drained(this);
  }

  close(): void {
    this.#drive.close(this);
  }

  end(code: ErrorCode): void {
    this.close();
    this.sink.close(code);
  }

  /** Sends what there is room for; returns how many events that were. */
  serve(events: WindowEvents): number {
    const { visible } = this.window;
    if (visible === undefined || this.stage === 'registered') return 0;
    let sent = this.#shown === undefined ? this.#sendSnapshot(visible, events) : 0;
    if (this.#shown !== undefined) sent += this.#sendSteps(this.#shown, visible, events);
    return sent;
  }

  #sendSnapshot(visible: WindowList, events: WindowEvents): number {
    this.#sending ??= { list: visible, next: 0 };
    const sending = this.#sending;
    const chunks = events.snapshot(sending.list);
    const first = sending.next;
    while (sending.next < chunks.length && this.sink.ready()) {
      this.sink.write(chunks[sending.next] as EncodedEvent);
      sending.next += 1;
    }
    if (sending.next === chunks.length) {
      this.#shown = sending.list;
      this.#sending = undefined;
    }
    return sending.next - first;
  }

  #sendSteps(shown: WindowList, visible: WindowList, events: WindowEvents): number {
    this.stage = 'live';
    if (shown === visible) return 0;
    const isDelta = this.request.delta === true;
    const told = events.steps(shown, visible);
    let sent = 0;
    for (const step of told) {
      if (!this.sink.ready()) {
        this.stage = 'behind';
        const done = told.slice(0, sent).map(({ step: each }) => each);
        if (sent > 0) this.#shown = afterSteps(shown, done);
        return sent;
      }
      this.sink.write(step.event(isDelta));
      sent += 1;
    }
    this.#shown = visible;
    return sent;
  }
}

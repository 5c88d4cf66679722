/**
 * Parser of `text/event-stream`, fed with bytes as they come. [HTML Living Standard §9.2.6]
 * Public, for the kinds. Bounded: a line or an event above its limit is an error, so that a stream
 * which never ends its line cannot fill the memory.
 */
import { LIMITS } from '../config/limits.ts';
import { originError } from './failures.ts';

export interface StreamEvent {
  /** `message` when the stream names none. */
  readonly name: string;
  readonly content: string;
  /** The last id seen so far, by this event or an earlier one; '' when there was none. */
  readonly lastEventId: string;
}

export interface EventStreamHooks {
  readonly event: (event: StreamEvent) => void;
  /** The server's wish for the reconnection time. */
  readonly retry?: ((ms: number) => void) | undefined;
}

export class EventStreamParser {
  readonly #hooks: EventStreamHooks;
  /** Drops one leading byte order mark, and decodes characters that are split between chunks. */
  readonly #decoder = new TextDecoder('utf-8');
  #rest = '';
  #skipLineFeed = false;
  #name = '';
  #content = '';
  #hasContent = false;
  #lastEventId = '';

  /** `lastEventId`: the one the stream was resumed from. */
  constructor(hooks: EventStreamHooks, lastEventId = '') {
    this.#hooks = hooks;
    this.#lastEventId = lastEventId;
  }

  /** Takes the next bytes; throws `ORIGIN_BODY_TOO_LARGE` beyond a limit. */
  push(chunk: Uint8Array): void {
    let text = this.#decoder.decode(chunk, { stream: true });
    if (this.#skipLineFeed && text !== '') {
      if (text.startsWith('\n')) text = text.slice(1);
      this.#skipLineFeed = false;
    }
    // What is left over from before holds no line end, so the search begins behind it.
    const ends = /\r\n|\r|\n/g;
    ends.lastIndex = this.#rest.length;
    const all = this.#rest + text;
    let start = 0;
    for (let end = ends.exec(all); end !== null; end = ends.exec(all)) {
      if (end.index === start) this.#dispatch();
      else this.#line(all.slice(start, end.index));
      start = ends.lastIndex;
    }
    // A line may end with CR now and its LF come later: the LF is no line of its own.
    this.#skipLineFeed = start === all.length && all.endsWith('\r');
    this.#rest = all.slice(start);
    limit(this.#rest.length, LIMITS.feedLineBytesMax, 'a line');
  }

  #line(line: string): void {
    const colon = line.indexOf(':');
    if (colon === 0) return; // A comment.
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    this.#field(field, value);
  }

  #field(field: string, value: string): void {
    if (field === 'event') this.#name = value;
    else if (field === 'data') {
      this.#content = this.#hasContent ? `${this.#content}\n${value}` : value;
      this.#hasContent = true;
      limit(this.#content.length, LIMITS.feedEventBytesMax, 'an event');
    } else if (field === 'id') {
      if (!value.includes('\0')) this.#lastEventId = value;
    } else if (field === 'retry' && /^\d{1,9}$/.test(value)) {
      this.#hooks.retry?.(Number(value));
    }
  }

  #dispatch(): void {
    const { event } = this.#hooks;
    const name = this.#name === '' ? 'message' : this.#name;
    const content = this.#content;
    const complete = this.#hasContent;
    this.#name = '';
    this.#content = '';
    this.#hasContent = false;
    if (complete) event({ name, content, lastEventId: this.#lastEventId });
  }
}

function limit(size: number, max: number, what: string): void {
  if (size <= max) return;
  const message = `the event stream sent ${what} above ${max} bytes`;
  throw originError('ORIGIN_BODY_TOO_LARGE', message, { details: { limit: max } });
}

/**
 * The socket below everything: opened again when it ends, with growing, jittered waits; at once
 * when the browser is online again or its page is looked at; never when the server says that coming
 * back does not help. A silent one is asked for a sign of life.
 *
 *   connecting ─► open ─► waiting ─► connecting …        any ─► closed
 */

/** As browsers, Node 22 and the package `ws` have it. */
export interface SocketLike {
  readonly readyState: number;
  send(text: string): void;
  close(code?: number, reason?: string): void;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
}
export type SocketType = new (url: string) => SocketLike;

export type Status = 'connecting' | 'open' | 'waiting' | 'closed';

export interface LinkEvents {
  /** The socket is open: what is to be said first. Rejects when it cannot go on. */
  opened(): Promise<void>;
  heard(message: Record<string, unknown>): void;
  changed(status: Status): void;
}

const WAIT_MS_MIN = 500;
const WAIT_MS_MAX = 30_000;
const SILENCE_MS = 25_000;
const ANSWER_MS = 10_000;
/** From here on the server says that coming back does not help [close codes of the node]. */
const FINAL_CODE = 4_500;
const AUTHENTICATION = 4_501;

type Listening = Partial<Record<'addEventListener' | 'removeEventListener', Listen>>;
type Listen = (type: string, fn: () => void) => void;
const page = globalThis as Listening & { readonly document?: Listening & { hidden: boolean } };

export class Link {
  status: Status = 'connecting';
  readonly #url: string;
  readonly #Socket: SocketType;
  readonly #events: LinkEvents;
  /** Whether a newer token may be had when the old one is worth nothing any more. */
  readonly #renews: boolean;
  readonly #wake = () => {
    if (this.status === 'waiting' && page.document?.hidden !== true) this.#open();
  };
  /** What browsers say before they notice that a socket is dead. */
  readonly #offline = () => this.#socket?.close();
  #socket: SocketLike | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #tries = 0;

  constructor(url: string, type: SocketType, events: LinkEvents, renews: boolean) {
    this.#url = url;
    this.#Socket = type;
    this.#events = events;
    this.#renews = renews;
    page.addEventListener?.('online', this.#wake);
    page.addEventListener?.('offline', this.#offline);
    page.document?.addEventListener?.('visibilitychange', this.#wake);
    this.#open();
  }

  /** False when there is no open socket. */
  say(message: object): boolean {
    if (this.#socket?.readyState !== 1) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  close(): void {
    this.#became('closed');
    clearTimeout(this.#timer);
    page.removeEventListener?.('online', this.#wake);
    page.removeEventListener?.('offline', this.#offline);
    page.document?.removeEventListener?.('visibilitychange', this.#wake);
    this.#socket?.close(1000);
    this.#socket = undefined;
  }

  #open(): void {
    clearTimeout(this.#timer);
    this.#became('connecting');
    const socket = new this.#Socket(this.#url);
    this.#socket = socket;
    const isOurs = () => this.#socket === socket;
    socket.onopen = () => {
      if (!isOurs()) return;
      this.#listen();
      this.#events.opened().then(
        () => {
          if (!isOurs()) return;
          this.#tries = 0;
          this.#became('open');
        },
        () => isOurs() && socket.close(),
      );
    };
    socket.onmessage = ({ data }: { data: unknown }) => {
      if (!isOurs()) return;
      this.#listen();
      const message: unknown = JSON.parse(String(data));
      if (typeof message === 'object') this.#events.heard(message as Record<string, unknown>);
    };
    socket.onerror = () => undefined;
    socket.onclose = ({ code }: { code: number }) => isOurs() && this.#ended(code);
  }

  #ended(code: number): void {
    clearTimeout(this.#timer);
    this.#socket = undefined;
    const isFinal = code >= FINAL_CODE && !(code === AUTHENTICATION && this.#renews);
    if (isFinal) {
      this.close();
      return;
    }
    this.#became('waiting');
    const wait = Math.min(WAIT_MS_MAX, WAIT_MS_MIN * 2 ** this.#tries);
    this.#tries += 1;
    // Half of it by chance: a thousand clients of one node do not come back at one instant.
    this.#timer = setTimeout(() => this.#open(), wait * (0.5 + Math.random() / 2));
  }

  /** Something was heard: the silence begins anew. */
  #listen(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.say({ ping: 1 });
      this.#timer = setTimeout(() => {
        const socket = this.#socket;
        // A dead peer answers no closing handshake either.
        this.#ended(1006);
        socket?.close();
      }, ANSWER_MS);
    }, SILENCE_MS);
  }

  #became(status: Status): void {
    if (this.status === status || this.status === 'closed') return;
    this.status = status;
    this.#events.changed(status);
  }
}

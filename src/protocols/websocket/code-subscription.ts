/**
 * A stream of application code among the subscriptions of `/live`. What the code yields comes as
 * `message` events under the client's name for it, at the pace of the socket: without room the code
 * is not asked for more. There is no log behind it, so it has no positions and is not resumed.
 *
 *   registered ──may──► live ──the code is done──► ended ("end")      any ──unsubscribe──► closed
 *       └──may not, or the code throws──► ended ("error")
 */
import type { EpochMs } from '../../base/brands.ts';
import type { NodeError } from '../../base/errors.ts';
import type { Stage } from '../../feed/subscriber.ts';
import type { Connection, HeldSubscription, SubscriptionName } from './connection.ts';

/** Others have a turn after so many items that the code has at hand. */
const ITEMS_PER_TURN = 64;
const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

export interface CodeSubscriptionParts {
  readonly connection: Connection;
  readonly name: SubscriptionName;
  readonly admit: () => Promise<void>;
  readonly open: (signal: AbortSignal) => Promise<AsyncIterableIterator<unknown>>;
  readonly failure: (thrown: unknown) => NodeError;
  readonly now: () => EpochMs;
  /** It has ended, by an error or since the code is done. Not told of `close`. */
  readonly ended: (error: NodeError | undefined) => void;
}

export class CodeSubscription implements HeldSubscription {
  readonly #parts: CodeSubscriptionParts;
  readonly #aborting = new AbortController();
  #stage: Stage = 'registered';
  #items: AsyncIterableIterator<unknown> | undefined;
  #room: (() => void) | undefined;

  constructor(parts: CodeSubscriptionParts) {
    this.#parts = parts;
  }

  get stage(): Stage {
    return this.#stage;
  }

  async run(): Promise<void> {
    let error: NodeError | undefined;
    try {
      await this.#pump();
    } catch (thrown) {
      // What it threw on its way out concerns nobody any more.
      if (this.#isClosed) return;
      error = this.#parts.failure(thrown);
    }
    if (!this.#isClosed) this.#parts.ended(error);
  }

  drained(): void {
    this.#room?.();
    this.#room = undefined;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#aborting.abort();
    this.drained();
    void this.#items?.return?.();
  }

  get #isClosed(): boolean {
    return this.#aborting.signal.aborted;
  }

  async #pump(): Promise<void> {
    const { admit, open } = this.#parts;
    await admit();
    if (this.#isClosed) return;
    const items = await open(this.#aborting.signal);
    this.#items = items;
    this.#stage = 'live';
    for (let sent = 1; !this.#isClosed; sent += 1) {
      const { value, done } = await items.next();
      if (done === true) return;
      await this.#send(value);
      if (sent % ITEMS_PER_TURN === 0) await nextTurn();
    }
    await items.return?.();
  }

  async #send(item: unknown): Promise<void> {
    const { connection, name, now } = this.#parts;
    while (!this.#isClosed && !connection.ready()) {
      await new Promise<void>((resolve) => {
        this.#room = resolve;
      });
    }
    if (this.#isClosed) return;
    const value = told(item, connection.format.isBinary);
    connection.say({ sub: name, type: 'message', value, at: now() });
  }
}

/** JSON has no bytes: they are base64, as attributes of type `Bytes` are. */
function told(item: unknown, isBinary: boolean): unknown {
  if (isBinary || !(item instanceof Uint8Array)) return item;
  return Buffer.from(item).toString('base64');
}

/**
 * The store thread's end of the port to a worker: commits what the worker writes together with
 * everybody else's writes, answers, and tells the worker of commits. It tells of the next one only
 * when the worker has looked at the last: a busy worker is not buried under wake-ups.
 */
import type { MessagePort } from 'node:worker_threads';
import type { Store } from '../store-options.ts';
import {
  type PackedWrite,
  plainError,
  type ToStore,
  type ToWorker,
  unpackOp,
  type WriteReply,
} from './messages.ts';

/** Serves a worker until its port closes; returns what stops it. */
export function serveWriters(store: Store, port: MessagePort): () => void {
  const server = new WriterServer(store, port);
  return () => server.stop();
}

class WriterServer {
  readonly #store: Store;
  readonly #port: MessagePort;
  readonly #unsubscribe: () => void;
  #replies: WriteReply[] = [];
  #isAwake = true;
  #hasNews = false;

  constructor(store: Store, port: MessagePort) {
    this.#store = store;
    this.#port = port;
    this.#unsubscribe = store.onCommit(() => this.#tell());
    port.on('message', (message: ToStore) => this.#receive(message));
    port.on('close', () => this.#unsubscribe());
    port.unref();
  }

  stop(): void {
    this.#unsubscribe();
    this.#port.close();
  }

  #receive(message: ToStore): void {
    if (message.kind === 'commit') {
      for (const write of message.writes) void this.#commit(write, message.bytes);
      return;
    }
    if (message.kind === 'reserveIds') {
      void this.#reserveIds(message);
      return;
    }
    this.#isAwake = true;
    if (this.#hasNews) this.#tell();
  }

  async #commit({ id, ops, durability, unity }: PackedWrite, bytes: ArrayBuffer): Promise<void> {
    try {
      const whole = ops.map((op) => unpackOp(op, bytes));
      this.#reply({ id, outcomes: await this.#store.commit(whole, durability, unity) });
    } catch (error) {
      this.#reply({ id, error: plainError(error) });
    }
  }

  async #reserveIds({ id, table, count }: ToStore & { kind: 'reserveIds' }): Promise<void> {
    try {
      this.#send({ kind: 'ids', id, first: await this.#store.reserveIds(table, count) });
    } catch (error) {
      this.#send({ kind: 'noIds', id, error: plainError(error) });
    }
  }

  /** Writes that were in one commit are answered in one message. */
  #reply(reply: WriteReply): void {
    this.#replies.push(reply);
    if (this.#replies.length > 1) return;
    setImmediate(() => {
      const replies = this.#replies;
      this.#replies = [];
      this.#send({ kind: 'replies', replies });
    });
  }

  #tell(): void {
    this.#hasNews = !this.#isAwake;
    if (!this.#isAwake) return;
    this.#isAwake = false;
    this.#send({ kind: 'committed' });
  }

  #send(message: ToWorker): void {
    this.#port.postMessage(message);
  }
}

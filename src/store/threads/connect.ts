/**
 * A worker's store: it reads the environment directly and sends its writes to the store thread, all
 * those of one turn of the event loop in one message.
 */
import type { MessagePort } from 'node:worker_threads';
import type { RecordId, TableName } from '../../base/brands.ts';
import type { Clock } from '../../base/clock.ts';
import { NodeError } from '../../base/errors.ts';
import type { BodyStore } from '../../table/body-store.ts';
import type {
  Durability,
  StoreReader,
  StoreWriter,
  Unity,
  WriteOp,
  WriteOutcome,
} from '../../table/store-port.ts';
import type { Engine } from '../engine.ts';
import { openBodies, openSharedEngine } from '../lmdb/open.ts';
import { EngineReader } from '../reader.ts';
import { viewSharedMemory } from '../shared-state.ts';
import { openTrees } from '../tables.ts';
import {
  type IdsReply,
  nodeErrorOf,
  packWrites,
  type StoreConnection,
  type ToStore,
  type ToWorker,
  type WaitingWrite,
  type WriteReply,
} from './messages.ts';

export interface ConnectOptions {
  readonly clock: Clock;
  readonly undecodable?: ((table: TableName, id: RecordId) => void) | undefined;
  readonly bodyDamaged?: ((name: string) => void) | undefined;
}

export interface ConnectedStore {
  readonly reader: StoreReader;
  readonly writer: StoreWriter;
  readonly bodies: BodyStore;
  /** Rejects what was not answered and closes this thread's view of the environment. */
  close(): Promise<void>;
}

/** Reads and writes the store from a worker of the same process. */
export function connectStore(
  connection: StoreConnection,
  port: MessagePort,
  options: ConnectOptions,
): ConnectedStore {
  const { path, definitions, mapBytes, shared, epoch, author } = connection;
  const engine = openSharedEngine(path, definitions, mapBytes);
  const reader = new EngineReader({
    engine,
    trees: openTrees(engine, definitions),
    shared: viewSharedMemory(shared),
    epoch,
    author,
    clock: options.clock,
    onUndecodable: (table, id) => options.undecodable?.(table, id),
  });
  const writer = new RemoteWriter(port, () => reader.announceCommit());
  const bodies = openBodies({ ...connection, ...options });
  return { reader, writer, bodies, close: () => close(writer, engine) };
}

async function close(writer: RemoteWriter, engine: Engine): Promise<void> {
  writer.close();
  await engine.close();
}

interface Waiting extends WaitingWrite {
  resolve(outcomes: readonly WriteOutcome[]): void;
  reject(error: NodeError): void;
}

interface WaitingIds {
  resolve(first: number): void;
  reject(error: NodeError): void;
}

class RemoteWriter implements StoreWriter {
  readonly #port: MessagePort;
  readonly #onCommitted: () => void;
  readonly #waiting = new Map<number, Waiting>();
  readonly #waitingIds = new Map<number, WaitingIds>();
  #turn: Waiting[] = [];
  #lastId = 0;
  #isClosed = false;

  constructor(port: MessagePort, onCommitted: () => void) {
    this.#port = port;
    this.#onCommitted = onCommitted;
    port.on('message', (message: ToWorker) => this.#receive(message));
    port.on('close', () => this.close());
  }

  commit(
    ops: readonly WriteOp[],
    durability: Durability,
    unity: Unity = 'each',
  ): Promise<readonly WriteOutcome[]> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(closedError());
      this.#lastId += 1;
      this.#turn.push({ id: this.#lastId, ops, durability, unity, resolve, reject });
      if (this.#turn.length === 1) setImmediate(() => this.#flush());
    });
  }

  reserveIds(table: TableName, count: number): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(closedError());
      this.#lastId += 1;
      this.#waitingIds.set(this.#lastId, { resolve, reject });
      const message: ToStore = { kind: 'reserveIds', id: this.#lastId, table, count };
      this.#port.postMessage(message);
    });
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#port.close();
    const open = [...this.#waiting.values(), ...this.#waitingIds.values(), ...this.#turn];
    for (const one of open) one.reject(closedError());
    this.#waiting.clear();
    this.#waitingIds.clear();
    this.#turn = [];
  }

  #flush(): void {
    if (this.#isClosed) return;
    const turn = this.#turn;
    this.#turn = [];
    for (const write of turn) this.#waiting.set(write.id, write);
    const message: ToStore & { kind: 'commit' } = packWrites(turn);
    this.#port.postMessage(message, [message.bytes]);
  }

  #receive(message: ToWorker): void {
    if (message.kind === 'replies') {
      for (const reply of message.replies) this.#settle(reply);
      return;
    }
    if (message.kind !== 'committed') {
      this.#settleIds(message);
      return;
    }
    try {
      this.#onCommitted();
    } finally {
      const awake: ToStore = { kind: 'awake' };
      this.#port.postMessage(awake);
    }
  }

  #settle(reply: WriteReply): void {
    const write = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if (write === undefined) return;
    if ('outcomes' in reply) write.resolve(reply.outcomes);
    else write.reject(nodeErrorOf(reply.error));
  }

  #settleIds(reply: IdsReply): void {
    const waiting = this.#waitingIds.get(reply.id);
    this.#waitingIds.delete(reply.id);
    if (reply.kind === 'ids') waiting?.resolve(reply.first);
    else waiting?.reject(nodeErrorOf(reply.error));
  }
}

const closedError = (): NodeError =>
  new NodeError('SHUTTING_DOWN', 'the store thread is gone or going; the write may not be kept', {
    retry: 'later',
  });

/**
 * What the store thread and a worker say to each other. Bodies travel together in one buffer that
 * changes hands: cloning a small view of a pooled buffer would copy the whole pool.
 */
import type { Epoch, NodeId, TableName } from '../../base/brands.ts';
import {
  asNodeError,
  type Blame,
  type ErrorCode,
  NodeError,
  type Retry,
} from '../../base/errors.ts';
import type { StoredBody } from '../../cache/entry.ts';
import { LIMITS } from '../../config/limits.ts';
import type { TableDefinition } from '../../schema/definition.ts';
import type { Durability, Unity, WriteOp, WriteOutcome } from '../../table/store-port.ts';
import type { LmdbStoreOptions } from '../lmdb/open.ts';
import type { SharedMemory } from '../shared-state.ts';
import type { Store } from '../store-options.ts';

/** What a worker must know to read the store; plain, to be sent as its `workerData`. */
export interface StoreConnection {
  readonly path: string;
  readonly mapBytes: number | undefined;
  readonly definitions: readonly TableDefinition[];
  readonly shared: SharedMemory;
  readonly epoch: Epoch;
  readonly author: NodeId;
  /** The mark of this run in the names of bodies. */
  readonly run: string;
  readonly diskSoftFreeBytes: number;
  readonly diskHardFreeBytes: number;
}

/** The connection to a store which was opened with these options. */
export const connectionTo = (store: Store, options: LmdbStoreOptions): StoreConnection => ({
  path: options.path,
  mapBytes: options.mapBytes,
  definitions: options.definitions,
  shared: store.shared,
  epoch: store.epoch,
  author: store.author,
  run: store.run,
  diskSoftFreeBytes: options.limits?.diskSoftFreeBytes ?? LIMITS.diskSoftFreeBytes,
  diskHardFreeBytes: options.limits?.diskHardFreeBytes ?? LIMITS.diskHardFreeBytes,
});

/** Where an operation's bytes are in the message's buffer. */
interface Span {
  readonly from: number;
  readonly length: number;
}

/** An operation without its bytes. */
export interface PackedOp {
  readonly op: Omit<WriteOp, 'body' | 'patch'> & { readonly body?: StoredBody | undefined };
  readonly span: Span | undefined;
}

export interface PackedWrite {
  readonly id: number;
  readonly ops: readonly PackedOp[];
  readonly durability: Durability;
  readonly unity: Unity;
}

export type ToStore =
  | {
      readonly kind: 'commit';
      readonly writes: readonly PackedWrite[];
      readonly bytes: ArrayBuffer;
    }
  /** Numbers for generated keys. */
  | {
      readonly kind: 'reserveIds';
      readonly id: number;
      readonly table: TableName;
      readonly count: number;
    }
  /** The worker has looked at the commits it was told of. */
  | { readonly kind: 'awake' };

/** An error as it travels: what a protocol answers with must not depend on the thread. */
export interface PlainError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly blame: Blame;
  readonly retry: Retry;
}

export function plainError(error: unknown): PlainError {
  const { code, message, blame, retry } = asNodeError(error);
  return { code, message, blame, retry };
}

export const nodeErrorOf = ({ code, message, blame, retry }: PlainError): NodeError =>
  new NodeError(code, message, { blame, retry });

export type WriteReply =
  | { readonly id: number; readonly outcomes: readonly WriteOutcome[] }
  | { readonly id: number; readonly error: PlainError };

export type IdsReply =
  | { readonly kind: 'ids'; readonly id: number; readonly first: number }
  | { readonly kind: 'noIds'; readonly id: number; readonly error: PlainError };

export type ToWorker =
  | { readonly kind: 'replies'; readonly replies: readonly WriteReply[] }
  | IdsReply
  | { readonly kind: 'committed' };

export interface WaitingWrite {
  readonly id: number;
  readonly ops: readonly WriteOp[];
  readonly durability: Durability;
  readonly unity: Unity;
}

function bytesIn(op: WriteOp): Uint8Array | undefined {
  if (op.kind === 'put') return op.body instanceof Uint8Array ? op.body : undefined;
  if (op.kind === 'message') return op.body;
  return op.kind === 'patch' ? op.patch : undefined;
}

/** Packs the writes of a turn; the buffer is to be transferred. */
export function packWrites(waiting: readonly WaitingWrite[]): ToStore & { kind: 'commit' } {
  let length = 0;
  for (const { ops } of waiting) for (const op of ops) length += bytesIn(op)?.length ?? 0;
  const whole = new Uint8Array(length);
  let from = 0;
  const pack = (op: WriteOp): PackedOp => {
    const bytes = bytesIn(op);
    if (bytes === undefined) return { op: op as PackedOp['op'], span: undefined };
    whole.set(bytes, from);
    const span = { from, length: bytes.length };
    from += bytes.length;
    const {
      body: _body,
      patch: _patch,
      ...rest
    } = op as WriteOp & { body?: unknown; patch?: unknown };
    return { op: rest, span };
  };
  const writes = waiting.map(({ id, ops, durability, unity }) => ({
    ...{ id, durability, unity },
    ops: ops.map(pack),
  }));
  return { kind: 'commit', writes, bytes: whole.buffer };
}

export function unpackOp({ op, span }: PackedOp, buffer: ArrayBuffer): WriteOp {
  if (span === undefined) return op as WriteOp;
  const bytes = new Uint8Array(buffer, span.from, span.length);
  return { ...op, [op.kind === 'patch' ? 'patch' : 'body']: bytes } as WriteOp;
}

/**
 * Writes of a table whose origin decides (`@sourcedFrom(write: through)`): first the origin, then
 * the store, and the store only when the origin took it. What the origin refuses, or fails at, is
 * the client's failure and nothing is stored.
 *
 *   check ─► preconditions ─► origin ─┬─ took it ─► store, if the row is as it was ─► stored
 *                                     │             else invalidate ───────────────► invalidated
 *                                     ├─ refused ──► the client's error
 *                                     └─ failed ───► error; invalidated when it may have happened
 *
 * Invariant: no version older than this write is served as fresh after it was acknowledged. A row
 * that changed meanwhile is of unknown order to this write, and a fetch that began before it may
 * still bring the older record: then the record is invalidated, and the next read asks the origin.
 */
import type { EntityTag, RecordId } from '../base/brands.ts';
import type { Clock } from '../base/clock.ts';
import { NodeError } from '../base/errors.ts';
import { NEVER_STOPPED, type StopSignal } from '../base/stop.ts';
import { NO_REQUEST_DIRECTIVES } from '../cache/directives.ts';
import type { TableDefinition } from '../schema/definition.ts';
import {
  type DraftContext,
  type JsonRecord,
  patchOp,
  putOp,
  type WriteOptions,
} from './record-draft.ts';
import type {
  Durability,
  StoreReader,
  StoreWriter,
  WriteCondition,
  WriteOp,
  WriteOutcome,
} from './store-port.ts';
import type { TableReads } from './table.ts';
import { type CurrentRecord, preconditionHolds } from './write-precondition.ts';

/** What the origin made of a write; `body` is the record as it now holds it, if it said so. */
export interface OriginWritten {
  readonly body: Uint8Array | undefined;
  /** Whether there was no such record before; `undefined` when the origin did not say. */
  readonly created?: boolean | undefined;
}

/** An origin that takes writes, or some of them. Each rejects with a `NodeError`. */
export interface WritableSource {
  readonly name: string;
  readonly writes: { readonly put: boolean; readonly patch: boolean; readonly delete: boolean };
  put(id: RecordId, record: Uint8Array, signal: StopSignal): Promise<OriginWritten>;
  patch(id: RecordId, patch: Uint8Array, signal: StopSignal): Promise<OriginWritten>;
  delete(id: RecordId, signal: StopSignal): Promise<void>;
}

export type WriteVerb = keyof WritableSource['writes'];

export interface WriteThroughParts {
  readonly definition: TableDefinition;
  readonly source: WritableSource;
  readonly reads: TableReads;
  readonly reader: StoreReader;
  readonly writer: StoreWriter;
  readonly clock: Clock;
  readonly durability: Durability;
}

/** The row when the write began. */
interface Before {
  readonly entityTag: EntityTag | undefined;
  /** It may be answered without asking the origin. */
  readonly isCurrent: boolean;
}

const decoder = new TextDecoder();

export class WriteThrough {
  readonly #parts: WriteThroughParts;

  constructor(parts: WriteThroughParts) {
    this.#parts = parts;
  }

  /** Whether the origin takes such writes; those which it does not are refused with 405. */
  takes(verb: WriteVerb): boolean {
    return this.#parts.source.writes[verb];
  }

  async put(
    context: DraftContext,
    id: RecordId,
    record: JsonRecord,
    options: WriteOptions,
  ): Promise<WriteOutcome> {
    this.#assertTakes('put');
    // Checked here first: the origin is not asked to store what the schema refuses.
    const asSent = putOp(context, id, record, 'client', { ...options, condition: undefined });
    const refusal = await this.#precondition(id, options.condition);
    if (refusal !== undefined) return refusal;
    const before = this.#before(id);
    const written = await this.#ask(id, (source, signal) => source.put(id, asSent.body, signal));
    const op = written.body === undefined ? asSent : enriched(context, id, written.body, options);
    return this.#settle(id, op === undefined ? undefined : asBefore(op, before), written);
  }

  async patch(
    context: DraftContext,
    id: RecordId,
    patch: JsonRecord,
    format: 'merge' | 'merge-patch',
    options: WriteOptions,
  ): Promise<WriteOutcome> {
    this.#assertTakes('patch');
    if (Object.values(patch).some(isIncrement)) throw noIncrement(this.#parts.definition);
    const asSent = patchOp(context, id, patch, format, 'client', {
      ...options,
      condition: undefined,
    });
    const refusal = await this.#precondition(id, options.condition);
    if (refusal !== undefined) return refusal;
    const before = this.#before(id);
    const bytes = Buffer.from(JSON.stringify(patch));
    const written = await this.#ask(id, (source, signal) => source.patch(id, bytes, signal));
    // Merged only into what is right now, and only where every origin would merge it so.
    const isCertain = before.isCurrent && (format === 'merge-patch' || isPlainPatch(patch));
    const merged = isCertain ? asSent : undefined;
    const op = written.body === undefined ? merged : enriched(context, id, written.body, options);
    return this.#settle(id, op === undefined ? undefined : asBefore(op, before), written);
  }

  async delete(id: RecordId, options: WriteOptions): Promise<WriteOutcome> {
    this.#assertTakes('delete');
    const refusal = await this.#precondition(id, options.condition);
    if (refusal !== undefined) return refusal;
    await this.#ask(id, (source, signal) => source.delete(id, signal));
    const op = { kind: 'delete', table: this.#table, id, reason: 'client' } as const;
    const outcome = await this.#commit(op);
    if (outcome.kind === 'deleted') return outcome;
    // There was no row to remove; a fetch that began before must not bring one back.
    const invalidated = await this.#invalidate(id, false);
    return invalidated.kind === 'invalidated'
      ? { kind: 'deleted', sequence: invalidated.sequence }
      : invalidated;
  }

  get #table() {
    return this.#parts.definition.name;
  }

  #assertTakes(verb: WriteVerb): void {
    if (!this.takes(verb)) throw notTaken(this.#parts, verb);
  }

  /**
   * Decided on the record as the origin has it now, since the origin is not told of preconditions;
   * `undefined` when they hold.
   */
  async #precondition(
    id: RecordId,
    condition: WriteCondition | undefined,
  ): Promise<WriteOutcome | undefined> {
    if (condition === undefined || Object.keys(condition).length === 0) return undefined;
    const { current, failure } = await this.#asked(id);
    if (failure !== undefined) throw failure;
    if (preconditionHolds(condition, current)) return undefined;
    return { kind: 'preconditionFailed', current: current?.entityTag };
  }

  /** What the origin has under a key, through the read path, so that it is kept and collapsed. */
  async #asked(id: RecordId): Promise<{ current?: CurrentRecord; failure?: NodeError }> {
    const asked: { current?: CurrentRecord; failure?: NodeError } = {};
    const directives = { ...NO_REQUEST_DIRECTIVES, noCache: true };
    await this.#parts.reads.read({ id, variant: '', directives, mayForce: true }, (result) => {
      if (result.kind === 'failed') asked.failure = result.error;
      if (result.kind !== 'found') return;
      const { entityTag, lastModified } = result.entry;
      asked.current = { entityTag, lastModified };
    });
    return asked;
  }

  #before(id: RecordId): Before {
    const { reader, clock } = this.#parts;
    return reader.withEntry(this.#table, id, '', (entry) => {
      if (entry?.kind !== 'record') return { entityTag: undefined, isCurrent: false };
      const isValid = reader.invalidations(this.#table).judge(entry).kind === 'valid';
      return { entityTag: entry.entityTag, isCurrent: isValid && entry.freshUntil > clock.now() };
    });
  }

  /** The client's leaving does not stop it: half a write is worse than one nobody waits for. */
  async #ask<T>(
    id: RecordId,
    write: (source: WritableSource, signal: StopSignal) => Promise<T>,
  ): Promise<T> {
    try {
      return await write(this.#parts.source, NEVER_STOPPED);
    } catch (thrown) {
      if (!(thrown instanceof NodeError)) throw thrown;
      if (leavesDoubt(thrown)) await this.#invalidate(id, true);
      throw refusedByOrigin(thrown) ?? thrown;
    }
  }

  /** Stores what the origin took, when that is certain to be its newest; else invalidates. */
  async #settle(
    id: RecordId,
    op: WriteOp | undefined,
    written: OriginWritten,
  ): Promise<WriteOutcome> {
    const outcome = op === undefined ? undefined : await this.#commit(op);
    if (outcome?.kind !== 'stored') return this.#invalidate(id, false);
    // The same bytes keep their version, by which an older fetch would know that it lost.
    if (outcome.unchanged) await this.#invalidate(id, true);
    return { ...outcome, created: written.created ?? outcome.created };
  }

  async #invalidate(id: RecordId, soft: boolean): Promise<WriteOutcome> {
    return this.#commit({
      kind: 'invalidate',
      table: this.#table,
      scope: { kind: 'key', id },
      soft,
      reason: 'invalidate',
    });
  }

  async #commit(op: WriteOp): Promise<WriteOutcome> {
    const { writer, durability } = this.#parts;
    const [outcome] = await writer.commit([op], durability);
    return outcome ?? { kind: 'absent' };
  }
}

/** The operation succeeds only over the row that was there when the write began. */
function asBefore(op: WriteOp, { entityTag }: Before): WriteOp {
  if (op.kind !== 'put' && op.kind !== 'patch') return op;
  const condition: WriteCondition =
    entityTag === undefined ? { ifNoneMatch: '*' } : { ifMatch: [entityTag] };
  return { ...op, condition };
}

/** The record as the origin says it now is; `undefined` when this table could not hold it. */
function enriched(
  context: DraftContext,
  id: RecordId,
  body: Uint8Array,
  { maxAge }: WriteOptions,
): WriteOp | undefined {
  try {
    const record = JSON.parse(decoder.decode(body)) as JsonRecord;
    return putOp(context, id, record, 'client', { maxAge });
  } catch {
    // The origin took the write; how it tells of it does not undo that.
    return undefined;
  }
}

/** Top-level values which a merge and an RFC 7396 merge patch treat alike. */
const isPlainPatch = (patch: JsonRecord): boolean =>
  Object.values(patch).every((value) => typeof value !== 'object' || Array.isArray(value));

const isIncrement = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && '__op__' in value;

/** The write may have happened, or the origin holds something else than is stored here. */
function leavesDoubt({ code, details: { status } }: NodeError): boolean {
  switch (code) {
    case 'ORIGIN_STATUS':
      return status === 404 || status === 409 || status === 412 || Number(status) >= 500;
    case 'ORIGIN_BODY_INVALID':
    case 'ORIGIN_BODY_TOO_LARGE':
    case 'ORIGIN_FAILED':
    case 'ORIGIN_TIMED_OUT':
    case 'ORIGIN_UNREACHABLE':
      return true;
    default:
      return false;
  }
}

/** What the origin may say of a write that is the client's own mistake, not the node's. */
const REFUSALS: ReadonlySet<unknown> = new Set([404, 409, 412, 422]);

function refusedByOrigin(error: NodeError): NodeError | undefined {
  const { status } = error.details;
  if (error.code !== 'ORIGIN_STATUS' || !REFUSALS.has(status)) return undefined;
  return new NodeError('ORIGIN_REFUSED', error.message, {
    blame: 'client',
    details: error.details,
    cause: error,
  });
}

function notTaken({ definition, source }: WriteThroughParts, verb: WriteVerb): NodeError {
  const message =
    `${definition.typeName} is written through its origin ${source.name}, which has no ${verb}; ` +
    `give the origin a ${verb}(), or declare @sourcedFrom(write: none)`;
  return new NodeError('METHOD_NOT_ALLOWED', message, { blame: 'client' });
}

function noIncrement({ typeName }: TableDefinition): NodeError {
  const message =
    `${typeName} is written through its origin, which knows no "__op__": send the new value, ` +
    'with If-Match so that no other write is lost';
  return new NodeError('RECORD_INVALID', message, { blame: 'client' });
}

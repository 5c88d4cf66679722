/**
 * One origin as one table sees it: the read path's `Origin` port, and the writes of a table that
 * writes through. Translates between the port's words and the kind's; everything that surrounds a
 * call (limits, deadline, retries, breaker) is `attempts.ts`.
 */
import type { RecordId } from '../base/brands.ts';
import type { Clock } from '../base/clock.ts';
import { realSignal, type StopSignal } from '../base/stop.ts';
import type { Entry } from '../cache/entry.ts';
import type { CallLine, Origin, OriginReply, OriginRequest } from '../cache/ports.ts';
import { recordJson } from '../cache/record-json.ts';
import type { Attempts } from './attempts.ts';
import type { AttemptOutcome } from './counters.ts';
import type {
  GetContext,
  JsonRecord,
  OriginDefinition,
  ReplacedEntry,
  TableBinding,
  WriteContext,
  WriteResult,
} from './definition.ts';
import { asOriginError, statusError, statusOf } from './failures.ts';
import { parseRecord, type RecordPlace, recordOfBytes, recordOfObject } from './record-bytes.ts';
import { type ReplyRules, replyOf } from './reply.ts';
import { isOriginResponse } from './response.ts';

/** What the origin made of a write; `body` is the record as it now holds it, if it said so. */
export interface WriteReply {
  readonly body: Uint8Array | undefined;
  /** Whether there was no such record before; `undefined` when the origin did not say. */
  readonly created?: boolean | undefined;
}

/** Which writes the origin takes. */
export interface WriteAbilities {
  readonly put: boolean;
  readonly patch: boolean;
  readonly delete: boolean;
}

/** Bytes are JSON objects. Each rejects with a `NodeError`; nothing may be stored then. */
export interface WritableOrigin extends Origin {
  readonly writes: WriteAbilities;
  put(id: RecordId, record: Uint8Array, signal: StopSignal): Promise<WriteReply>;
  patch(id: RecordId, patch: Uint8Array, signal: StopSignal): Promise<WriteReply>;
  delete(id: RecordId, signal: StopSignal): Promise<void>;
}

/** What stands behind the origin's name just now: a reload puts something else there. */
export interface CurrentOrigin {
  readonly definition: OriginDefinition;
  readonly attempts: Attempts;
  readonly rules: ReplyRules;
}

export interface TableOriginParts {
  readonly name: string;
  /** Asked once a call, which ends with what it began with. */
  readonly current: () => CurrentOrigin;
  readonly binding: TableBinding;
  readonly clock: Clock;
}

const OUTCOMES: Readonly<Record<OriginReply['kind'], AttemptOutcome>> = {
  found: 'ok',
  absent: 'absent',
  notModified: 'not_modified',
};

export class TableOrigin implements WritableOrigin {
  readonly name: string;
  readonly #parts: TableOriginParts;

  constructor(parts: TableOriginParts) {
    this.#parts = parts;
    this.name = parts.name;
  }

  get writes(): WriteAbilities {
    const { put, patch, delete: remove } = this.#parts.current().definition;
    return {
      put: put !== undefined,
      patch: patch !== undefined,
      delete: remove !== undefined,
    };
  }

  get line(): CallLine {
    return this.#parts.current().attempts;
  }

  fetch(request: OriginRequest): Promise<OriginReply> {
    const current = this.#parts.current();
    return current.attempts.run({
      task: (signal) => this.#get(current, request, signal),
      signal: request.signal,
      background: request.background,
      source: request.source,
      turn: current.attempts.ownTurn(request.turn),
      mayRepeat: () => true,
      outcomeOf: (reply) => OUTCOMES[reply.kind],
    });
  }

  put(id: RecordId, record: Uint8Array, signal: StopSignal): Promise<WriteReply> {
    return this.#write('put', id, record, signal);
  }

  patch(id: RecordId, patch: Uint8Array, signal: StopSignal): Promise<WriteReply> {
    return this.#write('patch', id, patch, signal);
  }

  async delete(id: RecordId, signal: StopSignal): Promise<void> {
    await this.#send(signal, async ({ definition }, context) => definition.delete?.(id, context));
  }

  async #get(
    { definition, rules }: CurrentOrigin,
    request: OriginRequest,
    signal: StopSignal,
  ): Promise<OriginReply> {
    const { binding, clock } = this.#parts;
    const place = this.#place(request.id);
    const replacing = request.conditional ? replacedEntry(request.replacing, place) : undefined;
    const context = new GetCall(binding, request, replacing, signal);
    const requestedAt = clock.now();
    const result = await this.#ask(() => definition.get(request.id, context));
    const times = { requestedAt, receivedAt: clock.now() };
    const reply = await replyOf(result, context, place, times, rules);
    const { beside } = context;
    return beside === undefined || beside.length === 0 ? reply : { ...reply, beside };
  }

  /** Code may say "there is none" by throwing a status, as HTTP libraries do. */
  async #ask<T>(get: () => Promise<T> | T): Promise<T | undefined> {
    try {
      return await get();
    } catch (thrown) {
      const status = statusOf(thrown);
      if (status === 404 || status === 410) return undefined;
      throw asOriginError(this.name, thrown);
    }
  }

  async #write(
    verb: 'put' | 'patch',
    id: RecordId,
    bytes: Uint8Array,
    signal: StopSignal,
  ): Promise<WriteReply> {
    const place = this.#place(id);
    const record = parseRecord(bytes, place);
    const result = await this.#send(signal, async ({ definition }, context) =>
      verb === 'put'
        ? definition.put?.(id, record, context)
        : definition.patch?.(id, record, context),
    );
    return { body: writtenRecord(result, place), created: isCreated(result) };
  }

  #send<T>(
    signal: StopSignal,
    task: (current: CurrentOrigin, context: WriteContext) => Promise<T>,
  ): Promise<T> {
    const { binding } = this.#parts;
    const current = this.#parts.current();
    return current.attempts.run<T>({
      task: async (stop) => {
        const result = await task(current, { ...binding, signal: realSignal(stop) });
        if (isOriginResponse(result) && result.status >= 400) {
          throw statusError(this.name, result.status, undefined, 'a write');
        }
        return result;
      },
      signal,
      background: false,
      // A write whose reply was lost may have happened: the client decides whether to repeat it.
      mayRepeat: () => false,
      outcomeOf: () => 'ok',
    });
  }

  #place(id: RecordId): RecordPlace {
    const { primaryKey, takesBytes } = this.#parts.binding;
    return { origin: this.name, id, primaryKey, takesBytes };
  }
}

/** What one `get` is told. */
class GetCall implements GetContext {
  readonly table: string;
  readonly primaryKey: string;
  readonly path: string | undefined;
  readonly takesBytes: boolean | undefined;
  readonly replacing: ReplacedEntry | undefined;
  readonly requestId: string | undefined;
  readonly stop: StopSignal;
  lastModified = undefined;
  entityTag = undefined;
  freshUntil = undefined;
  groups = undefined;
  noStore = false;
  beside: GetContext['beside'] = undefined;
  #signal: AbortSignal | undefined;

  constructor(
    binding: TableBinding,
    { requestId }: OriginRequest,
    replacing: ReplacedEntry | undefined,
    stop: StopSignal,
  ) {
    this.table = binding.table;
    this.primaryKey = binding.primaryKey;
    this.path = binding.path;
    this.takesBytes = binding.takesBytes;
    this.replacing = replacing;
    this.requestId = requestId;
    this.stop = stop;
  }

  /** Made for code that looks at it: most need no more than `stop`. */
  get signal(): AbortSignal {
    this.#signal ??= realSignal(this.stop);
    return this.#signal;
  }
}

/** [RFC9110 §9.3.4] */
function isCreated(result: WriteResult): boolean | undefined {
  if (!isOriginResponse(result) || result.status === 202) return undefined;
  return result.status === 201;
}

function writtenRecord(result: WriteResult, place: RecordPlace): Uint8Array | undefined {
  if (result === undefined || result === null) return undefined;
  if (!isOriginResponse(result)) return recordOfObject(result as JsonRecord, place);
  const isJson = /^application\/(?:[\w.+-]+\+)?json\b/i.test(
    result.headers.get('content-type') ?? '',
  );
  // Many origins answer a write with an acknowledgement: only a JSON object is the record.
  if (!isJson || result.body.byteLength === 0 || result.status === 202) return undefined;
  return recordOfBytes(result.body, place);
}

function replacedEntry(entry: Entry | undefined, place: RecordPlace): ReplacedEntry | undefined {
  if (entry === undefined || entry.kind !== 'record') return undefined;
  return new Replaced(entry.retain(), place);
}

class Replaced implements ReplacedEntry {
  readonly id: RecordId;
  readonly entityTag: string | undefined;
  readonly lastModified: number | undefined;
  readonly storedAt: number;
  readonly #entry: Entry;
  readonly #place: RecordPlace;
  #record: JsonRecord | undefined;

  constructor(entry: Entry, place: RecordPlace) {
    this.id = entry.id;
    this.entityTag = entry.meta.originTag;
    this.lastModified = entry.meta.lastModified;
    this.storedAt = entry.storedAt;
    this.#entry = entry;
    this.#place = place;
  }

  get record(): JsonRecord {
    this.#record ??= parseRecord(recordJson(this.#entry, this.#place.primaryKey), this.#place);
    return this.#record;
  }
}

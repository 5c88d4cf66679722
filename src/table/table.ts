/**
 * A table: its definition, its entries, its policy and its origin, behind the verbs of the domain.
 * Every protocol comes here; none of them knows how entries are kept or fetched.
 *
 * Reads go through the read path (`cache/`); writes become operations which the store commits.
 * Which principal may do what has been decided before a call arrives here.
 */

import { assert, must } from '../base/assert.ts';
import type { RecordId, TableName } from '../base/brands.ts';
import type { Clock } from '../base/clock.ts';
import { NodeError } from '../base/errors.ts';
import type { DecisionContext } from '../cache/decide.ts';
import { NO_REQUEST_DIRECTIVES } from '../cache/directives.ts';
import type { Entry, StoredBlob } from '../cache/entry.ts';
import { policyByPath } from '../cache/pages/page-rules.ts';
import type { CachePolicy } from '../cache/policy.ts';
import type { Answer, ReadRequest } from '../cache/read-request.ts';
import { holdsRecord, recordJson } from '../cache/record-json.ts';
import type { TableDefinition } from '../schema/definition.ts';
import { type Bytes, blobOp, bytesOp } from './bytes-draft.ts';
import { Collection, type RefreshBudget, type RowDemands, type RowReads } from './collection.ts';
import type { HeldRecord } from './guarded-write.ts';
import { type Inspection, inspectKey } from './inspect.ts';
import { pathOfPage } from './pages/page-row.ts';
import { factsOf, projectRow } from './query/project.ts';
import type { Query, Select } from './query/query.ts';
import { QueryReader } from './query/query-reader.ts';
import { Related } from './query/related.ts';
import type { RowViews } from './query/row-view.ts';
import { parseRow } from './query/rows.ts';
import type { QueryScope } from './query/scope.ts';
import {
  type DraftContext,
  type JsonRecord,
  patchOp,
  putOp,
  type RecordRules,
  type WriteOptions,
} from './record-draft.ts';
import { recordIdFrom } from './record-key.ts';
import type { Durability, StoreReader, StoreWriter, WriteOp, WriteOutcome } from './store-port.ts';
import type { TableList } from './table-list.ts';
import type { WriteThrough, WriteVerb } from './write-through.ts';

/** The read path of this table, as `cache/read-path.ts` makes it. */
export interface TableReads {
  read(request: ReadRequest, answer: Answer): void | Promise<void>;
}

export interface TableParts {
  readonly definition: TableDefinition;
  /** What queries of this table may speak of. */
  readonly scope: QueryScope;
  readonly policy: CachePolicy;
  readonly reads: TableReads;
  /** What a cache does for the rows of queries; `undefined` for a table which is its own origin. */
  readonly rows?: RowReads | undefined;
  readonly reader: StoreReader;
  readonly writer: StoreWriter;
  readonly rules: RecordRules;
  readonly clock: Clock;
  readonly durability: Durability;
  /** Takes the writes of a table whose origin decides them. */
  readonly through?: WriteThrough | undefined;
  /** For a cache whose origin can say what the whole collection is. */
  readonly list?: TableList | undefined;
  /** A new primary key for a record that came without one. */
  readonly newId: () => Promise<RecordId>;
}

/** What is said beside a message; see `WriteOp`. */
export interface MessageOptions {
  readonly contentType?: string | undefined;
  readonly publication?: Uint8Array | undefined;
}

/** What an invalidation may name. */
export type PurgeScope =
  | 'table'
  | { readonly keys: readonly RecordId[] }
  | { readonly prefix: string }
  /** Names of groups, without versions. */
  | { readonly groups: readonly string[] };
type InvalidationScope = Extract<WriteOp, { kind: 'invalidate' }>['scope'];

/** Numbers passed over in one request because clients chose them, and inserts lost to a race. */
const TAKEN_IDS_MAX = 10_000;
const INSERT_TRIES_MAX = 8;
/** Invalidations that are committed together: reads are answered between the commits. */
const INVALIDATIONS_MAX = 500;

export class Table {
  readonly definition: TableDefinition;
  readonly #parts: TableParts;
  readonly #refreshes: RefreshBudget = { underWay: 0 };
  readonly #followers: ((policy: CachePolicy) => void)[] = [];
  #policy: CachePolicy;

  constructor(parts: TableParts) {
    this.definition = parts.definition;
    this.#policy = parts.policy;
    this.#parts = parts;
  }

  get policy(): CachePolicy {
    return this.#policy;
  }

  /** Goes by another policy from now on, and so does whoever made something of the old one. */
  usePolicy(policy: CachePolicy): void {
    this.#policy = policy;
    for (const follow of this.#followers) follow(policy);
  }

  /** Calls `follow` with each policy that replaces the present one; it must not throw. */
  onPolicy(follow: (policy: CachePolicy) => void): void {
    this.#followers.push(follow);
  }

  get scope(): QueryScope {
    return this.#parts.scope;
  }

  get name(): TableName {
    return this.definition.name;
  }

  /** Whether there is an origin to ask again for what was invalidated. */
  get isCache(): boolean {
    return this.definition.sourcedFrom !== undefined || this.definition.pages !== undefined;
  }

  /** Whether such writes are possible at all: an origin that decides may not take them. */
  takes(verb: WriteVerb): boolean {
    return this.#parts.through?.takes(verb) ?? true;
  }

  /** Answers one read; synchronously when the store can answer. */
  read(request: ReadRequest, answer: Answer): void | Promise<void> {
    return this.#parts.reads.read(request, answer);
  }

  /** A query of a client, whose demands on caches hold for each row; throws `QUERY_INVALID`. */
  collect(query: Query, demands: RowDemands): Collection {
    const { reader, clock, rows, list } = this.#parts;
    const { definition } = this;
    return new Collection(query, demands, {
      definition,
      reader,
      clock,
      rows,
      refreshes: this.#refreshes,
      ...(list === undefined ? {} : { list: (asked, filter) => list.ensure(asked, filter) }),
    });
  }

  /** A reader that answers a query page by page; throws `QUERY_INVALID`. */
  query(query: Query): QueryReader {
    const { reader, clock } = this.#parts;
    const context = this.scope.judged?.(clock.now());
    return new QueryReader(query, { definition: this.definition, reader, clock, context });
  }

  /** JSON of what `select` takes of a record, related ones included, as far as `views` show it. */
  part(entry: Entry, select: Select, views?: RowViews): Uint8Array {
    const { reader, clock } = this.#parts;
    const related = new Related(reader, clock.now(), views);
    const row = parseRow(recordJson(entry, this.definition.primaryKey));
    const mask = views?.get(this.definition)?.maskOf(row, entry.id);
    return projectRow(select, row, factsOf(entry), related, mask);
  }

  /** Stores a whole record. Rejects with `RECORD_INVALID`, `STORE_FULL`, `WRITE_QUEUE_FULL`. */
  async put(id: RecordId, record: JsonRecord, options: WriteOptions = {}): Promise<WriteOutcome> {
    const { through } = this.#parts;
    const context = this.draftContext();
    this.#takesLocal(options);
    if (through === undefined) return this.#commit(putOp(context, id, record, 'client', options));
    return settled(this.definition, await through.put(context, id, record, options));
  }

  /** Stores bytes in place of a record; the caller has asked `barsBytes`. Rejects as `put` does. */
  putBytes(id: RecordId, bytes: Bytes, options: WriteOptions = {}): Promise<WriteOutcome> {
    assert(this.#parts.through === undefined, 'an origin takes records only');
    return this.#commit(bytesOp(this.draftContext(), id, bytes, options));
  }

  /** Gives a `Blob` attribute of a table without an origin its bytes. Rejects as `put` does. */
  putBlob(
    id: RecordId,
    attribute: string,
    blob: StoredBlob,
    options: WriteOptions = {},
  ): Promise<WriteOutcome> {
    return this.#commit(blobOp(this.draftContext(), id, attribute, blob, options));
  }

  /**
   * Merges a patch into a record. When there is none, a table that is its own origin makes it; a
   * cache asks its origin for the record first, since it would hold a part for the whole.
   */
  async patch(
    id: RecordId,
    patch: JsonRecord,
    format: 'merge' | 'merge-patch',
    options: WriteOptions = {},
  ): Promise<WriteOutcome> {
    const { through } = this.#parts;
    const context = this.draftContext();
    this.#takesLocal(options);
    if (through !== undefined) {
      return settled(this.definition, await through.patch(context, id, patch, format, options));
    }
    const op = patchOp(context, id, patch, format, 'client', options);
    const outcome = await this.#commit(op);
    if (outcome.kind !== 'absent' || this.definition.sourcedFrom === undefined) return outcome;
    await this.#load(id);
    return this.#commit(op);
  }

  /**
   * The record which a write of this key would replace. A cache asks its origin for what it does
   * not hold, and for what the origin decides about. Rejects with what kept it from it.
   */
  async held(id: RecordId): Promise<HeldRecord | undefined> {
    if (this.definition.sourcedFrom !== undefined) {
      await this.#load(id, this.writesThrough ? UNLESS_VALIDATED : undefined);
    }
    const { reader, clock } = this.#parts;
    const isOwn = this.definition.sourcedFrom === undefined;
    return reader.withEntry(this.name, id, '', (entry) => {
      if (entry?.kind !== 'record' || (isOwn && entry.freshUntil <= clock.now())) return undefined;
      if (reader.invalidations(this.name).judge(entry).kind === 'hard') return undefined;
      const { entityTag, lastModified } = entry;
      const row = parseRow(recordJson(entry, this.definition.primaryKey));
      return { id, row, entityTag, lastModified, isRecord: holdsRecord(entry) };
    });
  }

  /** Has a cache hold what its origin has; rejects with what kept it from it. */
  async #load(id: RecordId, demands?: Partial<ReadRequest>): Promise<void> {
    let failure: NodeError | undefined;
    await this.#parts.reads.read({ ...wholeRecord(id), ...demands }, (result) => {
      if (result.kind === 'failed') failure = result.error;
    });
    if (failure !== undefined) throw failure;
  }

  /** Stores a record under a generated key, unless it brings its own; an existing one fails it. */
  async create(
    record: JsonRecord,
    options: WriteOptions = {},
  ): Promise<{ readonly id: RecordId; readonly outcome: WriteOutcome }> {
    const given = record[this.definition.primaryKey];
    const inserting = { ...options, condition: { ifNoneMatch: '*' } as const };
    if (given !== undefined && given !== null) {
      const id = recordIdFrom(this.definition, given);
      return { id, outcome: await this.put(id, record, inserting) };
    }
    // A client may have taken a number by writing to it: the next one is tried.
    for (let tries = 1; ; tries += 1) {
      const id = await this.#untakenId();
      const outcome = await this.put(id, record, inserting);
      if (outcome.kind !== 'preconditionFailed' || tries === INSERT_TRIES_MAX) {
        return { id, outcome };
      }
    }
  }

  /** A new key under which no record stands. */
  freeId(): Promise<RecordId> {
    return this.#untakenId();
  }

  async #untakenId(): Promise<RecordId> {
    for (let tries = 1; ; tries += 1) {
      const id = await this.#parts.newId();
      if (!this.holds(id) || tries === TAKEN_IDS_MAX) return id;
    }
  }

  /** Whether a record is stored under the key, fresh or not. */
  holds(id: RecordId): boolean {
    const isRecord = (entry: Entry | undefined) => entry?.kind === 'record';
    return this.#parts.reader.withEntry(this.name, id, '', isRecord);
  }

  async delete(id: RecordId, options: WriteOptions = {}): Promise<WriteOutcome> {
    const { through } = this.#parts;
    this.#takesLocal(options);
    if (through !== undefined) return settled(this.definition, await through.delete(id, options));
    return this.#commit({
      kind: 'delete',
      table: this.name,
      id,
      reason: 'client',
      condition: options.condition,
      publication: options.publication,
      isLocal: options.isLocal,
    });
  }

  /** Tells subscribers of a message; the record stays as it is. Rejects as `put` does. */
  publish(
    id: RecordId,
    body: Uint8Array,
    { contentType, publication }: MessageOptions = {},
  ): Promise<WriteOutcome> {
    return this.#commit({
      ...{ kind: 'message', table: this.name, id, body, contentType },
      publication,
    });
  }

  /**
   * Makes records, groups of them, or the whole table, unusable without asking the origin again.
   * Resolves when no read on any thread can be answered with what was invalidated, and the fact is
   * on disk.
   * Rejects with `USAGE` for a table which has no origin to ask.
   */
  async invalidate(
    scope: PurgeScope,
    options: { readonly soft?: boolean; readonly reason?: 'purge' | 'invalidate' } = {},
  ): Promise<number> {
    if (!this.isCache) throw nothingToInvalidate(this.definition);
    const soft = options.soft ?? false;
    const reason = options.reason ?? 'invalidate';
    const common = { kind: 'invalidate', table: this.name, soft, reason } as const;
    const ops: WriteOp[] = scopesOf(scope).map((one) => ({ ...common, scope: one }));
    const { list } = this.#parts;
    if (scope === 'table' && list !== undefined) {
      ops.push({ ...common, table: list.definition.name, scope: { kind: 'table' } });
    }
    const commits: Promise<unknown>[] = [];
    for (let at = 0; at < ops.length; at += INVALIDATIONS_MAX) {
      const some = ops.slice(at, at + INVALIDATIONS_MAX);
      commits.push(this.#parts.writer.commit(some, 'flushed'));
    }
    await Promise.all(commits);
    return ops.length;
  }

  /** Commits prepared operations of this table (feed events) together. */
  commit(ops: readonly WriteOp[], durability: Durability): Promise<readonly WriteOutcome[]> {
    assert(
      ops.every((op) => op.table === this.name),
      'a table commits its own operations only',
    );
    return this.#parts.writer.commit(ops, durability);
  }

  /** Whether the origin decides on writes: it takes them one by one. */
  get writesThrough(): boolean {
    return this.#parts.through !== undefined;
  }

  /** Commits prepared writes of clients: all of them, or none when one fails. */
  commitAll(ops: readonly WriteOp[]): Promise<readonly WriteOutcome[]> {
    return this.#parts.writer.commit(ops, this.#parts.durability, 'all');
  }

  /** Commits prepared writes of clients together; one that fails fails alone. */
  commitEach(ops: readonly WriteOp[]): Promise<readonly WriteOutcome[]> {
    return this.#parts.writer.commit(ops, this.#parts.durability);
  }

  size(): { readonly entries: number; readonly bytes: number } {
    return this.#parts.reader.tableSize(this.name);
  }

  /** What is held under a key, for an operator's eyes. */
  inspect(id: RecordId): Inspection {
    const { reader, rows } = this.#parts;
    const { definition } = this;
    const context = rows?.rowContext(wholeRecord(id)) ?? this.#ownContext(id);
    return inspectKey(id, { definition, reader, context });
  }

  /** How a table without an origin, or one of pages, is read. */
  #ownContext(id: RecordId): DecisionContext {
    const isPages = this.definition.pages !== undefined;
    return {
      request: wholeRecord(id),
      policy: isPages ? policyByPath(this.#policy)(pathOfPage(String(id))) : this.#policy,
      now: this.#parts.clock.now(),
      isOrigin: !isPages,
      fedSince: undefined,
    };
  }

  draftContext(): DraftContext {
    const { rules, clock } = this.#parts;
    const { settings } = this.#policy;
    return { definition: this.definition, settings, rules, now: clock.now() };
  }

  /** Throws `USAGE`: what an origin is given is not for this node alone. */
  #takesLocal({ isLocal }: WriteOptions): void {
    if (isLocal === true && this.writesThrough) throw notLocal(this.definition);
  }

  async #commit(op: WriteOp): Promise<WriteOutcome> {
    const outcomes = await this.#parts.writer.commit([op], this.#parts.durability);
    return settled(this.definition, must(outcomes[0], 'outcome of an operation'));
  }
}

/** Whatever is held is asked about again. */
const UNLESS_VALIDATED = {
  directives: { ...NO_REQUEST_DIRECTIVES, noCache: true },
  mayForce: true,
};

const wholeRecord = (id: RecordId): ReadRequest => ({
  id,
  variant: '',
  directives: NO_REQUEST_DIRECTIVES,
  mayForce: false,
});

function scopesOf(scope: PurgeScope): readonly InvalidationScope[] {
  if (scope === 'table') return [{ kind: 'table' }];
  if ('prefix' in scope) return [{ kind: 'prefix', prefix: scope.prefix }];
  if ('keys' in scope) return scope.keys.map((id) => ({ kind: 'key', id }));
  return scope.groups.map((group) => ({ kind: 'group', group }));
}

/** Outcomes which mean that the node could not, or may not, store are errors for every protocol. */
function settled(definition: TableDefinition, outcome: WriteOutcome): WriteOutcome {
  if (outcome.kind === 'shed') throw shed(definition, outcome.code);
  if (outcome.kind === 'invalid') {
    throw new NodeError('RECORD_INVALID', `${definition.typeName}: ${outcome.problem}`, {
      blame: 'client',
    });
  }
  return outcome;
}

function shed(definition: TableDefinition, code: 'WRITE_QUEUE_FULL' | 'STORE_FULL'): NodeError {
  const why =
    code === 'STORE_FULL'
      ? 'the disk is nearly full; free some room or raise store limits'
      : 'more writes wait than the node accepts; try again in a moment';
  return new NodeError(code, `${definition.typeName} was not written: ${why}`, { retry: 'later' });
}

export function notLocal({ typeName }: TableDefinition): NodeError {
  return new NodeError(
    'USAGE',
    `${typeName} gives each write to its origin, so none can be for this node alone: leave out ` +
      'LOCAL_ONLY (X-Replicate-To: none), or keep such rows in a table without @sourcedFrom',
    { blame: 'client' },
  );
}

function nothingToInvalidate(definition: TableDefinition): NodeError {
  return new NodeError(
    'USAGE',
    `${definition.typeName} has no origin: its records are the only copy. ` +
      'Delete them instead, or declare @sourcedFrom',
    { blame: 'client' },
  );
}

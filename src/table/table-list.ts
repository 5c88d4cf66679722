/**
 * The list of a cache table: what its origin says the whole collection is. It is an entry of its
 * own, in a table beside the one it lists, so that the read path gives it what a record has:
 * freshness by the policy, one fetch for all who wait, stale answers while it is refreshed or when
 * the origin fails, invalidation. Its body is the array of the ids. An origin that can pick by
 * attributes has a list for each part that queries ask for.
 *
 * Filling it stores the rows as ordinary entries, in batches. A row that was stored or invalidated
 * after the origin was asked is left as it is; one which the list before had, and this one has not,
 * is deleted, as if the origin's feed had said so. From a part it may merely have moved on: then it
 * is invalidated, and asked for when somebody wants it.
 */
import { must } from '../base/assert.ts';
import { durationMs, type EpochMs, type RecordId, type Sequence } from '../base/brands.ts';
import type { Clock } from '../base/clock.ts';
import { asNodeError, NodeError } from '../base/errors.ts';
import { NO_RESPONSE_DIRECTIVES } from '../cache/directives.ts';
import type { Entry } from '../cache/entry.ts';
import type { Origin, OriginReply, OriginRequest } from '../cache/ports.ts';
import type { Answer, CacheStatus, ReadRequest } from '../cache/read-request.ts';
import { LIMITS } from '../config/limits.ts';
import type { TableDefinition } from '../schema/definition.ts';
import type { RowDemands } from './collection.ts';
import { conjuncts } from './query/access.ts';
import type { Filter } from './query/query.ts';
import { type DraftContext, type JsonRecord, putOp } from './record-draft.ts';
import { recordIdFrom } from './record-key.ts';
import type { StoreReader, StoreWriter, WriteOp } from './store-port.ts';

/** The list of the whole table; those of parts are named by their terms. */
const WHOLE = 'whole' as RecordId;

/** Attributes and the values by which an origin picks. */
export type ListTerms = Readonly<Record<string, string | number | boolean>>;

/** Asks the origin for all records of a table, or for those of a part. */
export type ListRecords = (
  request: Pick<OriginRequest, 'signal' | 'background'> & { readonly where: ListTerms },
) => Promise<readonly JsonRecord[]>;

/** The same id for the same terms, in whatever order they were given. */
function listId(where: ListTerms): RecordId {
  const terms = Object.entries(where).sort(([one], [other]) => (one < other ? -1 : 1));
  return terms.length === 0 ? WHOLE : JSON.stringify(terms);
}

const termsOf = (id: RecordId): ListTerms =>
  id === WHOLE ? {} : Object.fromEntries(JSON.parse(String(id)) as [string, string | number][]);

/** The table which holds the list of `definition`; it is exported to nobody. */
export const listDefinition = (definition: TableDefinition): TableDefinition => ({
  ...definition,
  name: `${definition.name}#list` as TableDefinition['name'],
  typeName: `${definition.typeName}#list`,
  attributes: [],
  primaryKey: 'id',
  primaryKeyType: 'string',
  sealed: false,
  hidden: true,
  replicate: 'none',
  history: false,
  export: undefined,
});

export interface ListParts {
  readonly definition: TableDefinition;
  readonly list: ListRecords;
  readonly reader: StoreReader;
  readonly writer: StoreWriter;
  readonly clock: Clock;
  /** As the table drafts what its clients write. */
  readonly draftContext: () => DraftContext;
}

/** The origin of a list: what the read path of the list asks. */
export function listOrigin(name: string, parts: ListParts): Origin {
  return {
    name,
    async fetch(request) {
      const { clock, reader } = parts;
      const requestedAt = clock.now();
      const stamp = reader.lastSequence();
      const { signal, background } = request;
      const records = await parts.list({ signal, background, where: termsOf(request.id) });
      const ids = await storeRows(records, { requestedAt, stamp }, parts);
      const isWhole = request.id === WHOLE;
      await dropMissing(request.replacing, new Set(ids), { requestedAt, isWhole }, parts);
      return listReply(ids, requestedAt, clock.now());
    },
  };
}

/** When the origin was asked. */
interface Asked {
  readonly requestedAt: EpochMs;
  readonly stamp: Sequence;
}

async function storeRows(
  records: readonly JsonRecord[],
  asked: Asked,
  parts: ListParts,
): Promise<RecordId[]> {
  const { definition, writer } = parts;
  if (records.length > LIMITS.listRowsMax) throw tooMany(definition, records.length);
  const context = parts.draftContext();
  const ids: RecordId[] = [];
  for (let at = 0; at < records.length; at += LIMITS.listBatchRows) {
    const ops: WriteOp[] = [];
    for (const record of records.slice(at, at + LIMITS.listBatchRows)) {
      const id = idOf(definition, record);
      ids.push(id);
      if (!isNewer(id, asked.requestedAt, parts)) {
        ops.push({ ...putOp(context, id, record, 'fill', {}), stamp: asked.stamp });
      }
    }
    if (ops.length > 0) await writer.commit(ops, 'process');
  }
  return ids;
}

function idOf(definition: TableDefinition, record: JsonRecord): RecordId {
  try {
    return recordIdFrom(definition, record[definition.primaryKey]);
  } catch (cause) {
    const message = `${definition.typeName}: a row of the origin's list has no usable key`;
    throw new NodeError('ORIGIN_BODY_INVALID', `${message}: ${asNodeError(cause).message}`, {
      blame: 'origin',
      cause,
    });
  }
}

/** Whether the row was stored after the origin was asked: then the list may be older than it. */
const isNewer = (id: RecordId, requestedAt: EpochMs, { reader, definition }: ListParts): boolean =>
  reader.withEntry(definition.name, id, '', (entry) => (entry?.storedAt ?? 0) > requestedAt);

async function dropMissing(
  before: Entry | undefined,
  present: ReadonlySet<RecordId>,
  { requestedAt, isWhole }: { readonly requestedAt: EpochMs; readonly isWhole: boolean },
  parts: ListParts,
): Promise<void> {
  const { definition, writer } = parts;
  const { name: table } = definition;
  const gone = idsOf(before).filter((id) => !present.has(id) && !isNewer(id, requestedAt, parts));
  for (let at = 0; at < gone.length; at += LIMITS.listBatchRows) {
    const ops = gone.slice(at, at + LIMITS.listBatchRows).map((id): WriteOp => {
      if (isWhole) return { kind: 'delete', table, id, reason: 'feed' };
      const scope = { kind: 'key', id } as const;
      return { kind: 'invalidate', table, scope, soft: false, reason: 'invalidate' };
    });
    await writer.commit(ops, 'process');
  }
}

const decoder = new TextDecoder();

const idsOf = (list: Entry | undefined): readonly RecordId[] =>
  list?.kind === 'record' ? (JSON.parse(decoder.decode(list.body)) as RecordId[]) : [];

function listReply(
  ids: readonly RecordId[],
  requestedAt: EpochMs,
  receivedAt: EpochMs,
): OriginReply {
  const directives = NO_RESPONSE_DIRECTIVES;
  return {
    kind: 'found',
    body: Buffer.from(JSON.stringify(ids)),
    facts: { status: 200, requestedAt, receivedAt, directives, age: durationMs(0) },
  };
}

function tooMany({ typeName }: TableDefinition, rows: number): NodeError {
  const { listRowsMax } = LIMITS;
  const message = `${typeName}: the origin's list has ${rows} rows, more than ${listRowsMax}`;
  return new NodeError('ORIGIN_BODY_TOO_LARGE', message, {
    blame: 'origin',
    details: { limit: 'listRowsMax', value: listRowsMax },
  });
}

/** What the table asks before it answers a query. */
export class TableList {
  readonly definition: TableDefinition;
  readonly #read: (request: ReadRequest, answer: Answer) => void | Promise<void>;

  readonly #listBy: () => readonly string[];

  constructor(
    definition: TableDefinition,
    read: (request: ReadRequest, answer: Answer) => void | Promise<void>,
    listBy: () => readonly string[],
  ) {
    this.definition = definition;
    this.#read = read;
    this.#listBy = listBy;
  }

  /**
   * Resolves when the rows are there as the policy wants them. Rejects with what the origin failed
   * with, where nothing stale may stand in, and with `NOT_CACHED` when it must not be asked.
   */
  async ensure(demands: RowDemands, filter: Filter | undefined): Promise<CacheStatus> {
    const id = listId(equalities(filter, this.#listBy()));
    let status: CacheStatus | undefined;
    let failure: NodeError | undefined;
    await this.#read({ ...demands, id, variant: '' }, (result) => {
      status = result.cacheStatus;
      if (result.kind === 'failed') failure = result.error;
      if (result.kind === 'refused') failure = notListed(this.definition);
    });
    if (failure !== undefined) throw failure;
    return must(status, 'the answer of a list');
  }
}

/** What the conditions demand of these attributes, whatever else they say. */
function equalities(filter: Filter | undefined, names: readonly string[]): ListTerms {
  const found: Record<string, string | number | boolean> = {};
  if (names.length === 0) return found;
  for (const each of conjuncts(filter)) {
    if (each.kind !== 'condition' || each.test.kind !== 'eq') continue;
    const { field, test } = each;
    const [name = ''] = field.path;
    const isPlain = field.path.length === 1 && field.joined === undefined && field.type !== 'Date';
    const isTerm = ['string', 'number', 'boolean'].includes(typeof test.value);
    if (isPlain && isTerm && names.includes(name)) found[name] = test.value as string;
  }
  return found;
}

const notListed = ({ typeName }: TableDefinition): NodeError =>
  new NodeError('NOT_CACHED', `${typeName} is not held here, and its origin must not be asked`, {
    blame: 'client',
  });

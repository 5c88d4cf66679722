/**
 * The records that relationships lead to, for one query: by primary key or through an index, each
 * judged like a read of it, each given once. Never asks an origin: what a cache does not hold is
 * not there. Counts what it looks at, and refuses a record that leads to more than one answer may
 * gather.
 */
import type { EpochMs, RecordId, TableName } from '../../base/brands.ts';
import { decideRow, type RowVerdict } from '../../cache/decide.ts';
import type { Entry } from '../../cache/entry.ts';
import { recordJson } from '../../cache/record-json.ts';
import { LIMITS } from '../../config/limits.ts';
import type { TableDefinition } from '../../schema/definition.ts';
import { indexValueOf } from '../../schema/indexed-values.ts';
import type { StoreReader } from '../store-port.ts';
import { isSureElement } from './access.ts';
import { requireIndex } from './index-readiness.ts';
import { linkValues, type RelatedRows } from './matches.ts';
import { factsOf, type RowFacts } from './project.ts';
import type { QueryValue, Row, RowTest } from './query.ts';
import { queryTooExpensive } from './query-error.ts';
import { plainContext } from './row-context.ts';
import type { AttributeMask, RowViews } from './row-view.ts';
import { parseRow } from './rows.ts';
import type { QueryScope, Relation } from './scope.ts';

/** A related record, and whether it is one that the answer may count as stale. */
type See = (row: Row, facts: RowFacts, mask: AttributeMask | undefined) => boolean;

export class Related implements RelatedRows {
  readonly #reader: StoreReader;
  readonly #now: EpochMs;
  readonly #views: RowViews | undefined;
  readonly #verdicts = new Map<TableName, (entry: Entry) => RowVerdict>();
  readonly #ready = new Set<Relation>();
  /** What has been seen since it was last taken. */
  readonly tally = { stale: 0, leftOut: 0, looked: 0 };
  #lookedForRow = 0;
  #bytesForRow = 0;

  /** `views`: what of each table is seen; rows outside of them are not there. */
  constructor(reader: StoreReader, now: EpochMs, views?: RowViews | undefined) {
    this.#reader = reader;
    this.#now = now;
    this.#views = views;
  }

  /** What follows is done for another record of the answer. */
  beginRow(): void {
    this.#lookedForRow = 0;
    this.#bytesForRow = 0;
  }

  /** Whether a row of a table is one that is seen. */
  sees(definition: TableDefinition, row: () => Row, id: RecordId): boolean {
    const view = this.#views?.get(definition);
    return view === undefined || view.covers(row(), id);
  }

  each(relation: Relation, row: Row, id: RecordId, visit: RowTest): void {
    this.#each(relation, row, id, (entry) => visit(rowOf(entry, relation), entry.id));
  }

  /** The records as an answer gives them: what is stale is counted, and so are the bytes. */
  gather(relation: Relation, row: Row, id: RecordId, see: See): void {
    this.#each(relation, row, id, (entry, isStale) => {
      if (isStale) this.tally.stale += 1;
      this.#bytesForRow += entry.body.length;
      if (this.#bytesForRow > LIMITS.queryRelatedBytesMax) {
        throw queryTooExpensive(
          'queryRelatedBytesMax',
          `one record leads to more than ${LIMITS.queryRelatedBytesMax} bytes of others; ` +
            'select fewer relationships',
        );
      }
      const other = rowOf(entry, relation);
      const view = this.#views?.get(relation.target.definition);
      return see(other, factsOf(entry), view?.maskOf(other, entry.id));
    });
  }

  #each(
    relation: Relation,
    row: Row,
    id: RecordId,
    visit: (entry: Entry, isStale: boolean) => boolean,
  ): void {
    const { here, there, target } = relation;
    const values = linkValues(here, row, id);
    if (values.length === 0) return;
    this.#requireIndex(relation);
    const { definition } = target;
    const verdict = this.verdict(target);
    const see = (entry: Entry): boolean => {
      if (!this.sees(definition, () => rowOf(entry, relation), entry.id)) return true;
      const state = verdict(entry);
      return state === 'hidden' || visit(entry, state !== 'fresh');
    };
    const table = definition.name;
    if (there.isKey) {
      for (const value of values) if (!this.#one(table, value, see)) return;
      return;
    }
    const seen = values.length > 1 || there.isMultiple ? new Set<RecordId>() : undefined;
    for (const value of values) if (!this.#indexed(relation, value, seen, see)) return;
  }

  /** False when enough has been seen. */
  #one(table: TableName, value: QueryValue, see: (entry: Entry) => boolean): boolean {
    if (typeof value === 'string' ? value === '' : !Number.isSafeInteger(value)) return true;
    this.#count();
    return this.#reader.withEntry(table, value as RecordId, '', (entry) =>
      entry === undefined ? true : see(entry),
    );
  }

  #indexed(
    relation: Relation,
    value: QueryValue,
    seen: Set<RecordId> | undefined,
    see: (entry: Entry) => boolean,
  ): boolean {
    const { there, target } = relation;
    const { indexed } = there;
    const element = indexed && indexValueOf(indexed, value);
    if (indexed === undefined || element === undefined) return true;
    const table = target.definition.name;
    const span = { attribute: indexed.name, from: element, to: element };
    const limit = LIMITS.queryPageRowsMax;
    // The index cuts long texts and rounds large numbers.
    const isSure = isSureElement(indexed, element);
    const isOne = (entry: Entry): boolean =>
      isSure || linkValues(there, rowOf(entry, relation), entry.id).includes(value);
    for (let after: { value: typeof element; id: RecordId } | undefined; ; ) {
      const hits = this.#reader.indexPage(table, span, { limit, after });
      for (const hit of hits) {
        this.#count();
        if (seen?.has(hit.id) === true) continue;
        const goesOn = this.#reader.withEntry(table, hit.id, '', (entry) => {
          if (entry === undefined || !isOne(entry)) return true;
          seen?.add(hit.id);
          return see(entry);
        });
        if (!goesOn) return false;
      }
      if (hits.length < limit) return true;
      after = hits.at(-1);
    }
  }

  #count(): void {
    this.tally.looked += 1;
    this.#lookedForRow += 1;
    if (this.#lookedForRow <= LIMITS.queryRelatedMax) return;
    throw queryTooExpensive(
      'queryRelatedMax',
      `one record leads to more than ${LIMITS.queryRelatedMax} others; ` +
        'ask for those by themselves, with limit()',
    );
  }

  /** How the rows of a table are judged; what its origin would have to be asked for is hidden. */
  verdict({ definition, judged }: QueryScope): (entry: Entry) => RowVerdict {
    const known = this.#verdicts.get(definition.name);
    if (known !== undefined) return known;
    const context = judged?.(this.#now) ?? plainContext(definition, this.#now);
    const invalidations = this.#reader.invalidations(definition.name);
    const made = (entry: Entry): RowVerdict => {
      const verdict = decideRow(context, invalidations.judge(entry), entry);
      if (verdict !== 'fetch') return verdict;
      this.tally.leftOut += 1;
      return 'hidden';
    };
    this.#verdicts.set(definition.name, made);
    return made;
  }

  #requireIndex(relation: Relation): void {
    const { there, target } = relation;
    if (there.indexed === undefined || there.isKey || this.#ready.has(relation)) return;
    requireIndex(target.definition.name, there.indexed.name, this.#reader);
    this.#ready.add(relation);
  }
}

const rowOf = (entry: Entry, { target }: Relation): Row =>
  parseRow(recordJson(entry, target.definition.primaryKey));

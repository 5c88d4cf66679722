/**
 * Rows by way of the records they are related to: those are found first, by the narrowest way of
 * their own table; then each of their values leads to the rows here, through the index of the
 * attribute that holds it, or to the one record of that key. A row to which several related records
 * lead comes once.
 */
import type { RecordId } from '../../base/brands.ts';
import { recordJson } from '../../cache/record-json.ts';
import { LIMITS } from '../../config/limits.ts';
import { indexValueOf } from '../../schema/indexed-values.ts';
import type { Access } from './access.ts';
import { compileFilter, linkValues } from './matches.ts';
import type { QueryValue, RowTest } from './query.ts';
import { queryTooExpensive } from './query-error.ts';
import type { RowJson } from './row-json.ts';
import { noRow } from './rows.ts';
import type { Relation } from './scope.ts';
import type { OpenSource, Source, SourceParts, Visit } from './sources.ts';

export class JoinSource implements Source {
  /** No cursor goes on from here: what was given already would have to be remembered. */
  readonly steps = undefined;
  readonly #relation: Relation;
  readonly #parts: SourceParts;
  readonly #open: OpenSource;
  readonly #inner: Source;
  readonly #matches: RowTest;
  readonly #given: Set<RecordId> | undefined;
  #values: QueryValue[] = [];
  #rows: { readonly source: Source; readonly value: QueryValue } | undefined;
  #isInnerOver = false;

  /** `open` opens the ways on both sides. */
  constructor(access: Extract<Access, { kind: 'join' }>, parts: SourceParts, open: OpenSource) {
    const { relation } = access;
    this.#relation = relation;
    this.#parts = parts;
    this.#open = open;
    const { name: table, primaryKey } = relation.target.definition;
    const rowsWanted = LIMITS.queryPageRowsMax;
    const jsonOf: RowJson = (entry) => recordJson(entry, primaryKey);
    const innerParts = { ...parts, table, jsonOf, hasVariants: false, rowsWanted };
    this.#inner = open(access.inner, innerParts);
    this.#matches = compileFilter(access.residual, parts.related);
    const leadsOnce = relation.there.isKey && !relation.here.isMultiple;
    this.#given = leadsOnce ? undefined : new Set();
  }

  pull(visit: Visit): boolean {
    const rows = this.#rows ?? this.#nextRows();
    if (rows === undefined) {
      if (this.#isInnerOver) return true;
      this.#isInnerOver = this.#pullInner(visit);
      return false;
    }
    this.#rows = rows;
    const isOver = rows.source.pull((entry, row, hit) => {
      if (entry === undefined || !this.#isNew(entry.id)) return visit(undefined, noRow);
      const { here } = this.#relation;
      // The index cuts long texts: what stands under one may have another value.
      const isHit = here.isKey || linkValues(here, row(), entry.id).includes(rows.value);
      if (!isHit) return visit(undefined, noRow);
      this.#remember(entry.id);
      return visit(entry, row, hit);
    });
    if (isOver) this.#rows = undefined;
    return false;
  }

  #pullInner(visit: Visit): boolean {
    const relation = this.#relation;
    const { related } = this.#parts;
    const { definition } = relation.target;
    const verdict = related.verdict(relation.target);
    return this.#inner.pull((entry, row) => {
      related.beginRow();
      const isThere =
        entry !== undefined &&
        related.sees(definition, row, entry.id) &&
        verdict(entry) !== 'hidden';
      if (isThere && this.#matches(row(), entry.id)) {
        this.#values.push(...linkValues(relation.there, row(), entry.id));
      }
      return visit(undefined, noRow);
    });
  }

  #nextRows(): { readonly source: Source; readonly value: QueryValue } | undefined {
    for (;;) {
      const value = this.#values.shift();
      if (value === undefined) return undefined;
      const source = this.#rowsWith(value);
      if (source !== undefined) return { source, value };
    }
  }

  #rowsWith(value: QueryValue): Source | undefined {
    const { here } = this.#relation;
    const base = { name: '', covers: [] };
    if (here.isKey) {
      const isId = typeof value === 'string' ? value !== '' : Number.isSafeInteger(value);
      if (!isId) return undefined;
      return this.#open({ ...base, kind: 'record', id: value as RecordId }, this.#parts);
    }
    const { indexed } = here;
    const element = indexed && indexValueOf(indexed, value);
    if (indexed === undefined || element === undefined) return undefined;
    const span = { attribute: indexed.name, from: element, to: element };
    return this.#open({ ...base, kind: 'index', span, mayRepeat: false }, this.#parts);
  }

  #isNew(id: RecordId): boolean {
    return this.#given?.has(id) !== true;
  }

  #remember(id: RecordId): void {
    const given = this.#given;
    if (given === undefined) return;
    given.add(id);
    if (given.size <= LIMITS.queryDuplicatesMax) return;
    throw queryTooExpensive(
      'queryDuplicatesMax',
      `more than ${LIMITS.queryDuplicatesMax} records would have to be remembered to answer ` +
        'each once; narrow the conditions on the related records',
    );
  }
}

/**
 * What a principal may write to a table of which it may not write everything. One permit must cover
 * a write wholly: the record before it, the record after it, and every attribute that it changes. A
 * `PUT` leaves the attributes that the permit does not cover as they stand; naming one is refused,
 * unless the writer may read it and says what it holds already.
 */
import { isDeepStrictEqual } from 'node:util';
import type { EntityTag, RecordId } from '../base/brands.ts';
import type { NodeError } from '../base/errors.ts';
import { refusal } from '../base/refusals.ts';
import type { TableDefinition } from '../schema/definition.ts';
import type { HeldRecord, WriteGuard } from '../table/guarded-write.ts';
import type { Row } from '../table/query/query.ts';
import { seenTag } from '../table/seen-record.ts';
import { accessTo, refusalOf } from './authorise.ts';
import type { Access } from './grants.ts';
import type { Principal } from './principal.ts';
import type { RowPermit } from './row-access.ts';

type WriteVerb = 'insert' | 'update' | 'delete';

/** Needed where a verb is not granted whole, or where a part of a record is all that is read. */
export const createWriteGuard = (principal: Principal, definition: TableDefinition): WriteGuard =>
  new RowWriteGuard(principal, definition);

/** Covers every row of its table. */
const EVERYTHING = Symbol('everything');

class RowWriteGuard implements WriteGuard {
  readonly #principal: Principal;
  readonly #definition: TableDefinition;
  readonly #read: Access;

  constructor(principal: Principal, definition: TableDefinition) {
    this.#principal = principal;
    this.#definition = definition;
    this.#read = accessTo(principal, definition, 'read');
  }

  put(id: RecordId, before: Row | undefined, sent: Row): Record<string, unknown> {
    const verb = before === undefined ? 'insert' : 'update';
    const permits = this.#permits(verb);
    if (permits === EVERYTHING) return sent;
    const named = this.#changed(id, before, sent);
    for (const permit of permits) {
      if (!isOver(permit, id, before) || !permit.coversAttributes(named)) continue;
      const after = { ...kept(permit, before, this.#definition), ...sent };
      if (permit.covers(this.#keyed(id, after), id)) return after;
    }
    throw this.#refused(verb, permits, id, before, named);
  }

  patch(id: RecordId, before: Row | undefined, named: readonly string[], after: Row): void {
    const verb = before === undefined ? 'insert' : 'update';
    const permits = this.#permits(verb);
    if (permits === EVERYTHING) return;
    const changed = named.filter((name) => !this.#isAsItWas(id, before, name, after));
    const covers = (permit: RowPermit): boolean =>
      isOver(permit, id, before) &&
      permit.coversAttributes(changed) &&
      permit.covers(this.#keyed(id, after), id);
    if (!permits.some(covers)) throw this.#refused(verb, permits, id, before, changed);
  }

  delete(id: RecordId, before: Row): boolean {
    const permits = this.#permits('delete');
    if (permits === EVERYTHING || permits.some((permit) => isOver(permit, id, before))) return true;
    if (this.#sees(id, before)) throw this.#refused('delete', permits, id, before, []);
    return false;
  }

  putBytes(id: RecordId, before: Row | undefined): void {
    const verb = before === undefined ? 'insert' : 'update';
    const permits = this.#permits(verb);
    if (permits === EVERYTHING) return;
    if (permits.some((permit) => permit.isOfKeysOnly && permit.coversKey(id))) return;
    throw this.#refused(verb, permits, id, before, []);
  }

  tagOf(held: HeldRecord): EntityTag | undefined {
    if (this.#read.kind === 'none') return undefined;
    return seenTag(this.#read.kind === 'limited' ? this.#read.rows : undefined, held);
  }

  #permits(verb: WriteVerb): readonly RowPermit[] | typeof EVERYTHING {
    const access = accessTo(this.#principal, this.#definition, verb);
    if (access.kind === 'whole') return EVERYTHING;
    return access.kind === 'limited' ? access.rows.permits : [];
  }

  #keyed(id: RecordId, row: Row): Row {
    return { ...row, [this.#definition.primaryKey]: id };
  }

  #changed(id: RecordId, before: Row | undefined, sent: Row): readonly string[] {
    return Object.keys(sent).filter((name) => !this.#isAsItWas(id, before, name, sent));
  }

  /** Only of what the writer may read: else a refusal would tell what a record holds. */
  #isAsItWas(id: RecordId, before: Row | undefined, name: string, sent: Row): boolean {
    if (before === undefined || !Object.hasOwn(before, name)) return false;
    return this.#sees(id, before, name) && isDeepStrictEqual(before[name], sent[name]);
  }

  #sees(id: RecordId, row: Row, name?: string): boolean {
    if (this.#read.kind !== 'limited') return this.#read.kind === 'whole';
    const { rows } = this.#read;
    if (!rows.covers(row, id)) return false;
    return name === undefined || (rows.maskOf(row, id)?.(name) ?? true);
  }

  #refused(
    verb: WriteVerb,
    permits: readonly RowPermit[],
    id: RecordId,
    before: Row | undefined,
    named: readonly string[],
  ): NodeError {
    const { typeName } = this.#definition;
    const uncovered = named.find((name) => !permits.some((one) => one.coversAttributes([name])));
    const isSeen = before !== undefined && this.#sees(id, before);
    const what =
      permits.length === 0
        ? typeName
        : uncovered !== undefined
          ? `${uncovered} of ${typeName}`
          : isSeen && !permits.some((permit) => isOver(permit, id, before))
            ? `this record of ${typeName}`
            : `${typeName}/${String(id)} so: it may not be what it would become`;
    return refusal(refusalOf(this.#principal), { verb, what });
  }
}

const isOver = (permit: RowPermit, id: RecordId, before: Row | undefined): boolean =>
  before === undefined ? permit.coversKey(id) : permit.covers(before, id);

/** The attributes which the permit does not cover, as they stand. */
function kept(permit: RowPermit, before: Row | undefined, { primaryKey }: TableDefinition): Row {
  const { attributes } = permit;
  if (before === undefined || attributes === undefined) return {};
  const entries = Object.entries(before);
  return Object.fromEntries(entries.filter(([name]) => name !== primaryKey && !attributes(name)));
}

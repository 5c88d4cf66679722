/**
 * The permits of one verb on one table, made ready to be held against rows. What is covered is what
 * one of them covers wholly; the attributes that are seen of a row are those of all permits which
 * cover it. Made once for each principal's grants and table.
 */
import { assert } from '../base/assert.ts';
import type { RecordId } from '../base/brands.ts';
import type { TableDefinition } from '../schema/definition.ts';
import type { Filter, Row, RowTest } from '../table/query/query.ts';
import {
  type AttributeMask,
  allOf,
  anyOf,
  grantedFilter,
  keyFilter,
  type RowView,
  rowTest,
} from '../table/query/row-view.ts';
import type { Permit } from './grants.ts';

/** One permit, held against whole rows. */
export class RowPermit {
  readonly attributes: AttributeMask | undefined;
  readonly key: string;
  /** What its rows satisfy; `undefined`: every row does. */
  readonly filter: Filter | undefined;
  readonly #permit: Permit;
  readonly #test: RowTest | undefined;

  /** Throws `QUERY_INVALID` for conditions that are none of the table's. */
  constructor(permit: Permit, definition: TableDefinition) {
    this.#permit = permit;
    this.attributes = permit.attributes;
    this.key = permit.signature;
    const { filter: text, keys, attributes } = permit;
    const filters = [
      ...(text === undefined ? [] : [grantedFilter(text, definition, attributes)]),
      ...(keys ?? []).map((condition) => keyFilter(definition, condition)),
    ].filter((each): each is Filter => each !== undefined);
    this.filter = allOf(filters);
    this.#test = this.filter && rowTest(this.filter);
  }

  coversKey(id: RecordId): boolean {
    return this.#permit.coversKey?.(id) ?? true;
  }

  covers(row: Row, id: RecordId): boolean {
    return this.#test === undefined || this.#test(row, id);
  }

  coversAttributes(names: Iterable<string>): boolean {
    const { attributes } = this;
    if (attributes === undefined) return true;
    for (const name of names) if (!attributes(name)) return false;
    return true;
  }

  /** Whether rows make no difference to it: what it says of a key is the whole. */
  get isOfKeysOnly(): boolean {
    return this.#permit.filter === undefined && this.attributes === undefined;
  }
}

export class RowAccess implements RowView {
  readonly key: string;
  readonly filter: Filter | undefined;
  readonly isMasked: boolean;
  readonly isOfKeysOnly: boolean;
  /** Those which cover all attributes come first. */
  readonly permits: readonly RowPermit[];
  readonly #masking: readonly RowPermit[];

  /** `masking`: the permits by which attributes of the rows are seen. */
  constructor(permits: readonly RowPermit[], masking: readonly RowPermit[] = permits) {
    assert(permits.length > 0, 'rows are covered by a permit');
    const rank = (permit: RowPermit): number => (permit.attributes === undefined ? 0 : 1);
    this.permits = [...permits].sort((one, other) => rank(one) - rank(other));
    this.key = [permits, masking].map((list) => list.map(({ key }) => key).join('|')).join(' of ');
    this.#masking = masking;
    this.isMasked = masking.some(({ attributes }) => attributes !== undefined);
    this.isOfKeysOnly = permits.every((permit) => permit.isOfKeysOnly);
    const filters = permits.map(({ filter }) => filter);
    const isEvery = filters.includes(undefined);
    this.filter = isEvery ? undefined : anyOf(filters.filter((each) => each !== undefined));
  }

  coversKey(id: RecordId): boolean {
    return this.permits.some((permit) => permit.coversKey(id));
  }

  covers(row: Row, id: RecordId): boolean {
    return this.permits.some((permit) => permit.covers(row, id));
  }

  maskOf(row: Row, id: RecordId): AttributeMask | undefined {
    if (!this.isMasked) return undefined;
    const masks: AttributeMask[] = [];
    for (const permit of this.#masking) {
      if (!permit.covers(row, id)) continue;
      if (permit.attributes === undefined) return undefined;
      masks.push(permit.attributes);
    }
    return masks.length === 1 ? masks[0] : (name) => masks.some((mask) => mask(name));
  }

  mayName(attribute: string): boolean {
    return this.permits.some(({ attributes }) => attributes?.(attribute) ?? true);
  }

  among(attributes: ReadonlySet<string>): RowAccess | undefined {
    if (!this.isMasked || attributes.size === 0) return this;
    const those = this.permits.filter((permit) => permit.coversAttributes(attributes));
    return those.length === 0 ? undefined : new RowAccess(those, this.#masking);
  }
}

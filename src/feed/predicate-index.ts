/**
 * Which filters a change can concern: filters that ask for one value of an indexed attribute are
 * found by that value, so that of thousands of followers with a condition each (`airport=SFO`) only
 * those are evaluated whose value the row has, or had. The others are always looked at.
 */
import { must } from '../base/assert.ts';
import type { IndexValue } from '../cache/entry.ts';
import type { AttributeDefinition, TableDefinition } from '../schema/definition.ts';
import { indexValueOf } from '../schema/indexed-values.ts';
import type { RowFilter } from '../table/query/row-filter.ts';

interface Grouped {
  readonly filter: RowFilter | undefined;
}

export class PredicateIndex<Group extends Grouped> {
  readonly #definition: TableDefinition;
  readonly #byValue = new Map<AttributeDefinition, Map<IndexValue, Set<Group>>>();
  readonly #others = new Set<Group>();

  constructor(definition: TableDefinition) {
    this.#definition = definition;
  }

  /** Whether rows need be looked at to tell. */
  get isSelective(): boolean {
    return this.#byValue.size > 0;
  }

  add(group: Group): void {
    const { values, value } = this.#placeOf(group) ?? {};
    if (values === undefined || value === undefined) {
      this.#others.add(group);
      return;
    }
    values.set(value, (values.get(value) ?? new Set()).add(group));
  }

  remove(group: Group): void {
    if (this.#others.delete(group)) return;
    const { attribute, values, value } = must(this.#placeOf(group), 'the place of a filter');
    const groups = values.get(value);
    groups?.delete(group);
    if (groups?.size === 0) values.delete(value);
    if (values.size === 0) this.#byValue.delete(attribute);
  }

  /** The filters that one of these rows may satisfy; no other does. */
  concerned(rows: readonly unknown[]): ReadonlySet<Group> {
    const found = new Set(this.#others);
    for (const row of rows) {
      if (typeof row !== 'object' || row === null) continue;
      for (const [attribute, values] of this.#byValue) {
        const held = (row as Readonly<Record<string, unknown>>)[attribute.name];
        for (const each of Array.isArray(held) ? [...held, null] : [held]) {
          const value = indexValueOf(attribute, each);
          const groups = value === undefined ? undefined : values.get(value);
          for (const group of groups ?? []) found.add(group);
        }
      }
    }
    return found;
  }

  #placeOf({ filter }: Group) {
    const indexed = filter?.indexed;
    if (indexed === undefined) return undefined;
    const attribute = this.#definition.attributes.find(({ name }) => name === indexed.attribute);
    // What is computed does not stand in the row.
    if (attribute === undefined || attribute.computed !== undefined) return undefined;
    const values = this.#byValue.get(attribute) ?? new Map<IndexValue, Set<Group>>();
    this.#byValue.set(attribute, values);
    return { attribute, values, value: indexed.value };
  }
}

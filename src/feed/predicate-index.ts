/**
 * Which filters a change can concern: filters that ask for one value of an indexed attribute are
 * found by that value, so that of thousands of followers with a condition each (`airport=SFO`) only
 * those are evaluated whose value the row has, or had. The others are always looked at.
 */
import { must } from '../base/assert.ts';
import type { IndexValue } from '../cache/entry.ts';
import type { IndexedCondition, RowFilter } from '../table/query/row-filter.ts';

interface Grouped {
  readonly filter: RowFilter | undefined;
}

/** The filters that ask for a value of one attribute. */
interface ByValue<Group> {
  readonly formOf: IndexedCondition['formOf'];
  readonly groups: Map<IndexValue, Set<Group>>;
}

export class PredicateIndex<Group extends Grouped> {
  readonly #byAttribute = new Map<string, ByValue<Group>>();
  readonly #others = new Set<Group>();

  /** Whether rows need be looked at to tell. */
  get isSelective(): boolean {
    return this.#byAttribute.size > 0;
  }

  add(group: Group): void {
    const indexed = group.filter?.indexed;
    if (indexed?.isStored !== true) {
      this.#others.add(group);
      return;
    }
    const { attribute, value, formOf } = indexed;
    const known = this.#byAttribute.get(attribute) ?? { formOf, groups: new Map() };
    this.#byAttribute.set(attribute, known);
    known.groups.set(value, (known.groups.get(value) ?? new Set()).add(group));
  }

  remove(group: Group): void {
    if (this.#others.delete(group)) return;
    const { attribute, value } = must(group.filter?.indexed, 'the value of a filter');
    const { groups } = must(this.#byAttribute.get(attribute), 'the filters of an attribute');
    groups.get(value)?.delete(group);
    if (groups.get(value)?.size === 0) groups.delete(value);
    if (groups.size === 0) this.#byAttribute.delete(attribute);
  }

  /** The filters that one of these rows may satisfy; no other does. */
  concerned(rows: readonly unknown[]): ReadonlySet<Group> {
    const found = new Set(this.#others);
    for (const row of rows) {
      if (typeof row !== 'object' || row === null) continue;
      for (const [attribute, { formOf, groups }] of this.#byAttribute) {
        const held = (row as Readonly<Record<string, unknown>>)[attribute];
        for (const each of Array.isArray(held) ? [...held, null] : [held]) {
          const value = formOf(each);
          if (value === undefined) continue;
          for (const group of groups.get(value) ?? []) found.add(group);
        }
      }
    }
    return found;
  }
}

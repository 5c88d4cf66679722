/**
 * What a query may speak of: the attributes of its table, the tables that relationships lead to,
 * and the functions behind computed attributes.
 */
import { must } from '../../base/assert.ts';
import type { Compute, ComputedAttributes } from '../../schema/computed.ts';
import type { TableDefinition } from '../../schema/definition.ts';
import type { Field } from './query.ts';

export interface QueryScope {
  readonly definition: TableDefinition;
  /** The table of that type; `undefined` where relationships are not followed. */
  related(typeName: string): QueryScope | undefined;
  /** `undefined` where nothing computes the attribute. */
  compute(attribute: string): Compute | undefined;
  /** Nothing is declared: any name is an attribute, whose values are as they are written. */
  readonly isOpen?: boolean | undefined;
}

/** A relationship from the side of the record that has it: rows there with `there` = `here`. */
export interface Relation {
  readonly name: string;
  readonly target: QueryScope;
  readonly here: Field;
  /** The primary key of the target, or an indexed attribute. */
  readonly there: Field;
  readonly isList: boolean;
}

/** The scopes of all tables of a schema, which lead to one another. */
export function createScopes(
  definitions: readonly TableDefinition[],
  computed: ComputedAttributes,
): (definition: TableDefinition) => QueryScope {
  const byType = new Map<string, QueryScope>();
  for (const definition of definitions) {
    byType.set(definition.typeName, {
      definition,
      related: (typeName) => byType.get(typeName),
      compute: (attribute) => computed.get(definition.name, attribute),
    });
  }
  return ({ typeName }) => must(byType.get(typeName), `the scope of ${typeName}`);
}

/** A record by itself, as a subscription looks at it: nothing is followed, nothing computed. */
export const recordScope = (definition: TableDefinition): QueryScope => ({
  definition,
  related: () => undefined,
  compute: () => undefined,
});

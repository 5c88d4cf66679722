/**
 * What a query may speak of: the attributes of its table, the tables that relationships lead to,
 * and the functions behind computed attributes.
 */
import { must } from '../../base/assert.ts';
import type { EpochMs, TableName } from '../../base/brands.ts';
import type { DecisionContext } from '../../cache/decide.ts';
import type { Compute, ComputedAttributes } from '../../schema/computed.ts';
import type { TableDefinition } from '../../schema/definition.ts';
import type { Field } from './query.ts';

export interface QueryScope {
  readonly definition: TableDefinition;
  /** The table of that type; `undefined` where relationships are not followed. */
  related(typeName: string): QueryScope | undefined;
  /** `undefined` where nothing computes the attribute. */
  compute(attribute: string): Compute | undefined;
  /**
   * By what rows are judged where no request says more: the policy of their table. Without it by
   * their times alone.
   */
  readonly judged?: ((now: EpochMs) => DecisionContext | undefined) | undefined;
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

/** By what the rows of a table are judged, at that instant. */
export type JudgedBy = (table: TableName, now: EpochMs) => DecisionContext | undefined;

/** The scopes of all tables of a schema, which lead to one another. */
export function createScopes(
  definitions: readonly TableDefinition[],
  computed: ComputedAttributes,
  judgedBy?: JudgedBy,
): (definition: TableDefinition) => QueryScope {
  const byType = new Map<string, QueryScope>();
  for (const definition of definitions) {
    byType.set(definition.typeName, {
      definition,
      related: (typeName) => byType.get(typeName),
      compute: (attribute) => computed.get(definition.name, attribute),
      judged: judgedBy && ((now) => judgedBy(definition.name, now)),
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

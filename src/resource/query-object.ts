/** A query as code writes it: conditions, order, window and parts as plain objects. */

/** The last eight are short for those before them. */
export type Comparator =
  | 'equals'
  | 'not_equal'
  | 'greater_than'
  | 'greater_than_equal'
  | 'less_than'
  | 'less_than_equal'
  | 'starts_with'
  | 'contains'
  | 'ends_with'
  | 'between'
  | 'eq'
  | 'ne'
  | 'gt'
  | 'ge'
  | 'lt'
  | 'le'
  | 'sw'
  | 'ct'
  | 'ew';

export interface AttributeCondition {
  /** A name, or the way into nested objects and related records. */
  readonly attribute: string | readonly string[];
  readonly comparator?: Comparator | undefined;
  /** `between` takes a pair; a text is read as a number, date or truth where the table says so. */
  readonly value: unknown;
}

export interface ConditionGroup {
  /** How the conditions are joined; `and` when it is left out. */
  readonly operator?: 'and' | 'or' | undefined;
  readonly conditions: readonly QueryCondition[];
}

export type QueryCondition = AttributeCondition | ConditionGroup;

export interface QuerySort {
  readonly attribute: string | readonly string[];
  readonly descending?: boolean | undefined;
  readonly next?: QuerySort | undefined;
}

/** A part of a record: an attribute, or what is wanted of the objects that it leads to. */
export type QuerySelection =
  | string
  | { readonly name: string; readonly select?: QuerySelect | undefined };

/** One name yields bare values, a list of them objects, or lists with `asArray`. */
export type QuerySelect =
  | string
  | (readonly QuerySelection[] & { readonly asArray?: boolean | undefined });

export interface QueryObject {
  readonly conditions?: readonly QueryCondition[] | undefined;
  readonly operator?: 'and' | 'or' | undefined;
  readonly limit?: number | undefined;
  readonly offset?: number | undefined;
  readonly sort?: QuerySort | undefined;
  readonly select?: QuerySelect | undefined;
  /** Further says which of the rows found are wanted. It sees stored records, and may not wait. */
  readonly rowFilter?: ((record: Readonly<Record<string, unknown>>) => boolean) | undefined;
  /** One row that says how the query would be answered. */
  readonly explain?: boolean | undefined;
  /** What other planners want to be told; this one needs neither. */
  readonly enforceExecutionOrder?: boolean | undefined;
  readonly allowFullScan?: boolean | undefined;
}

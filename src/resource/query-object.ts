/** A query as code writes it: conditions, order and window as plain objects. */

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
  | 'between';

export interface AttributeCondition {
  /** A name, or the way into nested objects. */
  readonly attribute: string | readonly string[];
  readonly comparator?: Comparator | undefined;
  /** `between` takes a pair; a text is read as a number, date or truth where the table says so. */
  readonly value: unknown;
}

export interface ConditionGroup {
  readonly operator: 'and' | 'or';
  readonly conditions: readonly QueryCondition[];
}

export type QueryCondition = AttributeCondition | ConditionGroup;

export interface QuerySort {
  readonly attribute: string | readonly string[];
  readonly descending?: boolean | undefined;
  readonly next?: QuerySort | undefined;
}

export interface QueryObject {
  readonly conditions?: readonly QueryCondition[] | undefined;
  readonly operator?: 'and' | 'or' | undefined;
  readonly limit?: number | undefined;
  readonly offset?: number | undefined;
  readonly sort?: QuerySort | undefined;
  /** One name yields bare values, several yield objects. */
  readonly select?: string | readonly string[] | undefined;
}

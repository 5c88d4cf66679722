/**
 * A query as data: what `parseQuery` makes of the text of a URL, and what planner and reader work
 * from. Values are already of their attribute's kind; nothing here refers to the text but the
 * positions.
 *
 * A missing attribute and `null` are the same. A condition on a list holds when one element
 * satisfies it; `ne` is the exact opposite of `eq`.
 */
import type { RecordId } from '../../base/brands.ts';
import type { Compute } from '../../schema/computed.ts';
import type { AttributeDefinition, ScalarType } from '../../schema/definition.ts';
import type { KeyCondition, RowViews } from './row-view.ts';
import type { Relation } from './scope.ts';

/** What a condition compares with. Dates are milliseconds since 1970. */
export type QueryValue = string | number | bigint | boolean | null;

/** What a condition, a sort key or a projection looks at. */
export interface Field {
  /** One name, or the way into nested objects. */
  readonly path: readonly string[];
  /** Type of the innermost value; `Any` when nothing declares it. */
  readonly type: ScalarType;
  /** A record may have several values: it is a list, lies below one, or nothing declares it. */
  readonly isMultiple: boolean;
  readonly isKey: boolean;
  /** The declared attribute when it has an ordered index. */
  readonly indexed: AttributeDefinition | undefined;
  /** Its text is a part of the key. */
  readonly inKey?: AttributeDefinition['inKey'];
  /** Yields the value of a computed attribute. */
  readonly compute?: Compute | undefined;
  /** The field is one of a related record; `path` leads there from this one. */
  readonly joined?: { readonly relation: Relation; readonly field: Field } | undefined;
}

export type Test =
  | { readonly kind: 'eq' | 'ne'; readonly value: QueryValue }
  /** Bounds are of one kind; a value of another kind lies outside. */
  | { readonly kind: 'range'; readonly from?: Bound | undefined; readonly to?: Bound | undefined }
  | { readonly kind: 'prefix' | 'suffix' | 'contains'; readonly text: string }
  /** Of primary keys, made by grants and never by a client. */
  | ({ readonly kind: 'key' } & KeyCondition);

export interface Bound {
  readonly value: Exclude<QueryValue, null>;
  readonly isOpen: boolean;
}

export interface Condition {
  readonly kind: 'condition';
  readonly field: Field;
  readonly test: Test;
  /** Of a grant, on what its holder may not read: no order and no cursor may come from it. */
  readonly isVeiled?: boolean | undefined;
}

export interface Group {
  readonly kind: 'and' | 'or';
  readonly filters: readonly Filter[];
}

export type Filter = Condition | Group;

export interface SortKey {
  readonly field: Field;
  readonly isDescending: boolean;
}

/** One attribute of a projection, whole or cut down further. */
export interface Selection {
  readonly name: string;
  readonly nested?: readonly Selection[] | undefined;
  readonly compute?: Compute | undefined;
  /** The records that a relationship leads to; `nested` is of theirs. */
  readonly relation?: Relation | undefined;
}

export interface Select {
  /** `value`: bare values of the one attribute; `object` and `array`: of all of them. */
  readonly shape: 'value' | 'object' | 'array';
  readonly selections: readonly Selection[];
}

export interface Query {
  readonly filter: Filter | undefined;
  readonly sort: readonly SortKey[];
  readonly select: Select | undefined;
  readonly offset: number;
  readonly limit: number;
  /** `after()` or `after(<cursor>)`: answers come as pages with a cursor; '' begins. */
  readonly after: string | undefined;
  /** How many rows match, instead of the rows. */
  readonly isCount?: boolean | undefined;
  readonly isExplain: boolean;
  /** The same for the same conditions and order; a cursor belongs to it. */
  readonly signature: string;
  /** Given by code: further says which rows match. */
  readonly accepts?: ((row: Row) => boolean) | undefined;
  /** What whoever asks may see; absent: everything. `restrictQuery` has put them in. */
  readonly views?: RowViews | undefined;
}

/** A record as it came out of JSON. */
export type Row = Readonly<Record<string, unknown>>;

/** Whether a row satisfies a filter; `id` is the record's key, which the row need not repeat. */
export type RowTest = (row: Row, id: RecordId) => boolean;

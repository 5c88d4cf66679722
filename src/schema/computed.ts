/**
 * How computed attributes get their values: a function for each, by table and attribute, on one
 * thread. `@computed(from: …)` registers its expression here, application code its own function;
 * queries, projections and index values look here. Holds functions only, never values.
 */
import type { TableName } from '../base/brands.ts';

/** Pure: the same record, the same value. May throw, which counts as no value. */
export type Compute = (record: Readonly<Record<string, unknown>>) => unknown;

export class ComputedAttributes {
  readonly #functions = new Map<string, Compute>();

  /** A later function takes the place of an earlier one. */
  set(table: TableName, attribute: string, compute: Compute): void {
    this.#functions.set(keyOf(table, attribute), compute);
  }

  /** `undefined` when nothing computes the attribute. */
  get(table: TableName, attribute: string): Compute | undefined {
    return this.#functions.get(keyOf(table, attribute));
  }
}

const keyOf = (table: TableName, attribute: string): string => `${table}\n${attribute}`;

/**
 * The value that a function yields, as JSON knows it: dates as ISO 8601 text, what JSON cannot say
 * as `undefined`, and so is what the function throws.
 */
export function computedValue(
  compute: Compute,
  record: Readonly<Record<string, unknown>>,
): unknown {
  try {
    return plain(compute(record));
  } catch {
    return undefined;
  }
}

/** Why a value cannot be computed; `undefined` when it can. */
export function computeFault(
  compute: Compute,
  record: Readonly<Record<string, unknown>>,
): string | undefined {
  try {
    plain(compute(record));
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function plain(value: unknown): unknown {
  switch (typeof value) {
    case 'number':
      return Number.isFinite(value) ? value : undefined;
    case 'string':
    case 'boolean':
      return value;
    case 'bigint':
      return String(value);
    case 'object':
      // What JSON would make of it later, so that queries and answers see the same.
      return value === null ? undefined : JSON.parse(JSON.stringify(value) ?? 'null');
    default:
      return undefined;
  }
}

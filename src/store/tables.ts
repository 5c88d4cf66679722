/**
 * The trees of each table: its entries, and one for each indexed attribute. Also the trees which
 * all tables share. Opened once, at start, on every thread.
 */

import type { TableName } from '../base/brands.ts';
import { NodeError } from '../base/errors.ts';
import type { TableDefinition } from '../schema/definition.ts';
import type { Engine, Tree } from './engine.ts';

export interface TableTrees {
  readonly name: TableName;
  /** Its line in shared memory. */
  readonly index: number;
  readonly definition: TableDefinition;
  readonly entries: Tree;
  readonly indexes: ReadonlyMap<string, Tree>;
  /** A cache over an origin: its entries may be evicted for room. */
  readonly sourced: boolean;
}

export interface Trees {
  readonly tables: ReadonlyMap<TableName, TableTrees>;
  /** [table, second of eviction, ...entry key] → nothing. */
  readonly expiry: Tree;
  /** sequence → change. */
  readonly log: Tree;
  /**
   * [body number, chunk] → bytes; [true, instant, body number]: to be removed after the instant;
   * name of a file → number of rows that name it.
   */
  readonly bodies: Tree;
  /** [table, kind, ...name] → times. */
  readonly scopes: Tree;
  readonly meta: Tree;
}

/** Attributes that have an index of their own; the primary key needs none. */
export const indexedAttributes = (definition: TableDefinition): readonly string[] =>
  definition.attributes
    .filter((attribute) => attribute.indexed && !attribute.primaryKey)
    .map((attribute) => attribute.name);

/**
 * What an index was built from: an attribute that is computed in another way, or has another
 * `version`, needs another index.
 */
export function indexForm({ definition }: TableTrees, attribute: string): string | true {
  const { computed } = definition.attributes.find(({ name }) => name === attribute) ?? {};
  return computed === undefined ? true : `${computed.version ?? 0} ${computed.from ?? ''}`;
}

/** Trees that `openTrees` will open: an engine may need the number beforehand. */
export const treeCount = (definitions: readonly TableDefinition[]): number =>
  definitions.reduce((sum, definition) => sum + 1 + indexedAttributes(definition).length, 5);

export function openTrees(engine: Engine, definitions: readonly TableDefinition[]): Trees {
  const tables = new Map<TableName, TableTrees>();
  definitions.forEach((definition, index) => {
    const { name } = definition;
    const indexes = indexedAttributes(definition).map(
      (attribute) => [attribute, engine.tree(indexTreeName(name, attribute))] as const,
    );
    tables.set(name, {
      name,
      index,
      definition,
      entries: engine.tree(`table/${name}`),
      indexes: new Map(indexes),
      sourced: definition.sourcedFrom !== undefined || definition.pages !== undefined,
    });
  });
  return {
    tables,
    expiry: engine.tree('expiry'),
    log: engine.tree('log'),
    bodies: engine.tree('bodies'),
    scopes: engine.tree('scopes'),
    meta: engine.tree('meta'),
  };
}

export const indexTreeName = (table: TableName, attribute: string): string =>
  `index/${table}/${attribute}`;

/** Throws `TABLE_UNKNOWN` for a table that was not declared at start. */
export function tableOf(trees: Trees, name: TableName): TableTrees {
  const table = trees.tables.get(name);
  if (table === undefined) {
    throw new NodeError(
      'TABLE_UNKNOWN',
      `the store has no table ${name}: is it in schema.graphql?`,
      {
        details: { table: name },
      },
    );
  }
  return table;
}

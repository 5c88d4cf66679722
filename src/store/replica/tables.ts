/**
 * How the changes of each table travel between nodes. Tables of the application hold the same rows
 * everywhere unless `replicate: false`; caches are filled by each node for itself, and only what
 * invalidates them travels, unless they are to share their entries. What a node notices for itself
 * (sessions, audit) stays with it.
 */
import type { TableName } from '../../base/brands.ts';
import type { TableDefinition } from '../../schema/definition.ts';

/** `entries`: invalidations, and what fills brought. */
export type TableMode = 'rows' | 'invalidations' | 'entries';

/** `undefined`: nothing of the table travels. */
export function modeOf(definition: TableDefinition): TableMode | undefined {
  const { replicate, sourcedFrom, pages } = definition;
  if (replicate === false || replicate === 'none') return undefined;
  if (replicate === 'entries') return 'entries';
  const isCache = sourcedFrom !== undefined || pages !== undefined;
  return isCache || replicate === 'invalidations' ? 'invalidations' : 'rows';
}

export function modesOf(
  definitions: readonly TableDefinition[],
): ReadonlyMap<TableName, TableMode> {
  const modes = new Map<TableName, TableMode>();
  for (const definition of definitions) {
    const mode = modeOf(definition);
    if (mode !== undefined) modes.set(definition.name, mode);
  }
  return modes;
}

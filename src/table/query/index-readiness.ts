/**
 * Refuses a query whose way leads through an index that is still being built: it holds a part of
 * the rows, and an answer that silently lacks some is worse than none.
 */
import type { TableName } from '../../base/brands.ts';
import { NodeError } from '../../base/errors.ts';
import type { StoreReader } from '../store-port.ts';
import type { Access } from './access.ts';

/** Throws `INDEX_BUILDING`, which says to come back. */
export function requireIndexes(
  access: Access,
  table: TableName,
  reader: Pick<StoreReader, 'isIndexComplete'>,
): void {
  if (access.kind === 'union') {
    for (const branch of access.branches) requireIndexes(branch.access, table, reader);
    return;
  }
  if (access.kind === 'index') requireIndex(table, access.span.attribute, reader);
  if (access.kind !== 'join') return;
  const { target, here } = access.relation;
  requireIndexes(access.inner, target.definition.name, reader);
  if (here.indexed !== undefined && !here.isKey) requireIndex(table, here.indexed.name, reader);
}

/** Throws `INDEX_BUILDING`. */
export function requireIndex(
  table: TableName,
  attribute: string,
  reader: Pick<StoreReader, 'isIndexComplete'>,
): void {
  if (reader.isIndexComplete(table, attribute)) return;
  throw new NodeError(
    'INDEX_BUILDING',
    `the index of ${table}.${attribute} is being built; try again in a while`,
    { retry: 'later', details: { attribute } },
  );
}

/**
 * Numbers for generated keys, kept in the store's meta: reserved inside a transaction, so that
 * those of one transaction which fails are simply given again, and those of one that committed
 * never are. A reservation is on disk before any record which uses it: commits are flushed in their
 * order.
 */
import type { TableDefinition } from '../schema/definition.ts';
import { createIdRange } from '../schema/id-range.ts';
import type { Tree } from './engine.ts';
import { readIdRange, writeIdRange } from './meta.ts';

/** `count` consecutive numbers never given before, the first of them. Only inside a transaction. */
export function reserveIdNumbers(meta: Tree, definition: TableDefinition, count: number): number {
  const isInt = definition.attributes.some((each) => each.primaryKey && each.type === 'Int');
  const range = createIdRange(
    // One at a time beyond what is asked: the caller reserves blocks already.
    { type: isInt ? 'Int' : 'Long', author: undefined, block: 1 },
    {
      load: () => readIdRange(meta, definition.name),
      save: (state) => writeIdRange(meta, definition.name, state),
      isTaken: () => false,
    },
  );
  return range.reserve(count);
}

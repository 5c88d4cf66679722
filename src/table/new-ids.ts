/**
 * Keys for records that come without one: random text, or the next number of a block which this
 * thread has reserved from the store. Requests that meet while a block is on its way share it.
 */
import type { RecordId } from '../base/brands.ts';
import type { TableDefinition } from '../schema/definition.ts';
import type { StoreWriter } from './store-port.ts';

/** Numbers reserved at a time; the rest of a block is lost when the node ends. */
const BLOCK = 64;

/**
 * Makes the function that yields a new key, text by `uuid`; it rejects with the errors of
 * `reserveIds`.
 */
export function createNewIds(
  definition: TableDefinition,
  writer: StoreWriter,
  uuid: () => string,
): () => Promise<RecordId> {
  if (definition.primaryKeyType === 'string') return async () => uuid();
  let next = 0;
  let end = 0;
  let reserving: Promise<void> | undefined;
  const reserve = async (): Promise<void> => {
    next = await writer.reserveIds(definition.name, BLOCK);
    end = next + BLOCK;
  };
  return async () => {
    while (next >= end) {
      reserving ??= reserve().finally(() => {
        reserving = undefined;
      });
      await reserving;
    }
    const id = next;
    next += 1;
    return id;
  };
}

/**
 * About how many bytes an item takes on a connection and in memory: for windows and for the sizes
 * of batches, which need no exact measure. Bodies are measured, the rest is a fixed part a field.
 */
import type { RowState } from '../cache/row-state.ts';
import type { Item } from './ports.ts';

const HEAD_BYTES = 96;
const ATTRIBUTE_BYTES = 64;

const countOf = (named: object | undefined): number =>
  named === undefined ? 0 : Object.keys(named).length;

export function stateBytes({ body, touched, content, blobs }: RowState): number {
  const held = body instanceof Uint8Array ? body.length : 0;
  const parts = countOf(touched) + countOf(blobs);
  const groups = content?.groups?.length ?? 0;
  return (
    HEAD_BYTES + held + (content?.publication?.length ?? 0) + (parts + groups) * ATTRIBUTE_BYTES
  );
}

export function itemBytes(item: Item): number {
  switch (item.kind) {
    case 'row':
      return HEAD_BYTES + stateBytes(item.state);
    case 'message':
      return HEAD_BYTES + item.body.length + (item.publication?.length ?? 0);
    case 'entry':
      return (
        HEAD_BYTES + item.entry.body.length + (item.entry.groups?.length ?? 0) * ATTRIBUTE_BYTES
      );
    case 'invalidation':
      return HEAD_BYTES;
  }
}

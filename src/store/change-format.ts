/**
 * A change as it stands in the log and in the ring: a msgpack sequence, plain and
 * self-describing, so that an old log is readable after an upgrade. The log carries a body only
 * for messages and for tables with history; the ring carries the rows before and after beside it.
 */
import type {
  EpochMs,
  NodeId,
  RecordId,
  RecordVersion,
  Sequence,
  TableName,
} from '../base/brands.ts';
import type { Change } from '../table/store-port.ts';
import { packPlain, unpackPlain } from './entry-format.ts';

type Packed = readonly [
  version: RecordVersion,
  author: NodeId,
  at: EpochMs,
  table: TableName,
  op: Change['op'],
  id: RecordId | null,
  size: number,
  body?: Uint8Array,
];

/** The log's value for a change; `keepBody` puts the row after (or the message) into it. */
export function encodeChange(change: Change, keepBody: boolean): Buffer {
  const size = change.after?.length ?? 0;
  const { version, author, at, table, op } = change;
  const head: Packed = [version, author, at, table, op, change.id ?? null, size];
  return packPlain(keepBody && change.after !== undefined ? [...head, change.after] : head);
}

export function decodeChange(sequence: Sequence, bytes: Uint8Array): Change {
  const [version, author, at, table, op, id, , after] = unpackPlain(bytes) as Packed;
  const body = after === undefined ? undefined : new Uint8Array(after);
  return { sequence, version, author, at, table, op, id: id ?? undefined, after: body };
}

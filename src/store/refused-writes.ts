/**
 * What clients may not write for now, since other nodes would not hold what they were answered:
 * nothing while the clock runs ahead of theirs, or another node has this one's name; and no patch
 * of a record that is not here while this node has yet to be told what the others hold. Such a
 * patch, an addition above all, would be one of nothing, and go under when the record comes.
 */
import type { RecordId } from '../base/brands.ts';
import { NodeError } from '../base/errors.ts';
import type { WriteOp } from '../table/store-port.ts';
import { isLocalEntry } from './entry-format.ts';
import { entryKey, keyBeneath } from './keys.ts';
import { type TableTrees, type Trees, tableOf } from './tables.ts';

const isClients = (op: WriteOp): boolean => 'reason' in op && op.reason === 'client';

/** Throws `CLOCK_AHEAD`: they would be stamped with a time that other nodes refuse. */
export function refuseStamps(ops: readonly WriteOp[], aheadMs: number): void {
  if (!ops.some((op) => isClients(op) || op.kind === 'message')) return;
  const seconds = Math.round(aheadMs / 1000);
  throw new NodeError(
    'CLOCK_AHEAD',
    `the clock of this node is ${seconds} s ahead of what most other nodes say, so they would ` +
      'refuse what is written here; set the clock right (NTP) and start the node again',
    { retry: 'later', details: { aheadMs } },
  );
}

/** Throws `NAME_TAKEN`: no other node would be told of them. */
export function refuseNamesake(ops: readonly WriteOp[], by: string): void {
  if (!ops.some((op) => isClients(op) || op.kind === 'message')) return;
  throw new NodeError(
    'NAME_TAKEN',
    `another node of the cluster has this one's name, and ${by} lets that one in: nobody would ` +
      'be told of what is written here; stop the other, or name this one otherwise (--node-name)',
    { retry: 'later', details: { by } },
  );
}

/** Whether there is a row that other nodes share; one of this node alone may lie over it. */
function isHere({ entries }: TableTrees, id: RecordId): boolean {
  const bytes = entries.get(entryKey(id, ''));
  if (bytes === undefined) return false;
  return !isLocalEntry(bytes) || entries.get(keyBeneath(id)) !== undefined;
}

/** Throws `CATCHING_UP`. */
export function refuseBlindPatches(ops: readonly WriteOp[], trees: Trees): void {
  for (const op of ops) {
    if (op.kind !== 'patch' || op.isLocal === true || !isClients(op)) continue;
    if (isHere(tableOf(trees, op.table), op.id)) continue;
    throw new NodeError(
      'CATCHING_UP',
      `${op.table} ${op.id} is not here, and this node is still being told what the others hold, ` +
        'so nobody knows what would be patched; try again soon, or write to another node',
      { retry: 'later' },
    );
  }
}

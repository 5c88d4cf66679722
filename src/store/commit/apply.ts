/**
 * One write operation inside a commit, whatever its kind. An outcome is a value; what throws here
 * is a mistake of our own and takes the whole transaction with it.
 */
import { unreachable } from '../../base/assert.ts';
import type { TableName } from '../../base/brands.ts';
import type { WriteOp, WriteOutcome } from '../../table/store-port.ts';
import type { TableInvalidations } from '../invalidations.ts';
import type { Batch } from './batch.ts';
import { outdateReaders } from './named-records.ts';
import { applyDelete, applyEvict, applyInvalidate, applyMessage } from './others.ts';
import { applyPatch } from './patch.ts';
import { applyPut } from './put.ts';

export function applyOp(
  batch: Batch,
  op: WriteOp,
  invalidations: (table: TableName) => TableInvalidations,
): WriteOutcome {
  const from = batch.changes.length;
  const outcome = applyAlone(batch, op, invalidations);
  outdateReaders(batch, from);
  return outcome;
}

function applyAlone(
  batch: Batch,
  op: WriteOp,
  invalidations: (table: TableName) => TableInvalidations,
): WriteOutcome {
  switch (op.kind) {
    case 'put':
      return applyPut(batch, op, invalidations);
    case 'patch':
      return applyPatch(batch, op, invalidations);
    case 'delete':
      return applyDelete(batch, op, invalidations);
    case 'invalidate':
      return applyInvalidate(batch, op);
    case 'message':
      return applyMessage(batch, op);
    case 'evict':
      return applyEvict(batch, op);
    default:
      return unreachable(op);
  }
}

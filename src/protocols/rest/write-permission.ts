/**
 * What a principal may write: everything, only new records, or only records that are there. The
 * narrower grants become preconditions of the write, so the commit decides and no race lies between
 * looking and writing. Grants that are limited to keys, rows or attributes become a guard, which
 * judges each record and lets the write succeed only over what it judged.
 */
import { accessTo, authorise, type Verdict } from '../../access/authorise.ts';
import { createWriteGuard } from '../../access/write-guard.ts';
import type { Verb } from '../../schema/definition.ts';
import type { WriteGuard } from '../../table/guarded-write.ts';
import type { WriteCondition, WriteOutcome } from '../../table/store-port.ts';
import { accessed, type RestCall, refuse } from './rest-call.ts';

export interface WritePermission {
  /** The request's own preconditions and those of the grant. */
  readonly condition: WriteCondition;
  /** Judges each record; absent where the grants make no difference between records. */
  readonly guard?: WriteGuard | undefined;
  /** Answers 401 or 403, and yields true, when the write failed because of the grant. */
  refused(outcome: WriteOutcome): boolean;
}

/** `undefined` after a refusal was sent. */
export function writePermission(
  call: RestCall,
  asked: WriteCondition,
): WritePermission | undefined {
  const { definition } = call.resource.table;
  // Who sees a part of a record knows it by another tag than the commit does.
  const isByPart = Object.keys(asked).length > 0 && isLimited(call, 'read');
  if (isByPart || isLimited(call, 'insert') || isLimited(call, 'update')) {
    const guard = createWriteGuard(call.principal, definition);
    return { condition: asked, guard, refused: () => false };
  }
  const insert = authorise(call.principal, definition, 'insert');
  const update = authorise(call.principal, definition, 'update');
  if (insert === 'allowed' && update === 'allowed') {
    return { condition: asked, refused: () => false };
  }
  if (update === 'allowed') {
    const condition: WriteCondition = { ifMatch: '*', ...asked };
    return { condition, refused: (outcome) => refusedAs(call, outcome, 'insert', insert) };
  }
  if (insert === 'allowed') {
    const condition: WriteCondition = { ...asked, ifNoneMatch: '*' };
    return { condition, refused: (outcome) => refusedAs(call, outcome, 'update', update) };
  }
  refuse(call.exchange, call.resource.table.definition, 'update', update);
  return undefined;
}

/** What a principal may make, or delete; `undefined` after a refusal was sent. */
export function permission(
  call: RestCall,
  verb: 'insert' | 'delete',
  asked: WriteCondition = {},
): Pick<WritePermission, 'guard'> | undefined {
  const access = accessed(call, verb);
  if (access === undefined) return undefined;
  const isByPart = Object.keys(asked).length > 0 && isLimited(call, 'read');
  if (access === 'whole' && !isByPart) return {};
  return { guard: createWriteGuard(call.principal, call.resource.table.definition) };
}

const isLimited = (
  { principal, resource }: RestCall,
  verb: 'read' | 'insert' | 'update',
): boolean => accessTo(principal, resource.table.definition, verb).kind === 'limited';

/** Whether what the write ran into is that it would have been an `insert` or an `update`. */
function refusedAs(
  call: RestCall,
  outcome: WriteOutcome,
  verb: Extract<Verb, 'insert' | 'update'>,
  verdict: Verdict,
): boolean {
  if (outcome.kind !== 'preconditionFailed' || verdict === 'allowed') return false;
  const exists = outcome.current !== undefined;
  if (exists !== (verb === 'update')) return false;
  refuse(call.exchange, call.resource.table.definition, verb, verdict);
  return true;
}

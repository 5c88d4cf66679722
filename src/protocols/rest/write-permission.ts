/**
 * What a principal may write: everything, only new records, or only records that are there. The
 * narrower grants become preconditions of the write, so the commit decides and no race lies between
 * looking and writing.
 */
import { authorise, type Verdict } from '../../access/authorise.ts';
import type { Verb } from '../../schema/definition.ts';
import type { WriteCondition, WriteOutcome } from '../../table/store-port.ts';
import { type RestCall, refuse } from './rest-call.ts';

export interface WritePermission {
  /** The request's own preconditions and those of the grant. */
  readonly condition: WriteCondition;
  /** Answers 401 or 403, and yields true, when the write failed because of the grant. */
  refused(outcome: WriteOutcome): boolean;
}

/** `undefined` after a refusal was sent. */
export function writePermission(
  call: RestCall,
  asked: WriteCondition,
): WritePermission | undefined {
  const { definition } = call.resource.table;
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

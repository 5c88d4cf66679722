/**
 * What a principal may do with a table: verdicts as data, the same for every protocol. Whatever is
 * not granted is refused. A grant that is limited to keys covers a record whose key is given; one
 * that is limited to rows or attributes covers nothing by itself: a protocol that holds what it
 * reads and writes against such limits asks `permitsOf` which there are.
 */
import type { RecordId } from '../base/brands.ts';
import type { TableDefinition, Verb } from '../schema/definition.ts';
import { type Access, type Permit, WHOLE } from './grants.ts';
import type { Principal } from './principal.ts';
import type { RowAccess } from './row-access.ts';

/** `unauthenticated`: signing in might help (401); `denied`: it would not (403). */
export type Verdict = 'allowed' | 'unauthenticated' | 'denied';

/** Whether the principal may use the verb on the whole table, or, with an `id`, on that record. */
export function authorise(
  principal: Principal,
  definition: TableDefinition,
  verb: Verb,
  id?: RecordId | undefined,
): Verdict {
  if (principal.kind === 'admin') return 'allowed';
  const permits = principal.grants.permits(definition)[verb];
  const covers = ({ coversKey, filter, attributes }: Permit): boolean =>
    filter === undefined &&
    attributes === undefined &&
    (coversKey === undefined || (id !== undefined && coversKey(id)));
  if (permits.some(covers)) return 'allowed';
  return principal.kind === 'anonymous' ? 'unauthenticated' : 'denied';
}

/**
 * The limits of what was `allowed`: covered is what one of the permits covers. `undefined` when
 * nothing is limited, which is the common case and costs nothing to hold a row against.
 */
export function permitsOf(
  principal: Principal,
  definition: TableDefinition,
  verb: Verb,
): readonly Permit[] | undefined {
  if (principal.kind === 'admin') return undefined;
  const permits = principal.grants.permits(definition)[verb];
  return permits.some(isUnlimited) ? undefined : permits;
}

const isUnlimited = ({ coversKey, filter, attributes }: Permit): boolean =>
  coversKey === undefined && filter === undefined && attributes === undefined;

/** What may be done with the table by the verb, for a protocol that holds rows against it. */
export function accessTo(principal: Principal, definition: TableDefinition, verb: Verb): Access {
  return principal.kind === 'admin' ? WHOLE : principal.grants.access(definition, verb);
}

/** Why a principal that may not, may not. */
export const refusalOf = ({ kind }: Principal): Exclude<Verdict, 'allowed'> =>
  kind === 'anonymous' ? 'unauthenticated' : 'denied';

/** What of a table a principal may follow; the same for every protocol that has subscriptions. */
export function subscribeAccess(
  principal: Principal,
  definition: TableDefinition,
): 'whole' | RowAccess | Exclude<Verdict, 'allowed'> {
  const access = accessTo(principal, definition, 'subscribe');
  if (access.kind === 'limited') return access.rows;
  return access.kind === 'whole' ? 'whole' : refusalOf(principal);
}

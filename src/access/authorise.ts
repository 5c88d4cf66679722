/**
 * What a principal may do with a table: a verdict as data, the same for every protocol. Whatever is
 * not granted is refused.
 */
import type { TableDefinition, Verb } from '../schema/definition.ts';
import type { Principal } from './principal.ts';

/** `unauthenticated`: signing in might help (401); `denied`: it would not (403). */
export type Verdict = 'allowed' | 'unauthenticated' | 'denied';

/** Anonymous clients may do what the export's `public` lists; the administrator everything. */
export function authorise(principal: Principal, definition: TableDefinition, verb: Verb): Verdict {
  if (principal.kind === 'admin') return 'allowed';
  return definition.export?.public.has(verb) === true ? 'allowed' : 'unauthenticated';
}

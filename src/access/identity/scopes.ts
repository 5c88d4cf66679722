/**
 * Scopes of an API key: `VERB:TABLE`, either of which may be `*`. They narrow what the key's user
 * may do and never widen it.
 */
import { type TableDefinition, VERBS, type Verb } from '../../schema/definition.ts';
import { type Grants, type Permit, PUBLIC_GRANTS, type TablePermits, WHOLE } from '../grants.ts';
import type { Principal } from '../principal.ts';

const SCOPE = /^(\*|[a-z]+):(\*|[A-Za-z_][\w./-]*)$/;

/** What is wrong with a scope; `undefined` when nothing is. */
export function scopeProblem(scope: string): string | undefined {
  const [, verb] = SCOPE.exec(scope) ?? [];
  if (verb !== undefined && (verb === '*' || VERBS.some((known) => known === verb))) {
    return undefined;
  }
  const shown = JSON.stringify(scope);
  return `${shown} is no scope; write VERB:TABLE, with * or one of ${VERBS.join(', ')}`;
}

/** The principal with no more than the scopes allow. Who may do everything becomes a user. */
export function narrowed(principal: Principal, scopes: readonly string[]): Principal {
  const grants = principal.kind === 'admin' ? EVERYTHING : principal.grants;
  const name = principal.kind === 'anonymous' ? '' : principal.name;
  const roles = principal.kind === 'user' ? principal.roles : [];
  return { kind: 'user', name, roles, grants: scoped(grants, scopes) };
}

const permitsOf = (of: (verb: Verb) => readonly Permit[]): TablePermits =>
  Object.fromEntries(VERBS.map((verb) => [verb, of(verb)])) as Record<Verb, readonly Permit[]>;

const UNLIMITED: readonly Permit[] = [Object.freeze({ signature: '' })];
const EVERYTHING: Grants = {
  permits: () => permitsOf(() => UNLIMITED),
  access: () => WHOLE,
  runs: () => true,
  anonymous: PUBLIC_GRANTS,
};

/** Outside the scopes is only what is public: a key's bearer could leave it out. */
function scoped(grants: Grants, scopes: readonly string[]): Grants {
  const within = (verb: Verb, definition: TableDefinition): Grants =>
    scopes.some((scope) => covers(scope, verb, definition)) ? grants : grants.anonymous;
  const compiled = new WeakMap<TableDefinition, TablePermits>();
  return {
    permits(definition) {
      let permits = compiled.get(definition);
      if (permits === undefined) {
        permits = permitsOf((verb) => within(verb, definition).permits(definition)[verb]);
        compiled.set(definition, permits);
      }
      return permits;
    },
    access: (definition, verb) => within(verb, definition).access(definition, verb),
    runs: () => false,
    anonymous: grants.anonymous,
  };
}

function covers(scope: string, verb: Verb, definition: TableDefinition): boolean {
  const [first = '', table = ''] = scope.split(':', 2);
  if (first !== '*' && first !== verb) return false;
  const names = ['*', definition.typeName, definition.name, definition.export?.name];
  return names.includes(table);
}

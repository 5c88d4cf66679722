/**
 * What some roles together grant, compiled from `roles.yaml` and the exports' `public` lists into
 * permits. A request is allowed when one permit of its verb covers it wholly: the table, the key
 * and, once it is known, the row and its attributes. Permits add up and never narrow one another;
 * what no permit covers is refused.
 *
 * Signed-in principals have the permits of `anonymous` too: they could drop their credentials.
 */
import type { RecordId } from '../base/brands.ts';
import { compileTopicFilter } from '../base/topic-filter.ts';
import type { RoleDefinition, Roles, TableGrant } from '../config/roles-file.ts';
import { type TableDefinition, VERBS, type Verb } from '../schema/definition.ts';
import { type AttributeMask, maskOf } from './attribute-mask.ts';
import { fillFilter, type UserFacts } from './row-condition.ts';

/** One thing that may be done with one table; a part left out does not narrow it. */
export interface Permit {
  /** Keys to which it is limited. */
  readonly coversKey?: ((id: RecordId) => boolean) | undefined;
  /** Conditions which a row must meet, in the query grammar, filled in for this principal. */
  readonly filter?: string | undefined;
  /** Attributes it covers; the primary key always. */
  readonly attributes?: AttributeMask | undefined;
}

/** The permits of each verb on one table. */
export type TablePermits = Readonly<Record<Verb, readonly Permit[]>>;

export interface Grants {
  permits(definition: TableDefinition): TablePermits;
}

/** Covers everything in its table. */
const UNLIMITED: Permit = Object.freeze({});

/** Compiles the grants of `names`; roles which are not declared grant nothing. */
export function compileGrants(roles: Roles, names: readonly string[], facts: UserFacts): Grants {
  const granting: Granting = {
    anonymous: roles.get('anonymous'),
    others: [...new Set(names)].flatMap((name) =>
      name === 'anonymous' ? [] : rolesOf(roles, name),
    ),
  };
  const compiled = new WeakMap<TableDefinition, TablePermits>();
  return {
    permits(definition) {
      let permits = compiled.get(definition);
      if (permits === undefined) {
        permits = tablePermits(definition, granting, facts);
        compiled.set(definition, permits);
      }
      return permits;
    },
  };
}

/** What `public` lists alone. */
export const PUBLIC_GRANTS: Grants = compileGrants(new Map(), [], {});

/** The roles whose grants add up. */
interface Granting {
  readonly anonymous: RoleDefinition | undefined;
  readonly others: readonly RoleDefinition[];
}

function rolesOf(roles: Roles, name: string): readonly RoleDefinition[] {
  const role = roles.get(name);
  return role === undefined ? [] : [role];
}

function tablePermits(
  definition: TableDefinition,
  { anonymous, others }: Granting,
  facts: UserFacts,
): TablePermits {
  const nobody = anonymous === undefined ? [] : grantsFor(anonymous, definition);
  const listed = others.flatMap((role) => grantsFor(role, definition));
  const grants = [withPublic(nobody[0] ?? {}, definition), ...listed];
  const of = (verb: Verb): readonly Permit[] => {
    const permits = grants.flatMap((grant) => permitOf(grant, verb, definition, facts) ?? []);
    return permits.includes(UNLIMITED) ? [UNLIMITED] : permits;
  };
  return Object.fromEntries(VERBS.map((verb) => [verb, of(verb)])) as Record<
    Verb,
    readonly Permit[]
  >;
}

/** `public` is a shorthand of the role `anonymous`: what that role says of a verb comes first. */
function withPublic(grant: TableGrant, { export: exported }: TableDefinition): TableGrant {
  const listed = [...(exported?.public ?? [])].map((verb) => [verb, true] as const);
  return { ...Object.fromEntries(listed), ...grant };
}

/** A table's own entry in a role stands for it instead of the role's `*`, not beside it. */
function grantsFor(role: RoleDefinition, definition: TableDefinition): readonly TableGrant[] {
  const names = [definition.typeName, definition.name, definition.export?.name];
  const own = names.flatMap((name) => (name === undefined ? [] : (role.tables[name] ?? [])));
  if (own.length > 0) return own.slice(0, 1);
  const every = role.tables['*'];
  return every === undefined ? [] : [every];
}

function permitOf(
  grant: TableGrant,
  verb: Verb,
  definition: TableDefinition,
  facts: UserFacts,
): Permit | undefined {
  if (grant[verb] !== true) return undefined;
  const filter = grant.filter === undefined ? undefined : fillFilter(grant.filter, facts);
  // A condition about a fact which this principal does not have is met by no row.
  if (filter === 'unmet') return undefined;
  const coversKey = keysOf(grant, verb);
  const attributes = maskOf(grant.attributes, verb, definition);
  if (coversKey === undefined && filter === undefined && attributes === undefined) {
    return UNLIMITED;
  }
  return { coversKey, filter, attributes };
}

function keysOf(grant: TableGrant, verb: Verb): ((id: RecordId) => boolean) | undefined {
  const denied = (grant.deny?.[verb] ?? []).map(compileTopicFilter);
  const covered = grant.keys?.map(compileTopicFilter);
  if (denied.length === 0 && covered === undefined) return undefined;
  return (id) => {
    const name = String(id);
    if (denied.some((matches) => matches(name))) return false;
    return covered === undefined || covered.some((matches) => matches(name));
  };
}

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
import type { AttributeMask, KeyCondition } from '../table/query/row-view.ts';
import { maskOf } from './attribute-mask.ts';
import { RowAccess, RowPermit } from './row-access.ts';
import { fillFilter, type UserFacts } from './row-condition.ts';

/** One thing that may be done with one table; a part left out does not narrow it. */
export interface Permit {
  /** Keys to which it is limited. */
  readonly coversKey?: ((id: RecordId) => boolean) | undefined;
  /** The same keys as conditions, all of which hold. */
  readonly keys?: readonly KeyCondition[] | undefined;
  /** The same for permits that cover the same. */
  readonly signature: string;
  /** Conditions which a row must meet, in the query grammar, filled in for this principal. */
  readonly filter?: string | undefined;
  /** Attributes it covers; the primary key always. */
  readonly attributes?: AttributeMask | undefined;
}

/** The permits of each verb on one table. */
export type TablePermits = Readonly<Record<Verb, readonly Permit[]>>;

/** What may be done by a verb with a table: all of it, some of its rows, or nothing. */
export type Access =
  | { readonly kind: 'whole' }
  | { readonly kind: 'limited'; readonly rows: RowAccess }
  | { readonly kind: 'none' };

export interface Grants {
  permits(definition: TableDefinition): TablePermits;
  access(definition: TableDefinition, verb: Verb): Access;
  /** Whether an operation of the admin port may be run, which its tables are judged for as well. */
  runs(operation: string): boolean;
  /** What is left without credentials. */
  readonly anonymous: Grants;
}

export const WHOLE: Access = Object.freeze({ kind: 'whole' });
const NONE: Access = Object.freeze({ kind: 'none' });

/** Covers everything in its table. */
const UNLIMITED: Permit = Object.freeze({ signature: '' });

/** Compiles the grants of `names`; roles which are not declared grant nothing. */
export function compileGrants(roles: Roles, names: readonly string[], facts: UserFacts): Grants {
  const granting: Granting = {
    anonymous: roles.get('anonymous'),
    others: [...new Set(names)].flatMap((name) =>
      name === 'anonymous' ? [] : rolesOf(roles, name),
    ),
  };
  const compiled = new WeakMap<TableDefinition, Compiled>();
  const of = (definition: TableDefinition): Compiled => {
    let found = compiled.get(definition);
    if (found === undefined) {
      const permits = tablePermits(definition, granting, facts);
      found = { permits, access: byVerb((verb) => accessBy(permits[verb], definition)) };
      compiled.set(definition, found);
    }
    return found;
  };
  const operations = new Set(granting.others.flatMap((role) => role.operations ?? []));
  const own = {
    permits: (definition: TableDefinition) => of(definition).permits,
    access: (definition: TableDefinition, verb: Verb) => of(definition).access[verb],
    runs: (operation: string) => operations.has(operation),
  };
  if (granting.others.length > 0) return { ...own, anonymous: compileGrants(roles, [], {}) };
  return {
    ...own,
    get anonymous() {
      return this;
    },
  };
}

interface Compiled {
  readonly permits: TablePermits;
  readonly access: Readonly<Record<Verb, Access>>;
}

function accessBy(permits: readonly Permit[], definition: TableDefinition): Access {
  if (permits.includes(UNLIMITED)) return WHOLE;
  const rows = permits.flatMap((permit) => rowPermit(permit, definition));
  return rows.length === 0 ? NONE : { kind: 'limited', rows: new RowAccess(rows) };
}

/** A condition that cannot be read covers nothing: `check` and the start have said so. */
function rowPermit(permit: Permit, definition: TableDefinition): readonly RowPermit[] {
  try {
    return [new RowPermit(permit, definition)];
  } catch {
    return [];
  }
}

const byVerb = <T>(value: (verb: Verb) => T): Readonly<Record<Verb, T>> =>
  Object.fromEntries(VERBS.map((verb) => [verb, value(verb)])) as Record<Verb, T>;

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
  return byVerb(of);
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
  const keys = keysOf(grant, verb);
  const attributes = maskOf(grant.attributes, verb, definition);
  if (keys.length === 0 && filter === undefined && attributes === undefined) return UNLIMITED;
  const listed = attributes === undefined ? undefined : grant.attributes;
  return {
    filter,
    attributes,
    keys,
    coversKey: keys.length === 0 ? undefined : (id) => keys.every(({ holds }) => holds(id)),
    signature: JSON.stringify([verb, keys.map(({ name }) => name), filter, listed]),
  };
}

function keysOf(grant: TableGrant, verb: Verb): readonly KeyCondition[] {
  const denied = grant.deny?.[verb] ?? [];
  const keys: KeyCondition[] = [];
  if (grant.keys !== undefined) {
    const holds = anyTopic(grant.keys);
    const [only] = grant.keys;
    const prefix = grant.keys.length === 1 ? only?.split(/\/?[+#]/, 1)[0] : undefined;
    keys.push({ name: `in ${grant.keys.join()}`, holds, prefix });
  }
  if (denied.length > 0) {
    const isDenied = anyTopic(denied);
    keys.push({ name: `not ${denied.join()}`, holds: (id) => !isDenied(id) });
  }
  return keys;
}

function anyTopic(filters: readonly string[]): (id: RecordId) => boolean {
  const tests = filters.map(compileTopicFilter);
  return (id) => {
    const name = String(id);
    return tests.some((matches) => matches(name));
  };
}

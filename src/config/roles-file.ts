/**
 * `roles.yaml` → who may do what, by table. Shape and names are checked here; what a grant means is
 * decided in `access/`.
 */
import { topicFilterFault } from '../base/topic-filter.ts';
import { type Schema, VERBS, type Verb } from '../schema/definition.ts';
import { suggest } from '../schema/nearest.ts';
import { ProblemList } from '../schema/problem.ts';
import { flag, listOf, oneOf, type Partly, reject, shape, text, textThat } from './readers.ts';
import { nodeOf, type SettingNode } from './setting-node.ts';
import type { Substitutes } from './substitute.ts';
import { readYaml } from './yaml-file.ts';

export interface TableGrant extends Readonly<Partial<Record<Verb, boolean>>> {
  /** Keys that are excepted, by verb, as topic filters. */
  readonly deny?: Readonly<Partial<Record<Verb, readonly string[]>>>;
  /** Keys to which the grant is limited, as topic filters. */
  readonly keys?: readonly string[];
  /** Condition that a record must meet; may name `${user.…}`. */
  readonly filter?: string;
  readonly attributes?: Readonly<Record<string, AttributeGrant>>;
}

export interface AttributeGrant {
  readonly read?: boolean;
  readonly insert?: boolean;
  readonly update?: boolean;
}

export interface RoleDefinition {
  readonly description?: string;
  /** May do everything, operations included. */
  readonly admin?: boolean;
  /** Operations of the admin port that may be run, within the grants of their tables. */
  readonly operations?: readonly string[];
  readonly tables: Readonly<Record<string, TableGrant>>;
}

export type Roles = ReadonlyMap<string, RoleDefinition>;

const verbs = <T>(value: T): Record<Verb, T> =>
  Object.fromEntries(VERBS.map((verb) => [verb, value])) as Record<Verb, T>;

/** One that is none would cover nothing, or except nothing. */
const keyFilter = textThat(
  'a topic filter such as news/# or +/draft: # is the whole last level, + a whole level',
  (written) => topicFilterFault(written) === undefined,
);

const grantShape = shape({
  ...verbs(flag),
  deny: shape(verbs(listOf(keyFilter))),
  keys: listOf(keyFilter),
  filter: text,
  attributes: (node, path, problems) =>
    readNamed(node, path, problems, (each, at) => attributeShape(each, at, problems)),
});
const attributeShape = shape({ read: flag, insert: flag, update: flag });
/** Operations that a role may list: all others are for administrators alone. */
export const GRANTABLE_OPERATIONS = [
  'describe_all',
  'insert',
  'update',
  'upsert',
  'delete',
  'search_by_id',
  'search_by_hash',
  'search_by_value',
  'search_by_conditions',
] as const;
const operations = listOf(oneOf(GRANTABLE_OPERATIONS));
const roleShape = shape({ description: text, admin: flag, operations, tables: (node) => node });

export type ReadRole =
  | { readonly kind: 'role'; readonly role: RoleDefinition }
  | { readonly kind: 'invalid'; readonly problems: readonly string[] };

/** A role as plain data, from an operation: the same shape and checks as in the file. */
export function roleFrom(
  value: unknown,
  { name, tables }: { readonly name: string; readonly tables: Schema['tables'] },
): ReadRole {
  const problems = new ProblemList();
  const node = nodeOf(value, { file: name, line: 0, column: 0 });
  const read = roleShape(node, name, problems);
  if (name === 'anonymous') refuseAdmin(read, node, problems);
  const role = read && readRole(read, name, tableNames({ tables }), problems);
  if (role !== undefined && problems.isEmpty) return { kind: 'role', role };
  const told = problems.sorted().map(({ message, cure }) => [message, cure].filter(Boolean));
  return { kind: 'invalid', problems: told.map((parts) => parts.join(': ')) };
}

/** Reads the file; roles which are broken are reported and left out. */
export function parseRoles(
  source: { readonly text: string; readonly file: string },
  { schema, filterFault }: KnownSchema,
  substitutes: Substitutes,
  problems: ProblemList,
): Roles {
  const roles = new Map<string, RoleDefinition>();
  const node = readYaml(source.text, source.file, keepUser(substitutes), problems);
  if (node === undefined) return roles;
  const known = schema === undefined ? undefined : tableNames(schema);
  const read = readNamed(node, '', problems, (each, path) => {
    const role = roleShape(each, path, problems);
    if (path === 'anonymous') refuseAdmin(role, each, problems);
    if (role?.tables?.kind === 'map' && known !== undefined && filterFault !== undefined) {
      checkFilters(role.tables, known, filterFault, problems);
    }
    return role === undefined ? undefined : readRole(role, path, known, problems);
  });
  for (const [name, role] of Object.entries(read ?? {})) roles.set(name, role);
  return roles;
}

/** What everybody may do is never everything. */
function refuseAdmin(
  role: { readonly admin?: boolean | undefined } | undefined,
  node: SettingNode,
  problems: ProblemList,
): void {
  if (role?.admin !== true) return;
  problems.add(node.place, 'anonymous cannot be admin', {
    cause: 'everybody would be',
    cure: 'name what everybody may do under tables:',
  });
}

function readRole(
  role: Partly<{
    description: typeof text;
    admin: typeof flag;
    operations: typeof operations;
    tables: (node: SettingNode) => SettingNode;
  }>,
  path: string,
  known: KnownTables | undefined,
  problems: ProblemList,
): RoleDefinition {
  const { tables: node, ...rest } = role;
  if (node === undefined) return { ...rest, tables: {} };
  if (node.kind === 'map' && known !== undefined) checkTableNames(node, known, problems);
  const tables = readNamed(node, `${path}.tables`, problems, (each, at) =>
    grantShape(each, at, problems),
  );
  if (node.kind === 'map' && known !== undefined) checkAttributes(node, known, problems);
  return { ...rest, tables: tables ?? {} };
}

function checkTableNames(
  node: Extract<SettingNode, { kind: 'map' }>,
  known: KnownTables,
  problems: ProblemList,
): void {
  for (const [name, entry] of node.entries) {
    if (known.has(name)) continue;
    problems.add(entry.key, `unknown table ${name}`, { cure: suggest(name, known.keys()) });
  }
}

/** What is wrong with the conditions of a grant, and how to mend it; `undefined`: nothing. */
export type FilterFault = (table: Schema['tables'][number], filter: string) => string | undefined;

interface KnownSchema {
  readonly schema: Schema | undefined;
  readonly filterFault?: FilterFault | undefined;
}

/** Conditions that cannot be read would cover nothing. */
function checkFilters(
  tables: Extract<SettingNode, { kind: 'map' }>,
  known: KnownTables,
  filterFault: FilterFault,
  problems: ProblemList,
): void {
  for (const [name, { value: grant }] of tables.entries) {
    const table = known.get(name);
    const filter = grant.kind === 'map' ? grant.entries.get('filter')?.value : undefined;
    if (table === undefined || filter?.kind !== 'scalar') continue;
    const fault = filterFault(table, String(filter.value));
    if (fault !== undefined) problems.add(filter.place, `filter: ${fault}`);
  }
}

/** An attribute that is misspelled would be covered, or not, by accident. */
function checkAttributes(
  tables: Extract<SettingNode, { kind: 'map' }>,
  known: KnownTables,
  problems: ProblemList,
): void {
  for (const [name, { value: grant }] of tables.entries) {
    const table = known.get(name);
    const listed = grant.kind === 'map' ? grant.entries.get('attributes')?.value : undefined;
    // Records of a table that is not sealed may have attributes of which the schema knows nothing.
    if (table === undefined || table.attributes.length === 0 || listed?.kind !== 'map') continue;
    const names = new Set(table.attributes.map((attribute) => attribute.name));
    for (const [attribute, { key }] of listed.entries) {
      if (names.has(attribute) || attribute === table.primaryKey) continue;
      const cure = suggest(attribute, names);
      problems.add(key, `${table.typeName} declares no attribute ${attribute}`, { cure });
    }
  }
}

type KnownTables = ReadonlyMap<string, Schema['tables'][number] | undefined>;

/** A table may be called by its type, its own name or its path; `*` means every table. */
function tableNames(schema: Pick<Schema, 'tables'>): KnownTables {
  const names = new Map<string, Schema['tables'][number] | undefined>([['*', undefined]]);
  for (const table of schema.tables) {
    for (const name of [table.typeName, table.name, table.export?.name]) {
      if (name !== undefined) names.set(name, table);
    }
  }
  return names;
}

function readNamed<T>(
  node: SettingNode,
  path: string,
  problems: ProblemList,
  read: (node: SettingNode, path: string) => T | undefined,
): Readonly<Record<string, T>> | undefined {
  if (node.kind !== 'map') {
    return reject(node, path === '' ? 'roles' : path, 'a map of names', problems);
  }
  const found: Record<string, T> = Object.create(null);
  for (const [name, entry] of node.entries) {
    const value = read(entry.value, path === '' ? name : `${path}.${name}`);
    if (value !== undefined) found[name] = value;
  }
  return found;
}

/** `${user.desk}` in a filter is filled in for each request, not here. */
function keepUser(substitutes: Substitutes): Substitutes {
  return { ...substitutes, keep: (variable) => variable.startsWith('user.') };
}

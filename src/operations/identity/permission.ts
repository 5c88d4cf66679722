/**
 * The `permission` of the field's operations API as the grants of a role:
 * `{super_user, DATABASE: {tables: {TABLE: {read, insert, …, attribute_permissions: […]}}}}`.
 * Who may read a table may subscribe to it, and who may update may publish, as there.
 */
import type { TableDefinition } from '../../schema/definition.ts';
import { usage } from '../operation.ts';

interface Granted {
  readonly admin?: unknown;
  readonly tables?: unknown;
}

const VERBS = ['read', 'insert', 'update', 'delete'] as const;
const OWN_VERBS = ['subscribe', 'publish', 'purge', 'keys', 'deny', 'filter'] as const;
const DEFAULT_DATABASE = 'data';

export function tablesOfPermission(
  permission: unknown,
  definitions: readonly TableDefinition[],
): Granted {
  const {
    super_user: admin,
    structure_user: _,
    tables,
    ...databases
  } = objectOf(permission, 'permission');
  // As `list_roles` shows those of the file.
  if (tables !== undefined) return { admin, tables };
  const granted: Record<string, unknown> = {};
  for (const [database, each] of Object.entries(databases)) {
    const listed = objectOf(objectOf(each, database).tables ?? {}, `${database}.tables`);
    for (const [table, grant] of Object.entries(listed)) {
      const name = qualified(database, table, definitions);
      granted[name] = grantOf(objectOf(grant, `${database}.tables.${table}`), table);
    }
  }
  return { admin, tables: granted };
}

function qualified(
  database: string,
  table: string,
  definitions: readonly TableDefinition[],
): string {
  const name = database === DEFAULT_DATABASE ? table : `${database}.${table}`;
  return definitions.find((one) => one.name === name)?.typeName ?? name;
}

function grantOf(grant: Readonly<Record<string, unknown>>, table: string): object {
  const { attribute_permissions: listed = [] } = grant;
  const allowed = [...VERBS, ...OWN_VERBS, 'attribute_permissions'] as readonly string[];
  const unknown = Object.keys(grant).find((name) => !allowed.includes(name));
  if (unknown !== undefined) throw usage(`permission of ${table}: unknown key ${unknown}`);
  const own = Object.fromEntries(
    [...VERBS, ...OWN_VERBS].flatMap((name) =>
      grant[name] === undefined ? [] : [[name, grant[name]]],
    ),
  );
  const attributes = attributesOf(listed, table);
  return {
    subscribe: grant.read ?? false,
    publish: grant.update ?? false,
    ...own,
    ...(attributes === undefined ? {} : { attributes }),
  };
}

/** A list that is not empty names all that is allowed. */
function attributesOf(listed: unknown, table: string): object | undefined {
  if (!Array.isArray(listed)) throw usage(`permission of ${table}: attribute_permissions: a list`);
  if (listed.length === 0) return undefined;
  const attributes: Record<string, object> = {};
  for (const one of listed as readonly unknown[]) {
    const { attribute_name: name, ...verbs } = objectOf(one, `${table}.attribute_permissions`);
    if (typeof name !== 'string') throw usage(`permission of ${table}: attribute_name is required`);
    attributes[name] = verbs;
  }
  return attributes;
}

function objectOf(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  throw usage(`${what}: an object`);
}

/**
 * Roles by operation: `add_role`, `alter_role`, `drop_role`, `list_roles`. A role's `permission` is
 * that of the field's operations API, or the map of tables as in `roles.yaml`. Roles of the file
 * are shown, and changed in the file only.
 */
import type { RoleRow } from '../../access/identity/rows.ts';
import { SYSTEM } from '../../access/identity/system-tables.ts';
import { NodeError } from '../../base/errors.ts';
import { type RoleDefinition, roleFrom } from '../../config/roles-file.ts';
import { type Arguments, type Operation, type OperationContext, usage } from '../operation.ts';
import { nameArgument } from './arguments.ts';
import { changed } from './changes.ts';
import { tablesOfPermission } from './permission.ts';

const SETTABLE = ['permission', 'tables', 'admin', 'description'];

export const addRole: Operation = {
  name: 'add_role',
  takes: ['role', ...SETTABLE],
  async run(args, context) {
    const { registry, identities, now } = context.identity;
    const id = nameArgument(args, 'role');
    if (identities.roles().has(id) || id === 'anonymous') throw taken(id);
    const times = { createdAt: now(), updatedAt: now() };
    const row: RoleRow = { id, ...grantedBy(id, args, context), ...times };
    if ((await registry.add(SYSTEM.role, row)) === 'exists') throw taken(id);
    changed(context, 'added', `role ${id}`);
    return described(row);
  },
};

export const alterRole: Operation = {
  name: 'alter_role',
  takes: ['id', 'role', ...SETTABLE],
  async run(args, context) {
    const { registry, now } = context.identity;
    const row = roleArgument(args, context);
    const granted = grantedBy(row.id, args, context);
    await registry.put(SYSTEM.role, { ...row, ...granted, updatedAt: now() });
    changed(context, 'altered', `role ${row.id}`);
    return { message: 'updated 1 of 1 records', update_hashes: [row.id], txn_time: now() };
  },
};

export const dropRole: Operation = {
  name: 'drop_role',
  takes: ['id', 'role'],
  async run(args, context) {
    const { registry, directory } = context.identity;
    const { id } = roleArgument(args, context);
    const holder = directory.users().find(({ roles }) => roles.includes(id));
    if (holder !== undefined) {
      throw usage(`${holder.id} has the role ${id}: give its users another one first`);
    }
    await registry.drop(SYSTEM.role, id);
    changed(context, 'dropped', `role ${id}`);
    return { message: `${id} successfully deleted` };
  },
};

export const listRoles: Operation = {
  name: 'list_roles',
  takes: [],
  run: (_, context) =>
    [...context.identity.identities.roles().keys()].map((name) => describeRole(name, context)),
};

/** A role as the answers show it; by its name alone when it is not there any more. */
export function describeRole(name: string, { identity }: OperationContext): object {
  const row = identity.directory.role(name);
  if (row !== undefined) return described(row);
  const definition = identity.identities.roles().get(name);
  return { id: name, role: name, permission: permissionOf(definition), source: 'roles.yaml' };
}

const described = ({ id, permission, definition, createdAt, updatedAt }: RoleRow): object => ({
  ...{ id, role: id, permission },
  ...(definition.description === undefined ? {} : { description: definition.description }),
  __createdtime__: createdAt,
  __updatedtime__: updatedAt,
});

const permissionOf = (definition: RoleDefinition | undefined): object => ({
  super_user: definition?.admin ?? false,
  tables: definition?.tables ?? {},
});

/** What the arguments grant. Throws `USAGE` with what is wrong, table and attribute named. */
function grantedBy(
  id: string,
  args: Arguments,
  { tables }: OperationContext,
): Pick<RoleRow, 'definition' | 'permission'> {
  const { permission } = args;
  const definitions = tables.all().map(({ definition }) => definition);
  const given = permission === undefined ? args : tablesOfPermission(permission, definitions);
  const { admin = false, description } = args;
  const told = description === undefined ? {} : { description };
  const read = roleFrom(
    { admin: given.admin ?? admin, tables: given.tables ?? {}, ...told },
    { name: id, tables: definitions },
  );
  if (read.kind === 'invalid') throw usage(read.problems.join('; '));
  return { definition: read.role, permission: permission ?? permissionOf(read.role) };
}

function roleArgument(args: Arguments, context: OperationContext): RoleRow {
  const id = args.id === undefined ? nameArgument(args, 'role') : nameArgument(args, 'id');
  const row = context.identity.directory.role(id);
  if (row !== undefined) return row;
  if (context.identity.identities.roles().has(id)) {
    throw usage(`the role ${id} is declared in roles.yaml: change it there, then reload`);
  }
  const message = `there is no role ${JSON.stringify(id)}; list_roles shows those there are`;
  throw new NodeError('NOT_FOUND', message, { blame: 'client' });
}

const taken = (id: string): NodeError =>
  new NodeError('RECORD_EXISTS', `there is a role ${id} already; alter_role changes one`, {
    blame: 'client',
  });

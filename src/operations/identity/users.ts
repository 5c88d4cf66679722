/**
 * Users by operation: `add_user`, `alter_user`, `drop_user`, `list_users`, `user_info`. Answers
 * show roles and times, never a password or what is left of one. The administrator of the
 * configuration is nobody's to alter here: its name is taken.
 */
import { randomBytes } from 'node:crypto';
import type { UserRow } from '../../access/identity/rows.ts';
import { SYSTEM } from '../../access/identity/system-tables.ts';
import type { UserFacts } from '../../access/row-condition.ts';
import { NodeError } from '../../base/errors.ts';
import { type Arguments, type Operation, type OperationContext, usage } from '../operation.ts';
import { flagArgument, nameArgument, namesArgument, passwordArgument } from './arguments.ts';
import { changed } from './changes.ts';
import { describeRole } from './roles.ts';

const SETTABLE = ['password', 'role', 'roles', 'active', 'attributes'];

export const addUser: Operation = {
  name: 'add_user',
  takes: ['username', ...SETTABLE],
  async run(args, context) {
    const { registry, hasher, admin, now } = context.identity;
    const id = nameArgument(args, 'username');
    if (admin?.username === id) throw taken(id);
    const roles = rolesArgument(args, context) ?? [];
    const facts = factsArgument(args);
    const password =
      args.password === undefined
        ? undefined
        : await hasher.hash(passwordArgument(args.password), context.address);
    const row: UserRow = {
      ...{ id, roles, facts, password, mark: newMark() },
      active: flagArgument(args, 'active') ?? true,
      createdAt: now(),
      updatedAt: now(),
    };
    if ((await registry.add(SYSTEM.user, row)) === 'exists') throw taken(id);
    changed(context, 'added', `user ${id}`);
    return { message: `${id} successfully added` };
  },
};

export const alterUser: Operation = {
  name: 'alter_user',
  takes: ['username', ...SETTABLE],
  async run(args, context) {
    const { registry, hasher, now } = context.identity;
    const given = SETTABLE.filter((name) => args[name] !== undefined);
    if (given.length === 0) throw usage(`alter_user: give one of ${SETTABLE.join(', ')}`);
    userArgument(args, context);
    const password =
      args.password === undefined
        ? {}
        : {
            password: await hasher.hash(passwordArgument(args.password), context.address),
            // What was issued under the old password is worth nothing from now on.
            mark: newMark(),
          };
    const row = await registry.exclusive(async () => {
      const before = userArgument(args, context);
      await registry.put(SYSTEM.user, {
        ...before,
        ...password,
        roles: rolesArgument(args, context) ?? before.roles,
        active: flagArgument(args, 'active') ?? before.active,
        facts: factsArgument(args) ?? before.facts,
        updatedAt: now(),
      });
      return before;
    });
    changed(context, 'altered', `user ${row.id} (${given.join(', ')})`);
    return { message: 'updated 1 of 1 records', update_hashes: [row.id], txn_time: now() };
  },
};

export const dropUser: Operation = {
  name: 'drop_user',
  takes: ['username'],
  async run(args, context) {
    const { registry, directory } = context.identity;
    const id = await registry.exclusive(async () => {
      const row = userArgument(args, context);
      const keys = directory.apiKeys().filter(({ username }) => username === row.id);
      const table = SYSTEM.apiKey;
      await registry.write([
        { table: SYSTEM.user, row: undefined, id: row.id },
        ...keys.map((key) => ({ table, row: undefined, id: key.id })),
      ]);
      return row.id;
    });
    changed(context, 'dropped', `user ${id}`);
    return { message: `${id} successfully deleted` };
  },
};

export const listUsers: Operation = {
  name: 'list_users',
  takes: [],
  run: (_, context) => context.identity.directory.users().map((row) => described(row, context)),
};

/** Of whoever asks; the administrator may name another. */
export const userInfo: Operation = {
  name: 'user_info',
  takes: ['username'],
  needs: 'signedIn',
  run(args, context) {
    const { directory } = context.identity;
    const { principal } = context;
    const own = principal.kind === 'anonymous' ? '' : principal.name;
    const asked = args.username === undefined ? own : nameArgument(args, 'username');
    if (asked !== own && principal.kind !== 'admin') {
      throw new NodeError('ACCESS_DENIED', 'user_info of others is for administrators', {
        blame: 'client',
      });
    }
    const row = directory.user(asked);
    if (row !== undefined) return described(row, context);
    if (asked !== own) throw unknownUser(asked, context);
    const roles = principal.kind === 'user' ? principal.roles : [];
    const role = principal.kind === 'admin' ? SUPER_USER : roles.map((name) => ({ role: name }))[0];
    return { username: own, active: true, role, roles };
  },
};

const SUPER_USER = { role: 'super_user', permission: { super_user: true } };

function described(row: UserRow, context: OperationContext): object {
  const { id: username, active, roles, facts, createdAt, updatedAt } = row;
  const described = roles.map((name) => describeRole(name, context));
  return {
    ...{ username, active, role: described[0], roles },
    ...(facts === undefined ? {} : { attributes: facts }),
    hasPassword: row.password !== undefined,
    __createdtime__: createdAt,
    __updatedtime__: updatedAt,
  };
}

function userArgument(args: Arguments, context: OperationContext): UserRow {
  const id = nameArgument(args, 'username');
  const row = context.identity.directory.user(id);
  if (row !== undefined) return row;
  if (context.identity.admin?.username === id) {
    throw usage(
      `${id} is the administrator of the configuration; change MILLRACE_ADMIN_PASSWORD instead`,
    );
  }
  throw unknownUser(id, context);
}

function unknownUser(id: string, { identity }: OperationContext): NodeError {
  const known = identity.directory.users().slice(0, NAMES_SHOWN);
  const names = known.map((row) => row.id).join(', ') || 'none';
  return new NodeError('NOT_FOUND', `there is no user ${JSON.stringify(id)}; there is ${names}`, {
    blame: 'client',
  });
}

const NAMES_SHOWN = 20;

function rolesArgument(
  args: Arguments,
  { identity }: OperationContext,
): readonly string[] | undefined {
  if (args.role !== undefined && args.roles !== undefined) {
    throw usage('give role or roles, not both');
  }
  const names = namesArgument(args, 'role') ?? namesArgument(args, 'roles');
  const all = identity.identities.roles();
  const missing = names?.find((name) => !all.has(name));
  if (missing === undefined) return names;
  const known = [...all.keys()].join(', ') || 'none';
  throw usage(`there is no role ${JSON.stringify(missing)}; there is ${known}; add_role makes one`);
}

function factsArgument({ attributes }: Arguments): UserFacts | undefined {
  if (attributes === undefined) return undefined;
  const isMap = typeof attributes === 'object' && attributes !== null && !Array.isArray(attributes);
  const entries = isMap ? Object.entries(attributes) : [];
  const isPlain = entries.every(([, value]) =>
    ['string', 'number', 'boolean'].includes(typeof value),
  );
  if (isMap && isPlain && entries.length <= FACTS_MAX) return Object.fromEntries(entries);
  throw usage(`attributes: a map of at most ${FACTS_MAX} names to texts, numbers, true or false`);
}

const FACTS_MAX = 64;

export const newMark = (): string => randomBytes(12).toString('base64url');

const taken = (id: string): NodeError =>
  new NodeError('RECORD_EXISTS', `there is a user ${id} already; alter_user changes one`, {
    blame: 'client',
  });

/**
 * API keys by operation. A key is shown once, when it is made; what is stored is a hash. A key acts
 * for its user with no more than its scopes, until it expires or is revoked.
 */
import { makeApiKey } from '../../access/identity/api-key.ts';
import type { ApiKeyRow } from '../../access/identity/rows.ts';
import { scopeProblem } from '../../access/identity/scopes.ts';
import { SYSTEM } from '../../access/identity/system-tables.ts';
import { NodeError } from '../../base/errors.ts';
import { parseDuration } from '../../config/units.ts';
import { type Arguments, type Operation, type OperationContext, usage } from '../operation.ts';
import { nameArgument, textArgument } from './arguments.ts';
import { changed } from './changes.ts';

const SCOPES_MAX = 100;

export const createApiKey: Operation = {
  name: 'create_api_key',
  takes: ['name', 'username', 'scopes', 'expires_in'],
  async run(args, context) {
    const { registry, now } = context.identity;
    const name = nameArgument(args, 'name');
    const username = ownerArgument(args, context);
    const { id, key, secretHash } = makeApiKey();
    const createdAt = now();
    const lifetime = lifetimeArgument(args);
    const row: ApiKeyRow = {
      ...{ id, secretHash, name, username, createdAt },
      scopes: scopesArgument(args),
      expiresAt: lifetime === undefined ? undefined : createdAt + lifetime,
    };
    await registry.add(SYSTEM.apiKey, row);
    changed(context, 'added', `api key ${id} (${name}) of ${username}`);
    return { key, ...shown(row), message: 'keep the key now: it is not shown again' };
  },
};

export const listApiKeys: Operation = {
  name: 'list_api_keys',
  takes: [],
  run: (_, { identity }) => identity.directory.apiKeys().map(shown),
};

export const revokeApiKey: Operation = {
  name: 'revoke_api_key',
  takes: ['id'],
  async run(args, context) {
    const { registry, directory } = context.identity;
    const given = textArgument(args, 'id');
    const id = /^mrk_([0-9a-f]{16})/.exec(given)?.[1] ?? given;
    if (directory.apiKey(id) === undefined) {
      const message = `there is no API key ${JSON.stringify(id)}; list_api_keys shows all`;
      throw new NodeError('NOT_FOUND', message, { blame: 'client' });
    }
    await registry.drop(SYSTEM.apiKey, id);
    changed(context, 'revoked', `api key ${id}`);
    return { message: `API key ${id} is revoked`, id };
  },
};

const shown = ({ id, name, username, scopes, createdAt, expiresAt }: ApiKeyRow): object => ({
  ...{ id, name, username, scopes: scopes ?? ['*:*'] },
  created: new Date(createdAt).toISOString(),
  expires: expiresAt === undefined ? null : new Date(expiresAt).toISOString(),
});

/** The user a key acts for: whoever asks, unless another is named. */
function ownerArgument(args: Arguments, { identity, by }: OperationContext): string {
  const username = args.username === undefined ? by : nameArgument(args, 'username');
  const isKnown =
    identity.directory.user(username) !== undefined || identity.admin?.username === username;
  if (isKnown) return username;
  throw new NodeError('NOT_FOUND', `there is no user ${JSON.stringify(username)}`, {
    blame: 'client',
  });
}

function scopesArgument({ scopes }: Arguments): readonly string[] | undefined {
  if (scopes === undefined) return undefined;
  const list: readonly unknown[] = Array.isArray(scopes) ? scopes : [scopes];
  if (list.length === 0 || list.length > SCOPES_MAX) throw usage(`scopes: 1 to ${SCOPES_MAX}`);
  return list.map((scope) => {
    const problem = typeof scope === 'string' ? scopeProblem(scope) : 'a scope is a text';
    if (problem !== undefined) throw usage(`scopes: ${problem}`);
    return String(scope);
  });
}

function lifetimeArgument({ expires_in: given }: Arguments): number | undefined {
  if (given === undefined) return undefined;
  const span = parseDuration(given);
  if (span !== undefined && span > 0) return span;
  throw usage('expires_in: a span such as 12h or 90d');
}

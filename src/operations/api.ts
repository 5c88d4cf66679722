/**
 * The operations API: finds the operation a document names and runs it with checked arguments.
 * Names and shapes are those of the field's operations API; transport and sign-in are not its
 * business.
 */
import { asNodeError, NodeError } from '../base/errors.ts';
import { backup } from './backup.ts';
import { cacheInspect } from './cache-inspect.ts';
import { cacheStats, originStatus } from './cache-stats.ts';
import { confirmReplication } from './cluster/confirm.ts';
import { addNode, configureCluster, removeNode, setNode, updateNode } from './cluster/nodes.ts';
import { clusterDeleteRoutes, clusterGetRoutes, clusterSetRoutes } from './cluster/routes.ts';
import { clusterDigests, clusterStatus, clusterVerify } from './cluster/status.ts';
import { deleteRecords } from './delete-records.ts';
import { describeAll } from './describe-all.ts';
import { createApiKey, listApiKeys, revokeApiKey } from './identity/api-keys.ts';
import { readAuditLog } from './identity/read-audit-log.ts';
import { addRole, alterRole, dropRole, listRoles } from './identity/roles.ts';
import { setup } from './identity/setup.ts';
import {
  createTokens,
  login,
  logout,
  refreshToken,
  revokeToken,
  revokeUser,
  rotateSigningKey,
} from './identity/tokens.ts';
import { addUser, alterUser, dropUser, listUsers, userInfo } from './identity/users.ts';
import { disconnect, sessionsList, subscriptionsList } from './live/list-live.ts';
import { broadcast, publish } from './live/publish.ts';
import {
  type Arguments,
  type Needs,
  type Operation,
  type OperationContext,
  usage,
} from './operation.ts';
import { purge } from './purge.ts';
import { purgeLog } from './purge-log.ts';
import { reload } from './reload.ts';
import { searchByConditions } from './search-by-conditions.ts';
import { searchByHash, searchById } from './search-by-id.ts';
import { searchByValue } from './search-by-value.ts';
import { signUrl } from './sign-url.ts';
import { insert, update, upsert } from './write-records.ts';

const OPERATIONS: readonly Operation[] = [
  ...[cacheInspect, cacheStats, originStatus, describeAll, purge, purgeLog, reload, backup],
  ...[insert, update, upsert, deleteRecords],
  ...[addUser, alterUser, dropUser, listUsers, userInfo],
  ...[addRole, alterRole, dropRole, listRoles],
  ...[createTokens, refreshToken, revokeToken, revokeUser, rotateSigningKey],
  ...[createApiKey, listApiKeys, revokeApiKey, login, logout, setup, readAuditLog],
  signUrl,
  ...[publish, broadcast, sessionsList, subscriptionsList, disconnect],
  ...[searchById, searchByHash, searchByValue, searchByConditions],
  ...[clusterStatus, clusterDigests, clusterVerify, confirmReplication],
  ...[addNode, setNode, updateNode, removeNode, configureCluster],
  ...[clusterGetRoutes, clusterSetRoutes, clusterDeleteRoutes],
];

/** Who may run what a document names; what nobody knows is the administrator's to hear. */
export const needsOf = (name: unknown, added: readonly Operation[]): Needs =>
  named(name, added)?.needs ?? 'administrator';

/** The node's own come first: no application takes the place of one. */
const named = (name: unknown, added: readonly Operation[]): Operation | undefined =>
  OPERATIONS.find((known) => known.name === name) ?? added.find((one) => one.name === name);

/** Whether the node has an operation of this name itself. */
export const isOwnOperation = (name: string): boolean => named(name, []) !== undefined;

/** Runs `{ "operation": NAME, …arguments }`. Rejects with `OPERATION_UNKNOWN` or `USAGE`. */
export async function runOperation(
  document: Readonly<Record<string, unknown>>,
  context: OperationContext,
): Promise<object> {
  const { operation: name, ...args } = document;
  if (typeof name !== 'string') throw usage('operation: the name of an operation is required');
  const operation = named(name, context.added);
  if (operation === undefined) {
    const known = [...OPERATIONS, ...context.added].map((one) => one.name).join(', ');
    throw new NodeError(
      'OPERATION_UNKNOWN',
      `there is no operation ${JSON.stringify(name)}; there are ${known}`,
      { blame: 'client' },
    );
  }
  const isAudited = operation.needs === undefined;
  try {
    checkArguments(operation, args);
    const answer = await operation.run(args, context);
    if (isAudited) audited(name, args, context, 'done');
    return answer;
  } catch (error) {
    if (isAudited) audited(name, args, context, asNodeError(error).code);
    throw error;
  }
}

function checkArguments({ name, takes }: Operation, args: Arguments): void {
  for (const argument of Object.keys(args)) {
    if (takes === 'anything' || takes.includes(argument)) continue;
    throw usage(`${name} takes no ${argument}; it takes ${takes.join(', ') || 'nothing'}`);
  }
}

function audited(
  operation: string,
  { table }: Arguments,
  context: OperationContext,
  outcome: string,
): void {
  const { by, address, identity } = context;
  const where = typeof table === 'string' ? { table } : {};
  identity.audit({
    kind: 'operationRun',
    by,
    address,
    protocol: 'operations',
    operation,
    ...where,
    outcome,
  });
}

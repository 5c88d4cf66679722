/**
 * `sessions_list`, `subscriptions_list`: who is connected over WebSocket, event streams and MQTT,
 * on all threads, and what they follow. `disconnect` ends some of them.
 */
import { LIMITS } from '../../config/limits.ts';
import { type Arguments, type Operation, usage } from '../operation.ts';
import { LIVE_PROTOCOLS, type LiveProtocol, type Whom } from './live-clients.ts';

const WHOM = ['session', 'user', 'address', 'protocol'] as const;
const ROWS_DEFAULT = 1_000;

export const sessionsList: Operation = {
  name: 'sessions_list',
  takes: [...WHOM, 'limit'],
  async run(args, { live }) {
    const { total, rows } = await live.sessions(whomArgument(args), limitArgument(args));
    return { total, sessions: rows };
  },
};

export const subscriptionsList: Operation = {
  name: 'subscriptions_list',
  takes: [...WHOM, 'limit'],
  async run(args, { live }) {
    const { total, rows } = await live.subscriptions(whomArgument(args), limitArgument(args));
    return { total, subscriptions: rows };
  },
};

export const disconnect: Operation = {
  name: 'disconnect',
  takes: [...WHOM, 'reconnect', 'all'],
  async run(args, { live }) {
    const { reconnect = false, all = false } = args;
    if (typeof reconnect !== 'boolean') throw usage('reconnect: true or false');
    if (typeof all !== 'boolean') throw usage('all: true or false');
    const whom = whomArgument(args);
    const isNarrow = Object.values(whom).some((value) => value !== undefined);
    if (!isNarrow && !all) {
      throw usage('name whom: session, user, address or protocol; all: true means everybody');
    }
    return { disconnected: await live.disconnect(whom, reconnect) };
  },
};

/** Whom the operation concerns. Throws `USAGE`. */
export function whomArgument(args: Arguments): Whom {
  for (const name of WHOM) {
    const value = args[name];
    if (value !== undefined && typeof value !== 'string') throw usage(`${name}: a text`);
  }
  const { protocol } = args;
  if (protocol !== undefined && !LIVE_PROTOCOLS.includes(protocol as LiveProtocol)) {
    throw usage(`protocol: one of ${LIVE_PROTOCOLS.join(', ')}`);
  }
  return Object.fromEntries(WHOM.map((name) => [name, args[name]])) as Whom;
}

function limitArgument({ limit = ROWS_DEFAULT }: Arguments): number {
  const most = LIMITS.operationRecordsMax;
  if (typeof limit === 'number' && Number.isInteger(limit) && limit >= 0 && limit <= most) {
    return limit;
  }
  throw usage(`limit: a whole number up to ${most}`);
}

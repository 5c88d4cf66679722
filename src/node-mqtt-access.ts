/**
 * MQTT's question of who signs in and what they may do, put to the one authoriser.
 */
import { askingWith } from './access/asking.ts';
import { type Authenticator, FOR_GOOD, type Standing } from './access/authenticate.ts';
import { authorise, permitsOf } from './access/authorise.ts';
import type { Principal } from './access/principal.ts';
import { StandingWatch } from './access/standing-watch.ts';
import type { Clock } from './base/clock.ts';
import type { Guest, SignIn } from './protocols/mqtt/access.ts';
import type { TableDefinition } from './schema/definition.ts';

export interface SignInParts {
  readonly authenticator: Authenticator;
  readonly clock: Clock;
  readonly onRejected: (method: string) => void;
}

export function mqttSignIn({ authenticator, clock, onRejected }: SignInParts): SignIn {
  const watch = new StandingWatch(clock);
  return async (credentials) => {
    const asking = askingWith(credentials);
    await authenticator.settle(asking);
    const found = authenticator.authenticate(asking);
    if (found.kind === 'rejected') {
      onRejected(found.method);
      return { refused: found.error };
    }
    return { guest: mqttGuest(found.principal, found.standing, watch) };
  };
}

export function mqttGuest(
  principal: Principal,
  standing: Standing = FOR_GOOD,
  watch?: StandingWatch | undefined,
): Guest {
  return {
    name: principal.kind === 'anonymous' ? '' : principal.name,
    may: (verb, table, id) => authorise(principal, table, verb, id) === 'allowed',
    maySubscribe: (tables) => [...tables].some((table) => maySubscribeTo(principal, table)),
    mayReceive: ({ parts }) =>
      authorise(principal, parts.table, 'subscribe', parts.id) === 'allowed',
    watch(connection) {
      watch?.add(connection, standing);
      return () => watch?.delete(connection);
    },
  };
}

/** Whether some record of the table may be heard of; which ones is judged for each message. */
function maySubscribeTo(principal: Principal, table: TableDefinition): boolean {
  const permits = permitsOf(principal, table, 'subscribe');
  return (
    permits === undefined ||
    permits.some(({ filter, attributes }) => filter === undefined && attributes === undefined)
  );
}

/**
 * MQTT sessions as operations see them: those with a client and those that wait for one. To end a
 * session is to close its connection; what is kept of it stays for its expiry interval.
 */
import {
  concerns,
  type LiveClients,
  type SessionReport,
  type SubscriptionReport,
  told,
  type Whom,
} from './operations/live/live-clients.ts';
import { REASON } from './protocols/mqtt/reasons.ts';
import type { Session } from './protocols/mqtt/session.ts';

export function mqttClients(sessions: () => Iterable<Session>): LiveClients {
  const chosen = (whom: Whom): readonly Session[] =>
    [...sessions()].filter((session) => concerns(whom, reportOf(session)));
  return {
    sessions: async (whom, most) => told(chosen(whom), most, reportOf),
    subscriptions: async (whom, most) => told(followed(chosen(whom)), most, (row) => row),
    async disconnect(whom, comesBack) {
      const connected = chosen(whom).filter((session) => session.isConnected);
      const reason = comesBack ? REASON.serverShuttingDown : REASON.administrativeAction;
      for (const session of connected) session.end(reason, 'disconnected by an operator');
      return connected.length;
    },
    // Clients of MQTT hear of topics only.
    broadcast: async () => ({ sent: 0, skipped: 0 }),
  };
}

function reportOf(session: Session): SessionReport {
  const { clientId, owner } = session.parts;
  return {
    ...{ session: clientId, protocol: 'mqtt', user: owner, address: session.address },
    connected: session.isConnected,
    subscriptions: session.subscriptions.size,
    bufferedBytes: session.wire?.bufferedBytes ?? 0,
  };
}

function* followed(sessions: readonly Session[]): Iterable<SubscriptionReport> {
  for (const session of sessions) {
    const { session: name, protocol, user } = reportOf(session);
    const stage = session.isConnected ? 'live' : 'away';
    for (const resource of session.subscriptions.keys()) {
      yield { session: name, protocol, user, resource, stage };
    }
  }
}

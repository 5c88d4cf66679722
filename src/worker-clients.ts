/**
 * Those who are connected to one thread over WebSocket and event streams, as operations see them:
 * who they are, what they follow, and what an operator may do to them.
 */
import type { Principal } from './access/principal.ts';
import type { Clock } from './base/clock.ts';
import type { ErrorCode } from './base/errors.ts';
import {
  concerns,
  type LiveClients,
  type SessionReport,
  type SubscriptionReport,
  told,
  type Whom,
} from './operations/live/live-clients.ts';
import type { SseEndpoint } from './protocols/sse/endpoint.ts';
import type { OpenSocket, WebSocketGateway } from './protocols/websocket/gateway.ts';

export interface ClientsParts {
  readonly gateway: WebSocketGateway<Principal>;
  readonly streams: SseEndpoint<Principal>;
  readonly clock: Clock;
  /** Which of the node's threads this is. */
  readonly thread: number;
}

/** One connection, whatever its protocol. */
interface Connected {
  readonly report: SessionReport;
  follows(): Iterable<Omit<SubscriptionReport, 'session' | 'protocol' | 'user'>>;
  close(code: ErrorCode): void;
  /** False when there is no room for it now. */
  say(json: string, at: number): boolean;
}

export function threadClients(parts: ClientsParts): LiveClients {
  const chosen = (whom: Whom) => [...connected(parts)].filter((one) => concerns(whom, one.report));
  return {
    sessions: async (whom, most) => told(chosen(whom), most, ({ report }) => report),
    subscriptions: async (whom, most) => told(followed(chosen(whom)), most, (row) => row),
    async disconnect(whom, comesBack) {
      const all = chosen(whom);
      for (const one of all) one.close(comesBack ? 'SHUTTING_DOWN' : 'DISCONNECTED');
      return all.length;
    },
    async broadcast(whom, json) {
      const at = parts.clock.now();
      const all = chosen(whom);
      const sent = all.filter((one) => one.say(json, at)).length;
      return { sent, skipped: all.length - sent };
    },
  };
}

function* followed(all: readonly Connected[]): Iterable<SubscriptionReport> {
  for (const { report, follows } of all) {
    const { session, protocol, user } = report;
    for (const one of follows()) yield { session, protocol, user, ...one };
  }
}

function* connected({ gateway, streams, thread }: ClientsParts): Iterable<Connected> {
  for (const socket of gateway.sockets()) yield ofSocket(socket, thread);
  for (const [stream, facts] of streams.streams()) {
    const { serial, principal, address, openedAt, resource } = facts;
    yield {
      report: {
        ...{ session: `sse-${thread}-${serial}`, protocol: 'sse', user: nameOf(principal) },
        ...{ address, openedAt, connected: true, subscriptions: 1 },
        bufferedBytes: stream.bufferedBytes,
      },
      follows: () => [{ resource, stage: stream.stage }],
      close: (code) => stream.close(code),
      say: (json, at) => stream.say(Buffer.from(broadcastBlock(json, at))),
    };
  }
}

function ofSocket({ state, remoteAddress }: OpenSocket<Principal>, thread: number): Connected {
  const { connection, live, serial, openedAt, resource } = state;
  const principal = live?.principal ?? state.principal;
  const follows = [...connection.subscriptions()];
  return {
    report: {
      ...{ session: `ws-${thread}-${serial}`, protocol: 'websocket', user: nameOf(principal) },
      ...{ address: remoteAddress, openedAt, connected: true, subscriptions: follows.length },
      bufferedBytes: connection.bufferedBytes,
    },
    follows: () => follows.map((one) => ({ ...one, resource: one.resource ?? resource })),
    close: (code) => connection.close(code),
    say(json, at) {
      if (!connection.ready()) return false;
      connection.say({ type: 'broadcast', value: JSON.parse(json) as unknown, at });
      return true;
    },
  };
}

/** JSON has no line ends of its own, so it is one line of the block. */
const broadcastBlock = (json: string, at: number): string =>
  `event: broadcast\ndata: {"type":"broadcast","value":${json},"at":${at}}\n\n`;

export const nameOf = (principal: Principal): string =>
  principal.kind === 'anonymous' ? '' : principal.name;

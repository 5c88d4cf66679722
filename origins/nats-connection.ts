/**
 * A connection to a NATS server, to an address that the node may reach: it is looked at on a socket
 * of the node's own first, and then the client is given that very address. It does not reconnect,
 * and follows no address that the server names: who fed from it begins again.
 */
import { once } from 'node:events';
import { connect, type NatsConnection, type TlsOptions } from '@nats-io/transport-node';
import type { KindServices } from 'millrace';
import type { NatsSettings } from './nats-settings.ts';

/** Two answers missing end a connection. */
const PING_MS = 10_000;
const PINGS_UNANSWERED_MAX = 2;

/** Rejects with what is wrong in words, the server's address among them. */
export async function connectNats(
  settings: NatsSettings,
  services: KindServices,
  signal: AbortSignal,
): Promise<NatsConnection> {
  const { name, host, port, username, password, isTls, timeoutMs } = settings;
  const address = await reachable(settings, services, signal);
  try {
    return await connect({
      servers: address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`,
      name: `millrace ${name}`,
      timeout: timeoutMs,
      reconnect: false,
      ignoreClusterUpdates: true,
      pingInterval: PING_MS,
      maxPingOut: PINGS_UNANSWERED_MAX,
      ...credentials(username, password),
      ...(isTls ? { tls: verifiedAs(host) } : {}),
    });
  } catch (thrown) {
    throw new Error(`the NATS server at ${host}:${port} of ${name}: ${reasonOf(thrown)}`);
  }
}

/** The certificate is that of the name, though the connection is to an address. */
function verifiedAs(host: string): TlsOptions & { readonly servername: string } {
  return { servername: host };
}

/** A name alone is a token. */
function credentials(username: string | undefined, password: string | undefined) {
  if (username === undefined) return {};
  return password === undefined ? { token: username } : { user: username, pass: password };
}

async function reachable(
  { host, port }: NatsSettings,
  services: KindServices,
  signal: AbortSignal,
): Promise<string> {
  const socket = services.connectSocket({ host, port });
  try {
    await once(socket, 'connect', { signal });
    return socket.remoteAddress ?? host;
  } finally {
    socket.on('error', () => undefined);
    socket.destroy();
  }
}

export const reasonOf = (thrown: unknown): string =>
  thrown instanceof Error ? thrown.message : String(thrown);

/**
 * The way out for kinds whose protocol is not HTTP: a TCP or TLS connection under the address
 * guard, which judges the literal address, every answer of the resolver, and the connected socket
 * before a byte is written to it.
 */
import { isIP, connect as netConnect, Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { type AddressGuard, isAddress } from './address-guard.ts';
import type { SocketTarget } from './definition.ts';
import { guardedLookup } from './guarded-connector.ts';

/** A socket that is being connected; what goes wrong, a refusal included, is its `error` event. */
export function guardedSocket(
  target: SocketTarget,
  guard: AddressGuard,
  connectTimeoutMs: number,
): Socket {
  // An address of version 6 stands in brackets in an URL.
  const host = target.host.replace(/^\[|\]$/g, '');
  const { port } = target;
  const refusal = isAddress(host) ? guard.refusal(host, port, host) : undefined;
  if (refusal !== undefined) return new Socket().destroy(refusal);
  const where = { host, port, lookup: guardedLookup(guard, port) };
  const socket =
    target.tls === undefined
      ? netConnect(where)
      : tlsConnect({ ...(isIP(host) === 0 ? { servername: host } : {}), ...target.tls, ...where });
  const late = setTimeout(() => {
    const message = `no connection to ${host}:${port} within ${connectTimeoutMs} ms`;
    socket.destroy(Object.assign(new Error(message), { code: 'ETIMEDOUT' }));
  }, connectTimeoutMs);
  socket.once('connect', () => {
    const refused = guard.refusal(host, port, socket.remoteAddress ?? '');
    if (refused !== undefined) socket.destroy(refused);
  });
  socket.once(target.tls === undefined ? 'connect' : 'secureConnect', () => clearTimeout(late));
  socket.once('close', () => clearTimeout(late));
  return socket;
}

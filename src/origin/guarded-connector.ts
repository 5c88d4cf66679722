/**
 * Connects to an origin only where the address guard allows it: asked for a literal address before
 * connecting, for every answer of the resolver, and for the connected socket, which is what counts.
 */
import { type LookupAddress, type LookupAllOptions, lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import type { buildConnector } from 'undici';
import type { NodeError } from '../base/errors.ts';
import { type AddressGuard, isAddress } from './address-guard.ts';

/** Resolves a name to all of its addresses, as `dns.lookup` does. */
export type Resolve = (
  hostname: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/** undici's connector under the guard; `connectTimeoutMs` is the time for connection and TLS. */
export function guardedConnector(
  build: typeof buildConnector,
  guard: AddressGuard,
  connectTimeoutMs: number,
): buildConnector.connector {
  // One connector a port: it keeps the TLS sessions, and the guard judges host and port.
  const byPort = new Map<number, buildConnector.connector>();
  const connectorOf = (port: number) => {
    const known = byPort.get(port);
    if (known !== undefined) return known;
    const made = build({ timeout: connectTimeoutMs, lookup: guardedLookup(guard, port) });
    byPort.set(port, made);
    return made;
  };
  return (target, callback) => {
    const port = Number(target.port) || (target.protocol === 'https:' ? 443 : 80);
    const literal = isAddress(target.hostname)
      ? guard.refusal(target.hostname, port, target.hostname)
      : undefined;
    if (literal !== undefined) return callback(literal, null);
    connectorOf(port)(target, (error, socket) => {
      if (error !== null) return callback(error, null);
      const refusal = guard.refusal(target.hostname, port, socket.remoteAddress ?? '');
      if (refusal === undefined) return callback(null, socket);
      socket.destroy();
      callback(refusal, null);
    });
  };
}

/** Resolves a name to those of its addresses which may be reached. */
export function guardedLookup(
  guard: AddressGuard,
  port: number,
  resolve: Resolve = lookup,
): LookupFunction {
  return (hostname, lookupOptions, callback) => {
    resolve(hostname, { ...lookupOptions, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, '', 0);
      let refusal: NodeError | undefined;
      const allowed = addresses.filter((candidate) => {
        const refused = guard.refusal(hostname, port, candidate.address);
        refusal ??= refused;
        return refused === undefined;
      });
      const [first] = allowed;
      if (first === undefined) return callback(refusal ?? new Error('no address'), '', 0);
      if (lookupOptions.all === true) return callback(null, allowed);
      callback(null, first.address, first.family);
    });
  };
}

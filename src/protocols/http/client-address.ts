/**
 * Whose request it is when proxies stand in front: the address on the socket, unless that is a
 * trusted proxy; then the nearest address of `X-Forwarded-For` that is not one [RFC7239 §8.1]. What
 * stands left of it was written by somebody nobody vouches for, and is never believed.
 */
import { BlockList, isIP } from 'node:net';
import { unmapped } from './remote-address.ts';

/** Entries of the field that are looked at, from the right. */
export const HOPS_MAX = 16;

export interface ProxyTrust {
  trusts(address: string): boolean;
}

/** `undefined` for no networks: then no field is ever looked at. */
export function proxyTrust(networks: readonly string[]): ProxyTrust | undefined {
  if (networks.length === 0) return undefined;
  const list = new BlockList();
  for (const network of networks) addNetwork(list, network);
  return { trusts: (address) => listed(list, address) };
}

/** The client's address: `peer`, or what trusted proxies say of it. */
export function clientAddress(
  peer: string,
  forwardedFor: string | undefined,
  trust: ProxyTrust,
): string {
  if (forwardedFor === undefined || !trust.trusts(peer)) return peer;
  let client = peer;
  for (const hop of hopsFromRight(forwardedFor)) {
    const address = bareAddress(hop);
    // Anything else may be a name, an obfuscation or an attack: what is known ends here.
    if (isIP(address) === 0) return client;
    client = unmapped(address);
    if (!trust.trusts(client)) return client;
  }
  return client;
}

/** The elements of a list to which each proxy adds one, the nearest first. */
export const hopsFromRight = (field: string): string[] =>
  field
    .split(',', 1024)
    .reverse()
    .slice(0, HOPS_MAX)
    .map((hop) => hop.trim());

function addNetwork(list: BlockList, network: string): void {
  const [address = '', prefix] = network.split('/');
  const family = isIP(address) === 4 ? 'ipv4' : 'ipv6';
  if (prefix === undefined) list.addAddress(address, family);
  else list.addSubnet(address, Number(prefix), family);
}

function listed(list: BlockList, address: string): boolean {
  const family = isIP(address);
  return family !== 0 && list.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

/** Without brackets and port, which some proxies add. */
export function bareAddress(hop: string): string {
  if (hop.startsWith('[')) return hop.slice(1, Math.max(1, hop.indexOf(']')));
  const [address = '', port, ...more] = hop.split(':');
  return port !== undefined && more.length === 0 ? address : hop;
}

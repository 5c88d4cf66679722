/**
 * Keeps origins from reaching inside: addresses that are loopback, private, link-local, shared,
 * multicast, reserved or a cloud's metadata service are refused unless the origin's `allowPrivate`
 * says otherwise. Judged on addresses, never on names or spellings: `0x7f000001`, `2130706433` and
 * `[::ffff:127.0.0.1]` all end as the same socket address.
 *
 * The http client asks three times: for a literal address before connecting, for each answer of the
 * resolver, and for the connected socket (which is what counts: a resolver may change its mind).
 */
import { BlockList, isIP } from 'node:net';
import { NodeError } from '../base/errors.ts';

/** `true`: any private address but metadata services; a list: these `host:port` only. */
export type AllowPrivate = boolean | readonly string[];

const PRIVATE_IPV4 =
  '0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 ' +
  '192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 ' +
  '224.0.0.0/4 240.0.0.0/4';
// Transition prefixes (NAT64, 6to4, Teredo, IPv4-compatible) are refused whole: they hold any IPv4.
const PRIVATE_IPV6 =
  '::/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/32 2001:2::/48 2001:db8::/32 2002::/16 ' +
  '3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8';
const METADATA = [
  '169.254.169.254',
  '169.254.170.2',
  '100.100.100.200',
  '192.0.0.192',
  'fd00:ec2::254',
];

const privateAddresses = blockList(PRIVATE_IPV4.split(' '), PRIVATE_IPV6.split(' '));
const metadataAddresses = new BlockList();
for (const address of METADATA) metadataAddresses.addAddress(address, familyOf(address));

function blockList(ipv4: readonly string[], ipv6: readonly string[]): BlockList {
  const list = new BlockList();
  const add = (subnet: string, family: 'ipv4' | 'ipv6') => {
    const [address = '', bits = ''] = subnet.split('/');
    list.addSubnet(address, Number(bits), family);
  };
  for (const subnet of ipv4) add(subnet, 'ipv4');
  for (const subnet of ipv6) add(subnet, 'ipv6');
  return list;
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}

/** `address` without brackets and zone. */
const bare = (address: string): string => address.replace(/^\[|\]$/g, '').replace(/%.*$/, '');

/** Whether `host` is an address rather than a name. */
export const isAddress = (host: string): boolean => isIP(bare(host)) !== 0;

/** Whether an address is not on the public internet; what is no address counts as private. */
export function isPrivateAddress(address: string): boolean {
  const plain = bare(address);
  // An IPv4-mapped IPv6 address is checked against the IPv4 subnets by BlockList itself.
  return isIP(plain) === 0 || privateAddresses.check(plain, familyOf(plain));
}

export interface AddressGuard {
  /** The error that refuses `address`, reached as `host:port`; `undefined` when it is allowed. */
  refusal(host: string, port: number, address: string): NodeError | undefined;
}

export function createAddressGuard(originName: string, allowPrivate: AllowPrivate): AddressGuard {
  const listed = new Set(typeof allowPrivate === 'boolean' ? [] : allowPrivate.map(normalPlace));
  return {
    refusal(host, port, address) {
      if (!isPrivateAddress(address)) return undefined;
      if (listed.has(place(host, port)) || listed.has(place(address, port))) return undefined;
      const plain = bare(address);
      const metadata = isIP(plain) !== 0 && metadataAddresses.check(plain, familyOf(plain));
      if (allowPrivate === true && !metadata) return undefined;
      return refused(originName, place(host, port), address);
    },
  };
}

const place = (host: string, port: number): string => {
  const plain = bare(host).toLowerCase();
  return `${isIP(plain) === 6 ? `[${plain}]` : plain}:${port}`;
};

function normalPlace(written: string): string {
  const colon = written.lastIndexOf(':');
  return place(written.slice(0, colon), Number(written.slice(colon + 1)));
}

function refused(originName: string, reached: string, address: string): NodeError {
  const message =
    `origin ${originName}: ${reached} is the private address ${address}, which origins may not ` +
    `reach. If that is intended, add to the origin's file: allowPrivate: ["${reached}"]`;
  return new NodeError('ADDRESS_REFUSED', message, {
    blame: 'node',
    details: { origin: originName, host: reached, address },
  });
}

/**
 * Networks as text: an address of either family, alone or with the length of its prefix. Only the
 * grammar; which addresses lie in one is asked where addresses arrive.
 */
import { isIP } from 'node:net';

/** Whether `text` is an address, or one with a prefix length. */
export function isNetwork(text: string): boolean {
  const [address = '', prefix, ...more] = text.split('/');
  const family = isIP(address);
  if (family === 0 || more.length > 0) return false;
  if (prefix === undefined) return true;
  return /^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128);
}

/**
 * Which values of `Host` a port answers. A page of another site may make its own name lead to a
 * loopback address and then read what a browser on this machine can reach ("DNS rebinding"); its
 * requests carry its name, and are refused by it.
 */

const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '[::1]'];
const WILDCARDS: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

/** Whether the field may be answered; everything may on a port that is open to all addresses. */
export function hostCheck(
  boundTo: string,
  listed: readonly string[],
): (field: string | undefined) => boolean {
  if (listed.length === 0 && WILDCARDS.has(boundTo)) return () => true;
  const own = boundTo.includes(':') ? `[${boundTo}]` : boundTo;
  const names = new Set([...LOOPBACK_NAMES, own, ...listed].map((name) => name.toLowerCase()));
  return (field) => {
    if (field === undefined) return false;
    const host = field.toLowerCase();
    return names.has(host) || names.has(host.replace(/:\d*$/, ''));
  };
}

/**
 * Slows guessing down: after a few failures of one user from one address the next try has to wait,
 * twice as long each time. Failures of an address with any names, and of a name from any addresses,
 * count too, with more patience: neither many names nor many addresses help. Who signed in from an
 * address before is not shut out by the failures of others.
 *
 * Names that do not exist are counted as those that do. The tables are bounded; what is dropped
 * from them is the least recently seen.
 */
import { type BoundedCache, createBoundedCache } from '../../base/bounded-cache.ts';
import type { Clock } from '../../base/clock.ts';
import { LIMITS } from '../../config/limits.ts';

interface Failures {
  count: number;
  /** By the monotonic clock. */
  lastAt: number;
}

interface Patience {
  /** Failures that cost nothing. */
  readonly free: number;
}

const PAIR: Patience = { free: 5 };
const ADDRESS: Patience = { free: 50 };
const NAME: Patience = { free: 100 };
const WAIT_MS_MAX = 60_000;
/** After so long without a failure the past is forgotten. */
const FORGET_MS = 15 * 60_000;
const ROW_BYTES = 128;

export class BackOff {
  readonly #clock: Clock;
  readonly #failures: BoundedCache<Failures>;
  readonly #welcome: BoundedCache<string>;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#failures = createBoundedCache('sign-in failures', LIMITS.signInTableBytesMax);
    this.#welcome = createBoundedCache('sign-in successes', LIMITS.signInTableBytesMax);
  }

  /** Milliseconds which this try has to wait: 0 when it may be made now. */
  waitMs(name: string, address: string): number {
    const network = networkOf(address);
    const pair = pairKey(name, network);
    const waits = [this.#wait(pair, PAIR)];
    if (this.#welcome.get(pair) === undefined) {
      waits.push(this.#wait(`a ${network}`, ADDRESS), this.#wait(`n ${name}`, NAME));
    }
    return Math.max(...waits);
  }

  failed(name: string, address: string): void {
    const network = networkOf(address);
    for (const key of [pairKey(name, network), `a ${network}`, `n ${name}`]) {
      const known = this.#recent(key);
      const count = (known?.count ?? 0) + 1;
      const bytes = ROW_BYTES + key.length * 2;
      this.#failures.set(key, { count, lastAt: this.#clock.monotonic() }, bytes);
    }
  }

  succeeded(name: string, address: string): void {
    const pair = pairKey(name, networkOf(address));
    this.#failures.delete(pair);
    this.#welcome.set(pair, 'yes', ROW_BYTES + pair.length * 2);
  }

  #wait(key: string, { free }: Patience): number {
    const known = this.#recent(key);
    if (known === undefined || known.count < free) return 0;
    const pause = Math.min(WAIT_MS_MAX, 1_000 * 2 ** Math.min(30, known.count - free));
    return Math.max(0, known.lastAt + pause - this.#clock.monotonic());
  }

  #recent(key: string): Failures | undefined {
    const known = this.#failures.get(key);
    if (known === undefined || this.#clock.monotonic() - known.lastAt > FORGET_MS) return undefined;
    return known;
  }
}

const pairKey = (name: string, network: string): string => `p ${network} ${name}`;

/** One household or server has a whole IPv6 network of 64 bits to itself. */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.split('%', 1)[0]?.split('::', 2) ?? [];
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const gap = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  const groups = [...before, ...Array.from({ length: gap }, () => '0'), ...after];
  return `${groups
    .slice(0, 4)
    .map((group) => group.toLowerCase().replace(/^0+(?=.)/, ''))
    .join(':')}::/64`;
}

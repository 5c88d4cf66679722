/**
 * Machines that are none: a network namespace for each node, joined by a bridge, with an address
 * that the test reaches too. What a cable can do is done by the kernel: `ip link`, `tc`, `nft`.
 * Needs root and iproute2; `hasNamespaces` says whether they can be had.
 */
import { spawnSync } from 'node:child_process';

const PREFIX = `mr${process.pid % 10_000}`;
/** [RFC2544] Nobody uses this network; each process has a part: test files run side by side. */
const NETWORK = `198.${18 + ((process.pid >> 8) & 1)}.${process.pid & 255}`;

function ip(...args: readonly string[]): void {
  const { status, stderr } = spawnSync('ip', [...args], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`);
}

export function hasNamespaces(): boolean {
  const name = `${PREFIX}t`;
  if (spawnSync('ip', ['netns', 'add', name]).status !== 0) return false;
  const made = spawnSync('ip', ['link', 'add', `${PREFIX}x`, 'type', 'bridge']).status === 0;
  if (made) spawnSync('ip', ['link', 'del', `${PREFIX}x`]);
  spawnSync('ip', ['netns', 'del', name]);
  return made;
}

/** Why tests that need machines are left out; empty where they can be had. */
export const namespacesMissing = (): string =>
  hasNamespaces() ? '' : ' (network namespaces cannot be made: this needs root and iproute2)';

export interface Machine {
  readonly name: string;
  readonly address: string;
  readonly launcher: readonly string[];
  /** As if its cable were pulled. */
  unplug(): void;
  plug(): void;
  /** Drops what comes from another machine, or goes out to it; one way. */
  drop(way: 'from' | 'to', address: string): void;
  /** Lets all through again. */
  pass(): void;
}

export class Machines {
  readonly #bridge = `${PREFIX}b`;
  readonly #names: string[] = [];

  constructor() {
    ip('link', 'add', this.#bridge, 'type', 'bridge');
    ip('addr', 'add', `${NETWORK}.254/24`, 'dev', this.#bridge);
    ip('link', 'set', this.#bridge, 'up');
  }

  add(): Machine {
    const number = this.#names.length + 1;
    const name = `${PREFIX}n${number}`;
    const [outside, inside] = [`${PREFIX}o${number}`, `${PREFIX}i${number}`];
    const address = `${NETWORK}.${number}`;
    ip('netns', 'add', name);
    this.#names.push(name);
    ip('link', 'add', outside, 'type', 'veth', 'peer', 'name', inside, 'netns', name);
    ip('link', 'set', outside, 'master', this.#bridge, 'up');
    ip('-n', name, 'addr', 'add', `${address}/24`, 'dev', inside);
    ip('-n', name, 'link', 'set', inside, 'up');
    ip('-n', name, 'link', 'set', 'lo', 'up');
    const within = (...command: readonly string[]) =>
      spawnSync('ip', ['netns', 'exec', name, ...command], { encoding: 'utf8' });
    return {
      ...{ name, address, launcher: ['ip', 'netns', 'exec', name] },
      unplug: () => ip('link', 'set', outside, 'down'),
      plug: () => ip('link', 'set', outside, 'up'),
      drop(way, other) {
        // A route to nowhere is what every kernel has, with or without a packet filter.
        if (way === 'to') ip('-n', name, 'route', 'add', 'blackhole', `${other}/32`);
        else within('iptables', '-A', 'INPUT', '-s', other, '-j', 'DROP');
      },
      pass() {
        within('iptables', '-F');
        spawnSync('ip', ['-n', name, 'route', 'flush', 'type', 'blackhole']);
      },
    };
  }

  remove(): void {
    for (const name of this.#names) spawnSync('ip', ['netns', 'del', name]);
    spawnSync('ip', ['link', 'del', this.#bridge]);
  }
}

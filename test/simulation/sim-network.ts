/**
 * A network under a seed: latency and jitter by direction, cuts of one direction or both, and,
 * while it is dirty, frames that are lost, doubled or overtake each other, which no real link does
 * and which the core must take for faults. A cut holds frames back, as TCP does, until it heals or
 * one side gives up; the other side does not hear of that while the way there is cut.
 */
import type { ChangeLink, LinkUser } from '../../src/replication/ports.ts';
import type { Random } from './random.ts';
import type { World } from './world.ts';

type Frame = Readonly<Record<string, unknown>>;

/** How long a dialler waits for an answer. */
const DIAL_MS = 2_000;
const UNDER_WAY_MAX = 24;

export class SimNetwork {
  readonly #world: World;
  readonly #random: Random;
  readonly #cuts = new Set<string>();
  readonly #latencies = new Map<string, number>();
  readonly #held = new Map<string, (() => void)[]>();
  /** Chance of a frame to be lost, doubled or late; what that leads to may show later. */
  dirt = 0;
  isDirty = false;
  frames = 0;

  constructor(world: World, random: Random) {
    this.#world = world;
    this.#random = random;
  }

  cut(from: string, to: string): void {
    this.#cuts.add(`${from}>${to}`);
  }

  heal(): void {
    this.#cuts.clear();
    for (const [way, held] of this.#held) {
      this.#held.delete(way);
      // In the order in which they were sent, and before what is sent from now on.
      for (const run of held) run();
    }
  }

  isCut(from: string, to: string): boolean {
    return this.#cuts.has(`${from}>${to}`);
  }

  setLatency(from: string, to: string, ms: number): void {
    this.#latencies.set(`${from}>${to}`, ms);
  }

  latency(from: string, to: string): number {
    return this.#latencies.get(`${from}>${to}`) ?? 1;
  }

  /** Carries something one way; a cut holds it back. */
  carry(from: string, to: string, run: () => void, extra = 0): void {
    const way = `${from}>${to}`;
    if (this.#cuts.has(way)) {
      const held = this.#held.get(way) ?? [];
      held.push(() => this.carry(from, to, run));
      this.#held.set(way, held);
      return;
    }
    this.#world.after(this.latency(from, to) + extra, run);
  }

  /** Resolves with the dialler's end; the other is handed to `accept`, unless nobody is there. */
  dial(
    from: string,
    to: string,
    accept: () => ((link: ChangeLink) => void) | undefined,
  ): Promise<ChangeLink> {
    return new Promise((resolve, reject) => {
      const cancel = this.#world.after(DIAL_MS, () => reject(new Error(`${to} does not answer`)));
      if (this.isCut(from, to) || this.isCut(to, from)) return;
      this.#world.after(this.latency(from, to) + this.latency(to, from), () => {
        cancel();
        const open = accept();
        if (open === undefined) {
          reject(new Error(`nobody listens at ${to}`));
          return;
        }
        const [near, far] = this.#pair(from, to);
        resolve(near);
        open(far);
      });
    });
  }

  /** One frame on its way: possibly lost, twice, or late. */
  travel(from: string, to: string, deliver: () => void): void {
    this.frames += 1;
    const isDirty = this.dirt > 0 && this.#random.chance(this.dirt);
    if (!isDirty) {
      this.carry(from, to, deliver);
      return;
    }
    const kind = this.#random.below(3);
    if (kind === 1) this.carry(from, to, deliver);
    if (kind > 0) this.carry(from, to, deliver, this.#random.below(50));
  }

  #pair(from: string, to: string): readonly [SimLink, SimLink] {
    const near = new SimLink(this, from, to, 'dialler');
    const far = new SimLink(this, to, from, 'listener');
    near.other = far;
    far.other = near;
    return [near, far];
  }
}

export class SimLink implements ChangeLink {
  readonly peer: string;
  readonly side: 'dialler' | 'listener';
  other: SimLink | undefined;
  readonly #network: SimNetwork;
  readonly #self: string;
  #user: LinkUser | undefined;
  #early: Frame[] = [];
  #isOpen = true;
  #underWay = 0;
  #waits = false;

  constructor(network: SimNetwork, self: string, peer: string, side: 'dialler' | 'listener') {
    this.#network = network;
    this.#self = self;
    this.peer = peer;
    this.side = side;
  }

  use(user: LinkUser): void {
    this.#user = user;
    const early = this.#early;
    this.#early = [];
    for (const frame of early) this.#take(frame);
    if (!this.#isOpen) user.gone('the other side had closed it');
  }

  send(frame: Frame): boolean {
    if (!this.#isOpen) return false;
    this.#underWay += 1;
    this.#network.travel(this.#self, this.peer, () => {
      this.#underWay -= 1;
      if (this.other !== undefined) this.other.#take(frame);
      if (!this.#waits || this.#underWay > UNDER_WAY_MAX / 2) return;
      this.#waits = false;
      if (this.#isOpen) this.#user?.drained();
    });
    if (this.#underWay < UNDER_WAY_MAX) return true;
    this.#waits = true;
    return false;
  }

  close(_why: string): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const { other } = this;
    this.#network.carry(this.#self, this.peer, () => {
      if (other !== undefined) other.#end('the other side closed it');
    });
  }

  /** The process at this end is gone: the other side hears of it when something arrives here. */
  abandon(): void {
    this.close('the process ended');
  }

  #take(frame: Frame): void {
    if (!this.#isOpen) return;
    if (this.#user === undefined) this.#early.push(frame);
    else this.#user.received(frame, 0);
  }

  #end(why: string): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#user?.gone(why);
  }
}

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

/** One direction between two nodes. */
interface Way {
  latency: number;
  isCut: boolean;
  /** What a cut holds back, in the order in which it was sent. */
  held: (() => void)[];
}

export class SimNetwork {
  readonly #world: World;
  readonly #random: Random;
  readonly #ways = new Map<string, Way>();
  /** Chance of a frame to be lost, doubled or late; what that leads to may show later. */
  dirt = 0;
  isDirty = false;
  frames = 0;
  /** Frames that are lost for certain. */
  loses: (frame: Frame) => boolean = () => false;

  constructor(world: World, random: Random) {
    this.#world = world;
    this.#random = random;
  }

  way(from: string, to: string): Way {
    const name = `${from}>${to}`;
    const known = this.#ways.get(name);
    if (known !== undefined) return known;
    const way: Way = { latency: 1, isCut: false, held: [] };
    this.#ways.set(name, way);
    return way;
  }

  cut(from: string, to: string): void {
    this.way(from, to).isCut = true;
  }

  heal(): void {
    for (const way of this.#ways.values()) way.isCut = false;
    for (const way of this.#ways.values()) {
      const { held } = way;
      way.held = [];
      // Before what is sent from now on.
      for (const run of held) run();
    }
  }

  setLatency(from: string, to: string, ms: number): void {
    this.way(from, to).latency = ms;
  }

  /** Carries something one way; a cut holds it back. */
  carry(way: Way, run: () => void, extra = 0): void {
    if (way.isCut) way.held.push(() => this.carry(way, run));
    else this.#world.after(way.latency + extra, run);
  }

  /** Resolves with the dialler's end; the other is handed to `accept`, unless nobody is there. */
  dial(
    from: string,
    to: string,
    accept: () => ((link: ChangeLink) => void) | undefined,
  ): Promise<ChangeLink> {
    return new Promise((resolve, reject) => {
      const cancel = this.#world.after(DIAL_MS, () => reject(new Error(`${to} does not answer`)));
      const [there, back] = [this.way(from, to), this.way(to, from)];
      if (there.isCut || back.isCut) return;
      this.#world.after(there.latency + back.latency, () => {
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
  travel(way: Way, deliver: () => void): void {
    this.frames += 1;
    const isDirty = this.dirt > 0 && this.#random.chance(this.dirt);
    if (!isDirty) {
      this.carry(way, deliver);
      return;
    }
    const kind = this.#random.below(3);
    if (kind === 1) this.carry(way, deliver);
    if (kind > 0) this.carry(way, deliver, this.#random.below(50));
  }

  #pair(from: string, to: string): readonly [SimLink, SimLink] {
    const near = new SimLink(this, this.way(from, to), to, 'dialler');
    const far = new SimLink(this, this.way(to, from), from, 'listener');
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
  readonly #way: Way;
  #user: LinkUser | undefined;
  #early: Frame[] = [];
  #isOpen = true;
  #underWay = 0;
  #waits = false;

  constructor(network: SimNetwork, way: Way, peer: string, side: 'dialler' | 'listener') {
    this.#network = network;
    this.#way = way;
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
    if (this.#network.loses(frame)) return true;
    this.#underWay += 1;
    this.#network.travel(this.#way, () => {
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
    this.#network.carry(this.#way, () => {
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

/**
 * A stream that a server keeps for the whole fleet, under a seed. While it is dirty, messages are
 * lost, doubled and late, and some are too large; it can be wiped, purged, trimmed, and be away.
 * Whatever it does, the fleet must come to hold the same: nothing may rely on it.
 */
import type { Clock } from '../../src/base/clock.ts';
import type { Backbone, BackboneUser, News } from '../../src/replication/backbone-port.ts';
import type { Random } from './random.ts';
import type { World } from './world.ts';

const ACK_LOST_MS = 1_000;

export class SimBackbone {
  /** Chance of a message to be lost, doubled, late or too large. */
  dirt = 0;
  isUp = true;
  /** How long it takes until a node may use it. */
  attachMs = 20;
  /** Messages of more items are too large. */
  itemsMax = Number.POSITIVE_INFINITY;
  readonly #world: World;
  readonly #random: Random;
  readonly #lines = new Set<SimLine>();
  readonly #ids = new Set<string>();
  #creation = 1;
  #messages: News[] = [];
  /** How many messages were dropped from the front. */
  #dropped = 0;

  constructor(world: World, random: Random) {
    this.#world = world;
    this.#random = random;
  }

  /** The end of one run of a node. */
  line(clock: Clock & { readonly isOver: boolean }): SimLine {
    return new SimLine(this, clock);
  }

  get stream(): string {
    return `creation ${this.#creation}`;
  }

  get first(): number {
    return this.#dropped + 1;
  }

  get last(): number {
    return this.#dropped + this.#messages.length;
  }

  message(sequence: number): News | undefined {
    return this.#messages[sequence - this.first];
  }

  lastOf(author: number): News | undefined {
    return this.#messages.findLast((news) => news.author === author);
  }

  /** The storage is lost: another stream of the same name. */
  wipe(): void {
    this.down();
    this.#creation += 1;
    this.#messages = [];
    this.#dropped = 0;
    this.#ids.clear();
    this.up();
  }

  /** Drops all messages but the last `kept`. */
  purge(kept: number): void {
    const count = Math.max(0, this.#messages.length - kept);
    this.#messages.splice(0, count);
    this.#dropped += count;
  }

  down(): void {
    this.isUp = false;
    for (const line of this.#lines) line.detach();
  }

  up(): void {
    this.isUp = true;
    for (const line of this.#lines) line.attachSoon();
  }

  add(line: SimLine): void {
    this.#lines.add(line);
  }

  after(ms: number, run: () => void): void {
    this.#world.after(ms, run);
  }

  store(news: News): void {
    const id = `${news.author}:${news.since}:${news.upTo}`;
    if (!this.isUp || this.#ids.has(id)) return;
    this.#ids.add(id);
    this.#messages.push(news);
    for (const line of this.#lines) line.pump();
  }

  get latency(): number {
    return this.#random.between(1, 6);
  }

  /** Lost, doubled, late or too large; mostly none of them. */
  get mishap(): 'lost' | 'doubled' | 'late' | 'tooLarge' | undefined {
    if (this.dirt === 0 || !this.#random.chance(this.dirt)) return undefined;
    return this.#random.pick(['lost', 'doubled', 'late', 'tooLarge'] as const);
  }
}

export class SimLine implements Backbone {
  readonly #server: SimBackbone;
  readonly #clock: Clock & { readonly isOver: boolean };
  #user: BackboneUser | undefined;
  #author: number | undefined;
  #isAttached = false;
  #read = 0;
  #attempt = 0;

  constructor(server: SimBackbone, clock: Clock & { readonly isOver: boolean }) {
    this.#server = server;
    this.#clock = clock;
    server.add(this);
  }

  use(user: BackboneUser, author: number): void {
    this.#user = user;
    this.#author = author;
    this.attachSoon();
  }

  attachSoon(): void {
    if (this.#clock.isOver) return;
    this.#attempt += 1;
    const attempt = this.#attempt;
    this.#server.after(this.#server.attachMs, () => {
      if (attempt === this.#attempt && this.#server.isUp && !this.#clock.isOver) this.#attach();
    });
  }

  detach(): void {
    if (!this.#isAttached || this.#clock.isOver) return;
    this.#isAttached = false;
    this.#attempt += 1;
    this.#user?.detached('the server is away');
  }

  publish(news: News): Promise<void> | undefined {
    const server = this.#server;
    const mishap = server.mishap;
    if (news.items.length > server.itemsMax) return undefined;
    if (mishap === 'tooLarge' && !news.isOmitted) return undefined;
    return new Promise((resolve, reject) => {
      const keep = () => server.store(news);
      if (mishap !== 'lost') server.after(server.latency + (mishap === 'late' ? 40 : 0), keep);
      if (mishap === 'doubled') server.after(server.latency, keep);
      server.after(ACK_LOST_MS, () => {
        if (!this.#clock.isOver) reject(new Error('nobody acknowledges it'));
      });
      if (mishap === 'lost' || !server.isUp) return;
      server.after(2 * server.latency + 40, () => {
        if (!this.#clock.isOver) resolve();
      });
    });
  }

  /** Sends what is there behind the place. */
  pump(): void {
    const server = this.#server;
    while (this.#isAttached && this.#read < server.last) {
      this.#read = Math.max(this.#read + 1, server.first);
      const news = server.message(this.#read);
      if (news !== undefined) this.#deliver(news, this.#read);
    }
  }

  #attach(): void {
    const { stream, first, last } = this.#server;
    this.#isAttached = true;
    this.#read = this.#user?.attached({ stream, first, last, ownLast: this.#ownLast }) ?? 0;
    this.pump();
  }

  get #ownLast(): News | undefined {
    return this.#author === undefined ? undefined : this.#server.lastOf(this.#author);
  }

  #deliver(news: News, sequence: number): void {
    const { stream, latency, last, mishap } = this.#server;
    const attempt = this.#attempt;
    const pending = last - sequence;
    const arrive = () => {
      if (this.#clock.isOver || attempt !== this.#attempt) return;
      void this.#user?.heard(news, { stream, sequence }, pending);
    };
    if (mishap !== 'lost') this.#server.after(mishap === 'late' ? latency + 60 : 3, arrive);
    if (mishap === 'doubled') this.#server.after(latency + 10, arrive);
  }
}

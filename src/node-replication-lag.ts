/**
 * For how long changes of each other node have been missing here: a node that is behind all the
 * time is told from one that is behind for the moment between a change and its arrival.
 */
import { durationMs } from './base/brands.ts';
import type { Cancel, Clock } from './base/clock.ts';
import type { Replicator } from './replication/replicator.ts';

const LOOK_EVERY = durationMs(250);

export class LagWatch {
  readonly #replicator: Pick<Replicator, 'status'>;
  readonly #clock: Clock;
  /** Instant since which each has been behind. */
  readonly #since = new Map<string, number>();
  #cancel: Cancel = () => undefined;

  constructor(replicator: Pick<Replicator, 'status'>, clock: Clock) {
    this.#replicator = replicator;
    this.#clock = clock;
    this.#later();
  }

  /** 0 while nothing is known to be missing. */
  secondsOf(peer: string): number {
    const since = this.#since.get(peer);
    return since === undefined ? 0 : (this.#clock.monotonic() - since) / 1_000;
  }

  stop(): void {
    this.#cancel();
  }

  #later(): void {
    this.#cancel = this.#clock.after(LOOK_EVERY, () => {
      this.#look();
      this.#later();
    });
  }

  #look(): void {
    const now = this.#clock.monotonic();
    for (const { name, isMember, behind } of this.#replicator.status().peers) {
      // Of one that cannot be reached nobody knows what is missing.
      const isBehind = isMember && behind !== 0;
      if (!isBehind) this.#since.delete(name);
      else if (!this.#since.has(name)) this.#since.set(name, now);
    }
  }
}

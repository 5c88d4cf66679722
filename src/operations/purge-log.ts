/**
 * `purge_log`: the newest purges of this node since it started, newest first: when, by whom, what,
 * and whether softly. Bounded in number; of a purge that named many keys the first are kept.
 */
import type { Clock } from '../base/clock.ts';
import { LIMITS } from '../config/limits.ts';
import { type Operation, usage } from './operation.ts';

export interface PurgeEntry {
  /** Name of the administrator who asked. */
  readonly by: string;
  readonly [detail: string]: unknown;
}

const NAMES_KEPT = 20;

export class PurgeLog {
  readonly #clock: Clock;
  #entries: (PurgeEntry & { readonly at: string })[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(entry: PurgeEntry): void {
    const at = new Date(this.#clock.now()).toISOString();
    const purged = shortened(entry.purged);
    this.#entries = [{ at, ...entry, purged }, ...this.#entries].slice(0, LIMITS.purgeLogMax);
  }

  newest(count: number): readonly object[] {
    return this.#entries.slice(0, count);
  }
}

/** Lists of names, and lists one level down, cut to their first few. */
function shortened(purged: unknown): unknown {
  if (Array.isArray(purged)) {
    if (purged.length <= NAMES_KEPT) return purged;
    return [...purged.slice(0, NAMES_KEPT), `and ${purged.length - NAMES_KEPT} more`];
  }
  if (typeof purged !== 'object' || purged === null) return purged;
  return Object.fromEntries(
    Object.entries(purged).map(([name, value]) => [name, shortened(value)]),
  );
}

export const purgeLog: Operation = {
  name: 'purge_log',
  takes: ['limit'],
  run({ limit = LIMITS.purgeLogMax }, { purges }) {
    if (!Number.isInteger(limit) || Number(limit) < 1) throw usage('limit: a number from 1 on');
    return { purges: purges.newest(Number(limit)) };
  },
};

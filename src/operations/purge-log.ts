/**
 * `purge_log`: the newest purges of this node since it started, newest first, however they were
 * asked for: when, by whom, what kind, what, and whether softly. Bounded in number; of a purge that
 * named many keys the first are kept.
 */
import type { Clock } from '../base/clock.ts';
import { LIMITS } from '../config/limits.ts';
import type { PurgeNote } from '../table/purge-note.ts';
import { type Operation, usage } from './operation.ts';

export interface PurgeEntry extends Omit<PurgeNote, 'count' | 'tables' | 'address'> {
  readonly at: string;
  /** The table, or all that the purge was for. */
  readonly table?: string | undefined;
  readonly tables?: readonly string[] | undefined;
}

const NAMES_KEPT = 20;

export interface PurgeCount {
  readonly table: string;
  readonly kind: string;
  readonly value: number;
}

export class PurgeLog {
  readonly #clock: Clock;
  readonly #counts = new Map<string, PurgeCount>();
  #entries: PurgeEntry[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add({ count, tables, address: _, ...note }: PurgeNote): void {
    const at = new Date(this.#clock.now()).toISOString();
    const [table] = tables;
    const where = tables.length === 1 ? { table } : { tables };
    const entry = { at, ...note, ...where, purged: shortened(note.purged) };
    this.#entries = [entry, ...this.#entries].slice(0, LIMITS.purgeLogMax);
    for (const name of tables) this.#count(name, note.kind, count);
  }

  newest(count: number): readonly PurgeEntry[] {
    return this.#entries.slice(0, count);
  }

  /** Since the start, by table and kind. */
  counts(): Iterable<PurgeCount> {
    return this.#counts.values();
  }

  #count(table: string, kind: string, count: number): void {
    const key = `${table} ${kind}`;
    const value = (this.#counts.get(key)?.value ?? 0) + count;
    this.#counts.set(key, { table, kind, value });
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

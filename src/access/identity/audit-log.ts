/**
 * Keeps what is worth remembering of who did what, in a system table, newest first. It never makes
 * anybody wait: events are gathered and written a moment later; what comes faster than it may be
 * written, or finds no room, is counted and left out. Bounded by age and by number of rows. What
 * strangers can cause has half of the room and a rate of its own: who floods the node with wrong
 * passwords neither keeps other events from being written nor pushes them out.
 */
import { durationMs, type EpochMs } from '../../base/brands.ts';
import type { Clock } from '../../base/clock.ts';
import { LIMITS } from '../../config/limits.ts';
import { type AuditEvent, isOfStrangers } from '../audit.ts';
import type { Directory } from './directory.ts';
import type { Registry } from './registry.ts';
import { SYSTEM } from './system-tables.ts';

export interface AuditRow {
  readonly id: string;
  readonly at: string;
  readonly expiresAt: number;
  readonly event: AuditEvent;
}

type Whose = 'strangers' | 'others';

const DAY_MS = 86_400_000;
const FLUSH_MS = 100;
/** Rows over the bound by which it is trimmed at once. */
const TRIM_SHARE = 0.1;
const LAST_INSTANT = 8_640_000_000_000_000;
const KEY_CHARS = 11;
/** Events that one instant puts in order. */
const ORDERS = 1_000_000;

export class AuditLog {
  readonly #registry: Registry;
  readonly #directory: Directory;
  readonly #clock: Clock;
  readonly #thread: number;
  #waiting: AuditRow[] = [];
  #count = 0;
  /** Events that may be written now, of strangers and of others; refilled with time. */
  readonly #allowances: Record<Whose, number> = {
    strangers: LIMITS.auditBurstMax,
    others: LIMITS.auditBurstMax,
  };
  #refilledAt: number;
  #isTrimming = false;
  #written: Promise<void> = Promise.resolve();
  /** Events that were left out. */
  lost = 0;

  constructor(parts: {
    readonly registry: Registry;
    readonly directory: Directory;
    readonly clock: Clock;
    readonly thread: number;
  }) {
    this.#registry = parts.registry;
    this.#directory = parts.directory;
    this.#clock = parts.clock;
    this.#thread = parts.thread;
    this.#refilledAt = parts.clock.monotonic();
  }

  /** Whether it is remembered. */
  record(event: AuditEvent): boolean {
    this.#refill();
    const whose = isOfStrangers(event) ? 'strangers' : 'others';
    if (this.#allowances[whose] < 1) {
      this.lost += 1;
      return false;
    }
    this.#allowances[whose] -= 1;
    this.#count += 1;
    const now = this.#clock.now();
    // Of one instant, too, the latest comes first.
    const order = (ORDERS - 1 - (this.#count % ORDERS)).toString().padStart(6, '0');
    const id = `${keyOf(now)}-${this.#thread}-${order}`;
    const at = new Date(now).toISOString();
    if (this.#waiting.length === 0) {
      this.#clock.after(durationMs(FLUSH_MS), () => void this.flush());
    }
    this.#waiting.push({ id, at, expiresAt: now + LIMITS.auditDaysMax * DAY_MS, event });
    return true;
  }

  /** Resolves when all that was recorded is written; what the store has no room for is lost. */
  flush(): Promise<void> {
    this.#written = this.#written.then(() => this.#write());
    return this.#written;
  }

  async #write(): Promise<void> {
    const rows = this.#waiting;
    this.#waiting = [];
    if (rows.length === 0) return;
    const table = SYSTEM.audit;
    try {
      await this.#registry.note(rows.map((row) => ({ table, row, id: row.id })));
      await this.#trim();
    } catch {
      this.lost += rows.length;
    }
  }

  #refill(): void {
    const now = this.#clock.monotonic();
    const seconds = (now - this.#refilledAt) / 1_000;
    const { auditBurstMax, auditPerSecondMax } = LIMITS;
    for (const whose of ['strangers', 'others'] as const) {
      const more = this.#allowances[whose] + seconds * auditPerSecondMax;
      this.#allowances[whose] = Math.min(auditBurstMax, more);
    }
    this.#refilledAt = now;
  }

  /** Looks for the oldest only when there are too many: once in some ten thousand events. */
  async #trim(): Promise<void> {
    const max = LIMITS.auditRowsMax;
    if (this.#isTrimming || this.#directory.count(SYSTEM.audit) <= max) return;
    this.#isTrimming = true;
    try {
      const left = max * (1 - TRIM_SHARE);
      const kept: Record<Whose, number> = { strangers: 0, others: 0 };
      let after: string | undefined;
      for (;;) {
        const page = [...this.#directory.rows<AuditRow>(SYSTEM.audit, after, TRIM_PAGE)];
        const surplus = page.filter(({ event }) => {
          const whose = isOfStrangers(event) ? 'strangers' : 'others';
          const isFull = kept.strangers + kept.others >= left;
          if (isFull || (whose === 'strangers' && kept.strangers >= left / 2)) return true;
          kept[whose] += 1;
          return false;
        });
        const gone = surplus.map(({ id }) => ({ table: SYSTEM.audit, row: undefined, id }));
        if (gone.length > 0) await this.#registry.note(gone);
        after = page.at(-1)?.id;
        if (page.length < TRIM_PAGE) return;
      }
    } finally {
      this.#isTrimming = false;
    }
  }
}

const TRIM_PAGE = 1_000;

/** Later instants come first. */
export const keyOf = (at: EpochMs | number): string =>
  (LAST_INSTANT - at).toString(36).padStart(KEY_CHARS, '0');

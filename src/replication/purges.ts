/**
 * Invalidations that travel ahead of their place in the log (SPEC §9): told to all connected nodes
 * at once, confirmed by each, passed on to those who may not have heard. What was applied ahead is
 * remembered until its place in the log comes, so that it takes effect once.
 */

import { durationMs } from '../base/brands.ts';
import type { Cancel, Clock } from '../base/clock.ts';
import type { Confirmation } from '../table/confirmation.ts';
import type { AheadMarks } from './apply-queue.ts';
import { BOUNDS } from './bounds.ts';
import type { PurgedFrame } from './frames.ts';
import type { Origin } from './ports.ts';

const markOf = ({ author, sequence }: Pick<Origin, 'author' | 'sequence'>): string =>
  `${author}.${sequence}`;

type Place = Pick<Origin, 'author' | 'sequence'>;

/** Marks of what was applied ahead; the oldest are forgotten first, and then apply once more. */
export class AheadSet implements AheadMarks {
  readonly #marks = new Map<string, Place>();

  has(origin: Place): boolean {
    return this.#marks.has(markOf(origin));
  }

  /** All of them; `undefined` when there are more than `max`. */
  marks(max: number): readonly Place[] | undefined {
    return this.#marks.size > max ? undefined : [...this.#marks.values()];
  }

  add({ author, sequence }: Place): void {
    const place = { author, sequence };
    this.#marks.set(markOf(place), place);
    if (this.#marks.size <= BOUNDS.aheadMarks) return;
    const oldest = this.#marks.keys().next();
    if (oldest.done !== true) this.#marks.delete(oldest.value);
  }

  take(origin: Place): boolean {
    return this.#marks.delete(markOf(origin));
  }
}

interface Awaited {
  readonly expected: ReadonlySet<string>;
  readonly confirmed: Set<string>;
  readonly least: number;
  readonly finish: () => void;
}

/** Waits for other nodes to confirm something, until enough have or time is up. */
export class Confirmations {
  readonly #clock: Clock;
  readonly #awaited = new Map<string, Set<Awaited>>();
  #count = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#count;
  }

  /** `least` of `expected` are to confirm within `timeMs`. */
  wait(
    mark: string,
    expected: readonly string[],
    least: number,
    timeMs: number,
  ): Promise<Confirmation> {
    return new Promise((resolve) => {
      const awaited: Awaited = {
        ...{ expected: new Set(expected), confirmed: new Set(), least },
        finish: () => {
          cancel();
          this.#remove(mark, awaited);
          resolve(outcomeOf(awaited));
        },
      };
      const cancel: Cancel = this.#clock.after(durationMs(timeMs), awaited.finish);
      this.#add(mark, awaited);
      if (least <= 0) awaited.finish();
    });
  }

  confirm(mark: string, name: string): void {
    for (const awaited of [...(this.#awaited.get(mark) ?? [])]) {
      if (!awaited.expected.has(name)) continue;
      awaited.confirmed.add(name);
      if (awaited.confirmed.size >= awaited.least) awaited.finish();
    }
  }

  /** Calls back with every mark that is waited for. */
  marks(): readonly string[] {
    return [...this.#awaited.keys()];
  }

  /** Ends all waiting with what is known. */
  stop(): void {
    for (const all of [...this.#awaited.values()]) for (const one of [...all]) one.finish();
  }

  #add(mark: string, awaited: Awaited): void {
    const known = this.#awaited.get(mark) ?? new Set();
    known.add(awaited);
    this.#awaited.set(mark, known);
    this.#count += 1;
  }

  #remove(mark: string, awaited: Awaited): void {
    const known = this.#awaited.get(mark);
    if (known?.delete(awaited) === true) this.#count -= 1;
    if (known?.size === 0) this.#awaited.delete(mark);
  }
}

function outcomeOf({ expected, confirmed }: Awaited): Confirmation {
  return {
    confirmed: [...confirmed].sort(),
    missing: [...expected].filter((name) => !confirmed.has(name)).sort(),
  };
}

export const purgeMark = (frame: Pick<PurgedFrame, 'author' | 'sequence'>): string =>
  `purge ${markOf(frame)}`;

/**
 * Scenarios of the read path: one table, a scripted origin, a manual clock. After every step the
 * invariants R2, R3, R8 and R10 of `src/cache/SPEC.md` are asserted.
 */
import { expect } from 'vitest';
import {
  type EpochMs,
  type RecordId,
  type TableName,
  tableName,
} from '../../../src/base/brands.ts';
import { localLeases } from '../../../src/cache/collapse.ts';
import { definePolicy } from '../../../src/cache/default-policy.ts';
import { parseRequestDirectives } from '../../../src/cache/directives.ts';
import type { CacheEvents } from '../../../src/cache/events.ts';
import { entryFields, plainEntry } from '../../../src/cache/plain-entry.ts';
import type { PolicyHooks, SettingsOverride } from '../../../src/cache/policy.ts';
import type { Leases } from '../../../src/cache/ports.ts';
import { createReadPath, type ReadPath } from '../../../src/cache/read-path.ts';
import type { ReadRequest, ReadResult } from '../../../src/cache/read-request.ts';
import { tagOf } from '../../support/entries.ts';
import { FakeEntries } from '../../support/fake-entries.ts';
import { ManualClock, settled } from '../../support/manual-clock.ts';
import { ScriptedOrigin } from '../../support/scripted-origin.ts';

export interface ScenarioOptions {
  readonly policy?: (SettingsOverride & { readonly hooks?: PolicyHooks }) | undefined;
  readonly withoutOrigin?: boolean | undefined;
  readonly events?: CacheEvents | undefined;
  readonly leases?: Leases | undefined;
  readonly fedSince?: (() => EpochMs | undefined) | undefined;
  /** Several fetches of a key may run: pass markers, or invalidations while one is under way. */
  readonly parallel?: boolean | undefined;
}

export interface ReadOptions extends Partial<Omit<ReadRequest, 'id' | 'directives'>> {
  readonly cacheControl?: string | undefined;
}

/** A result with the body as text, taken during the call to `answer`. */
export type Seen = ReadResult & { readonly text: string; readonly at: EpochMs };

export interface PendingRead {
  readonly results: Seen[];
  /** Whether the answer came before `read` returned. */
  readonly synchronous: boolean;
  readonly done: Promise<void>;
}

const TABLE: TableName = tableName('Item');

export class Scenario {
  readonly clock = new ManualClock();
  readonly entries = new FakeEntries();
  readonly origin = new ScriptedOrigin(this.clock);
  readonly path: ReadPath;
  readonly steps: string[] = [];
  readonly #parallel: boolean;
  readonly #fed: boolean;

  constructor(options: ScenarioOptions = {}) {
    this.#parallel = options.parallel === true;
    this.#fed = options.fedSince !== undefined;
    const { policy = {}, events } = options;
    const freshness = { jitter: 0, ...policy.freshness };
    this.path = createReadPath({
      table: TABLE,
      entries: this.entries,
      invalidations: this.entries,
      origin: options.withoutOrigin === true ? undefined : this.origin,
      policy: definePolicy({ ...policy, freshness }),
      leases: options.leases ?? localLeases(),
      clock: this.clock,
      random: () => 0.5,
      tagOf,
      events: { readStepped: (from, to) => void this.steps.push(`${from} → ${to}`), ...events },
      fedSince: options.fedSince,
      limits: { fetchMsMax: 60_000, failureMarkersBytes: 100_000 },
    });
  }

  /** Begins a read and lets everything settle that can. */
  async read(id: RecordId = 'a', options: ReadOptions = {}): Promise<PendingRead> {
    const read = this.start(id, options);
    await this.step();
    return read;
  }

  /** Begins a read without letting anything else happen. */
  start(id: RecordId = 'a', options: ReadOptions = {}): PendingRead {
    const { cacheControl, ...rest } = options;
    const results: Seen[] = [];
    const before = this.entries.snapshot();
    const directives = parseRequestDirectives(cacheControl);
    const request: ReadRequest = { id, variant: '', mayForce: true, ...rest, directives };
    let returned = false;
    const done = this.path.read(request, (result) => {
      const text = result.kind === 'found' ? Buffer.from(result.entry.body).toString() : '';
      // A copy, since a view is good during this call only.
      const kept =
        result.kind === 'found'
          ? { ...result, entry: plainEntry(entryFields(result.entry)) }
          : result;
      const seen = { ...kept, text, at: this.clock.instant };
      this.#check(seen);
      expect(results).toHaveLength(0);
      if (!returned || result.kind === 'refused') expect(this.entries.snapshot()).toBe(before);
      results.push(seen);
    });
    returned = true;
    return { results, synchronous: done === undefined, done: done ?? Promise.resolve() };
  }

  /** One read whose answer is expected without further ado. */
  async answer(id: RecordId = 'a', options: ReadOptions = {}): Promise<Seen> {
    const { results } = await this.read(id, options);
    const [result] = results;
    if (result === undefined) throw new Error('the read has no answer yet');
    return result;
  }

  /** Fills the cache: one read, answered by the origin with `reply`. */
  async hold(reply: Parameters<ReturnType<ScriptedOrigin['next']>['reply']>[0] = {}, id = 'a') {
    const read = await this.read(id);
    this.origin.next().reply(reply);
    await this.step();
    return read;
  }

  async advance(ms: number): Promise<void> {
    this.clock.advance(ms);
    await this.step();
  }

  /** Lets every promise settle, then asserts what must hold at any time. */
  async step(): Promise<void> {
    await settled();
    if (!this.#parallel) {
      for (const { id } of this.origin.calls) expect(this.origin.inFlight(id)).toBeLessThan(2);
    }
  }

  #check(result: Seen): void {
    if (result.kind !== 'found') return;
    const { entry, served, cacheStatus } = result;
    if (served === 'stale') {
      expect(cacheStatus.detail).toMatch(/^(max-stale|stale-while-revalidate|stale-if-error)$/);
    }
    if (served === 'fresh' && cacheStatus.hit && !this.#fed) {
      expect(entry.freshUntil).toBeGreaterThan(result.at);
    }
  }
}

/**
 * Random origins, readers and invalidations under a seed. The oracle knows every version the origin
 * ever had and asks: was anybody given something older than a named permission allows? A failure
 * prints its seed; `SIMULATION_SEED=… npx vitest run test/unit/cache/simulation.test.ts` replays
 * it.
 */
import { describe, expect, it } from 'vitest';
import { durationMs, epochMs } from '../../../src/base/brands.ts';
import type { OriginRequest } from '../../../src/cache/ports.ts';
import { type PendingRead, Scenario, type Seen } from './scenario.ts';

const LIFETIME = 1_000;
const WHILE_REVALIDATE = 500;
const IF_ERROR = 3_000;
const KEYS = ['a', 'b'];
const STEPS = 400;

/** mulberry32: small, and the same everywhere. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Observed {
  readonly read: PendingRead;
  readonly key: string;
  readonly beganAt: number;
  /** The newest hard invalidation of the key when the read began, as a sequence. */
  readonly invalidatedAt: number;
}

class Simulation {
  readonly #random: () => number;
  readonly scenario: Scenario;
  readonly #observed: Observed[] = [];
  readonly #invalidatedAt = new Map<string, number>();
  readonly #softlyAt = new Map<string, number>();
  readonly #askedAt = new Map<OriginRequest, number>();
  answers = 0;

  constructor(seed: number) {
    this.#random = randomOf(seed);
    this.scenario = new Scenario({
      parallel: true,
      policy: {
        freshness: { default: durationMs(LIFETIME) },
        stale: { whileRevalidate: durationMs(WHILE_REVALIDATE), ifError: durationMs(IF_ERROR) },
        negative: { '5xx': durationMs(200) },
        collapse: { wait: durationMs(400), waitersMax: 4, passFor: durationMs(300) },
      },
    });
    this.scenario.origin.script = ({ request }) =>
      void this.#askedAt.set(request, this.scenario.entries.stamp());
  }

  async run(): Promise<void> {
    for (let i = 0; i < STEPS; i += 1) {
      await this.#act();
      this.#judgeAnswers();
    }
    this.scenario.origin.script = (call) => call.fail();
    while (this.scenario.origin.open.length > 0) this.scenario.origin.next().fail();
    await this.scenario.advance(120_000);
    this.#judgeAnswers();
    expect(this.scenario.path.flights).toBe(0);
    expect(this.scenario.clock.timers).toBe(0);
    expect(this.#observed).toEqual([]);
  }

  #pick<T>(...choices: readonly [T, ...T[]]): T {
    return choices[Math.floor(this.#random() * choices.length)] ?? choices[0];
  }

  async #act(): Promise<void> {
    const { scenario } = this;
    const key = this.#pick('a', 'b');
    const chance = this.#random();
    if (chance < 0.45) this.#read(key);
    else if (chance < 0.7) this.#settleOne();
    else if (chance < 0.76) this.#invalidate(key);
    else await scenario.advance(this.#pick(1, 10, 100, 200, 600, 1_500));
    await scenario.step();
  }

  #read(key: string): void {
    const cacheControl = this.#pick('', '', '', 'no-cache', 'max-age=0', 'no-store', 'max-stale=1');
    const leaving = new AbortController();
    const read = this.scenario.start(key, {
      cacheControl,
      ...(this.#random() < 0.2 ? { signal: leaving.signal } : {}),
      ...(this.#random() < 0.2
        ? { deadline: epochMs(this.scenario.clock.instant + this.#pick(0, 50, 300)) }
        : {}),
    });
    if (this.#random() < 0.1) leaving.abort();
    this.#observed.push({
      read,
      key,
      beganAt: this.scenario.clock.instant,
      invalidatedAt: this.#invalidatedAt.get(key) ?? 0,
    });
  }

  #settleOne(): void {
    const { origin } = this.scenario;
    if (origin.open.length === 0) return;
    const call = origin.next();
    const chance = this.#random();
    if (chance < 0.2) {
      call.fail(this.#pick('ORIGIN_TIMED_OUT', 'ORIGIN_UNREACHABLE'));
    } else if (chance < 0.3 && call.request.conditional) {
      call.notModified();
    } else {
      // The origin looks at its record the moment it is asked.
      const body = JSON.stringify({ asOf: this.#askedAt.get(call.request) });
      const cacheControl = this.#pick('', '', 'private', 'no-store', 'no-cache', 'must-revalidate');
      call.reply({ body, cacheControl, etag: '"x"' });
    }
  }

  #invalidate(key: string): void {
    const { clock, entries } = this.scenario;
    if (this.#random() < 0.5) {
      entries.invalidate({ id: key });
      this.#invalidatedAt.set(key, entries.stamp());
    } else {
      entries.invalidate({ id: key }, clock.instant);
      this.#softlyAt.set(key, clock.instant);
    }
  }

  #judgeAnswers(): void {
    const open: Observed[] = [];
    for (const one of this.#observed) {
      const [result] = one.read.results;
      if (result !== undefined) this.#judge(one, result);
      else if (this.scenario.clock.instant < one.beganAt + 70_000) open.push(one);
    }
    this.#observed.length = 0;
    this.#observed.push(...open);
  }

  #judge(one: Observed, result: Seen): void {
    this.answers += 1;
    if (result.kind !== 'found') return;
    const { entry, served, cacheStatus } = result;
    const now = one.beganAt;
    // What was hard invalidated before the read began is never its answer.
    const { asOf } = JSON.parse(result.text) as { asOf: number };
    expect(asOf).toBeGreaterThanOrEqual(one.invalidatedAt);
    if (!cacheStatus.hit && served !== 'stale') return;
    if (served === 'fresh') {
      expect(now).toBeLessThan(entry.freshUntil);
      return;
    }
    const permitted = {
      'max-stale': 1_000,
      'stale-while-revalidate': WHILE_REVALIDATE,
      'stale-if-error': IF_ERROR,
    };
    const span = permitted[cacheStatus.detail as keyof typeof permitted];
    const latest = Math.max(entry.freshUntil, this.#softlyAt.get(one.key) ?? 0) + span;
    expect(now).toBeLessThanOrEqual(latest);
    expect(entry.staleForbidden).toBe(false);
  }
}

describe('simulation', () => {
  const given = process.env.SIMULATION_SEED;
  const seeds = given === undefined ? Array.from({ length: 60 }, (_, i) => i + 1) : [Number(given)];

  it('R2 R6 R8 no reader ever saw an entry older than its permission', async () => {
    let answers = 0;
    for (const seed of seeds) {
      const simulation = new Simulation(seed);
      await simulation.run().catch((error: Error) => {
        error.message = `seed ${seed}: ${error.message}`;
        throw error;
      });
      answers += simulation.answers;
    }
    expect(answers).toBeGreaterThan(seeds.length * KEYS.length * 10);
  });
});

/**
 * A hundred seeds of the simulation, as a part of every test run; `npm run simulate` runs ten
 * thousand, and so does `.ci/run`. A seed that fails here is replayed with
 * `npm run simulate -- --seed N --operations 80`.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { adoptLimits, LIMIT_DEFAULTS } from '../../src/config/limits.ts';
import { scheduleOf } from './actions.ts';
import { shrink } from './shrink.ts';
import { Simulation } from './simulation.ts';

const OPERATIONS = 80;
const SEEDS_EACH = 10;

afterAll(() => adoptLimits(LIMIT_DEFAULTS));

describe('a fleet after its troubles', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])(
    'holds the same rows everywhere, all that was acknowledged among them [R2, R3, R4] (%i)',
    async (part) => {
      const problems: string[] = [];
      for (let seed = part * 1_000; seed < part * 1_000 + SEEDS_EACH; seed += 1) {
        const result = await new Simulation(scheduleOf(seed, OPERATIONS)).run();
        problems.push(...result.problems.map((problem) => `seed ${seed}: ${problem}`));
      }
      expect(problems).toEqual([]);
    },
    180_000,
  );

  it('is the same again when its seed is replayed', async () => {
    const results = [];
    for (let time = 0; time < 2; time += 1) {
      results.push(await new Simulation(scheduleOf(77, OPERATIONS)).run());
    }
    expect(results[0]).toEqual(results[1]);
    expect(results[0]?.acked).toBeGreaterThan(10);
  });
});

describe('a schedule that fails', () => {
  it('is cut down to the actions that matter', async () => {
    const schedule = scheduleOf(5, 60);
    const guilty = schedule.actions[41];
    const small = await shrink(
      schedule,
      async ({ actions }) => actions.includes(guilty as never),
      400,
    );
    expect(small.actions).toEqual([guilty]);
  });
});

/** Inheritance of policies, and the numbers everybody inherits. */
import { describe, expect, it } from 'vitest';
import { deltaSeconds, durationMs } from '../../../src/base/brands.ts';
import {
  backOffAfter,
  DEFAULT_POLICY,
  DEFAULT_SETTINGS,
  definePolicy,
  withTableTimes,
} from '../../../src/cache/default-policy.ts';

describe('definePolicy', () => {
  it('inherits every section and key that is left out', () => {
    const { settings } = definePolicy({ name: 'mine', freshness: { jitter: 0 } });
    expect(settings).toEqual({
      ...DEFAULT_SETTINGS,
      name: 'mine',
      freshness: { ...DEFAULT_SETTINGS.freshness, jitter: 0 },
    });
  });

  it('replaces the negative map as a whole', () => {
    const { settings } = definePolicy({ negative: { 404: durationMs(1) } });
    expect(settings.negative).toEqual({ 404: 1 });
  });

  it('inherits hooks singly, also from another policy', () => {
    const storable = () => false;
    const base = definePolicy({ hooks: { storable } });
    const shareable = () => false;
    expect(definePolicy({ hooks: { shareable } }, base).hooks).toEqual({ storable, shareable });
  });

  it('lets a table’s own times beat its defaults', () => {
    const times = { expiration: deltaSeconds(5), eviction: deltaSeconds(7) };
    const { settings } = withTableTimes(DEFAULT_POLICY, times);
    expect([settings.freshness.default, settings.retention.keepStale]).toEqual([5_000, 7_000]);
    expect(withTableTimes(DEFAULT_POLICY, {}).settings).toEqual(DEFAULT_SETTINGS);
  });
});

describe('backOffAfter', () => {
  it('takes the row of the status, of its class, and of 5xx for failures without one', () => {
    const { settings } = definePolicy({
      negative: { 503: durationMs(3), '4xx': durationMs(4), '5xx': durationMs(5) },
    });
    expect([503, 502, 429, undefined].map((status) => backOffAfter(status, settings))).toEqual([
      3, 5, 4, 5,
    ]);
    expect(backOffAfter(500, definePolicy({ negative: {} }).settings)).toBe(0);
  });
});

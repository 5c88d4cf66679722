/** How long a record lives that was written here rather than fetched. */
import { describe, expect, it } from 'vitest';
import { must } from '../../../src/base/assert.ts';
import { deltaSeconds, durationMs, epochMs } from '../../../src/base/brands.ts';
import { DEFAULT_SETTINGS, definePolicy } from '../../../src/cache/default-policy.ts';
import { FOREVER, NEVER } from '../../../src/cache/entry.ts';
import { parseSchema } from '../../../src/schema/parse-schema.ts';
import { writeTimes } from '../../../src/table/write-times.ts';

const NOW = epochMs(1_800_000_000_000);

function definition(text: string) {
  const { schema } = parseSchema(text, 'schema.graphql');
  return must(must(schema, 'schema').tables[0], 'table');
}

const plain = definition('type Item @table { id: ID @primaryKey }');
const expiring = definition(
  'type Item @table(expiration: 60, eviction: 30) { id: ID @primaryKey }',
);
const sourced = definition('type Item @table @sourcedFrom(origin: "api") { id: ID @primaryKey }');

describe('a record written to a plain table', () => {
  it('is kept for ever when the table names no expiration', () => {
    const times = writeTimes(plain, DEFAULT_SETTINGS, NOW, undefined);
    expect(times).toEqual({
      freshUntil: FOREVER,
      staleWhileRevalidateUntil: NEVER,
      staleIfErrorUntil: NEVER,
      evictAt: FOREVER,
    });
  });

  it('expires after `expiration` and is removed after `eviction` more', () => {
    const times = writeTimes(expiring, DEFAULT_SETTINGS, NOW, undefined);
    expect([times.freshUntil - NOW, times.evictAt - NOW]).toEqual([60_000, 90_000]);
  });

  it("lives as long as the client's max-age says instead", () => {
    const times = writeTimes(expiring, DEFAULT_SETTINGS, NOW, deltaSeconds(5));
    expect([times.freshUntil - NOW, times.evictAt - NOW]).toEqual([5_000, 35_000]);
  });
});

describe('a record written to a cache table', () => {
  it('gets the lifetime of the policy, and stale windows that end with its retention', () => {
    const { settings } = definePolicy({
      freshness: { default: durationMs(10_000) },
      stale: { whileRevalidate: durationMs(5_000), ifError: durationMs(50_000) },
      retention: { keepStale: durationMs(20_000) },
    });
    const times = writeTimes(sourced, settings, NOW, undefined);
    expect(times.freshUntil - NOW).toBe(10_000);
    expect(times.staleWhileRevalidateUntil - NOW).toBe(15_000);
    expect(times.staleIfErrorUntil - NOW).toBe(60_000);
    expect(times.evictAt - NOW).toBe(60_000);
  });

  it('may be served stale until it is evicted when the window has no end', () => {
    const times = writeTimes(sourced, DEFAULT_SETTINGS, NOW, undefined);
    expect(times.staleIfErrorUntil).toBe(times.evictAt);
    expect(times.evictAt).toBeLessThan(FOREVER);
  });
});

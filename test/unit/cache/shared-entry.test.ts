/**
 * What becomes of the times of an entry on its way to another node, and which of two fills stays
 * there.
 */
import { describe, expect, it } from 'vitest';
import { durationMs, type EntityTag, epochMs } from '../../../src/base/brands.ts';
import { FOREVER, NEVER } from '../../../src/cache/entry.ts';
import { mayReplace, receivedTimes, type SharedEntry } from '../../../src/cache/shared-entry.ts';

const entry = (change: Partial<SharedEntry> = {}): SharedEntry => ({
  ...{ status: 200, contentType: 'application/json', tag: '"a"' as EntityTag },
  ...{ body: new Uint8Array(2), sinceMs: durationMs(1_000), initialAgeMs: durationMs(0) },
  ...{ freshMs: durationMs(60_000), whileRevalidateMs: durationMs(5_000) },
  ...{ ifErrorMs: durationMs(0), evictMs: durationMs(90_000), staleForbidden: false, ...change },
});
const NOW = epochMs(1_000_000);

describe('the times of an entry that another node fetched [R14]', () => {
  it('are as old as it was when it was sent, and by what has passed since', () => {
    expect(receivedTimes(entry(), NOW, 400)).toEqual({
      storedAt: 998_600,
      freshUntil: 1_059_600,
      staleWhileRevalidateUntil: 1_064_600,
      staleIfErrorUntil: 1_059_600,
      evictAt: 1_089_600,
    });
  });

  it('have no end where there was none', () => {
    const times = receivedTimes(entry({ freshMs: durationMs(FOREVER) }), NOW, 400);
    expect(times.freshUntil).toBe(FOREVER);
    expect(times.staleIfErrorUntil).toBe(FOREVER);
  });

  it('are no instants before all time, however long it was under way', () => {
    expect(receivedTimes(entry(), NOW, 2_000_000).storedAt).toBe(NEVER);
  });
});

describe('an entry that came', () => {
  const standing = { storedAt: NOW, isInvalidated: false };

  it('takes the place of one whose reply came clearly earlier', () => {
    expect(mayReplace(standing, epochMs(NOW + 1_000), 1_000)).toBe(true);
    expect(mayReplace(standing, epochMs(NOW + 999), 1_000)).toBe(false);
    expect(mayReplace(standing, epochMs(NOW - 5_000), 1_000)).toBe(false);
  });

  it('takes the place of what was invalidated', () => {
    expect(mayReplace({ ...standing, isInvalidated: true }, epochMs(NOW - 5_000), 1_000)).toBe(
      true,
    );
  });
});

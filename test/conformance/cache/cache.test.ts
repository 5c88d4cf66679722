/** Plays every conformance case of the read path. */
import { describe, expect, it } from 'vitest';
import { type ConformanceCase, play } from './case.ts';
import { FRESHNESS_CASES } from './freshness-cases.ts';
import { REUSE_CASES } from './reuse-cases.ts';

const CASES: readonly ConformanceCase[] = [...FRESHNESS_CASES, ...REUSE_CASES];

describe('conformance of the read path', () => {
  it.each(CASES)('$id ($kind) [$clause]', async (one) => {
    await play(one);
  });

  it('names each case once, and depends on cases that exist', () => {
    const ids = CASES.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { dependsOn = [] } of CASES)
      expect(ids).toEqual(expect.arrayContaining([...dependsOn]));
  });
});

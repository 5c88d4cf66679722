/** The cache bounded by bytes: what it holds, what it drops, what it counts. */
import { describe, expect, it } from 'vitest';
import { createBoundedCache } from '../../../src/base/bounded-cache.ts';

describe('createBoundedCache', () => {
  it('drops the least recently used values when the bytes exceed its bound', () => {
    const cache = createBoundedCache<string>('frames', 100);
    cache.set('a', 'A', 40);
    cache.set('b', 'B', 40);
    cache.get('a');
    cache.set('c', 'C', 40);
    expect([cache.get('a'), cache.get('b'), cache.get('c')]).toEqual(['A', undefined, 'C']);
    expect(cache.bytes).toBe(80);
  });

  it('does not keep a value larger than the whole cache', () => {
    const cache = createBoundedCache<string>('frames', 100);
    cache.set('big', 'B', 101);
    expect(cache.get('big')).toBeUndefined();
    expect(cache.bytes).toBe(0);
  });

  it('counts a value of no size as one byte, so that their number is bounded too', () => {
    const cache = createBoundedCache<string>('flags', 3);
    for (const key of ['a', 'b', 'c', 'd']) cache.set(key, key, 0);
    expect(cache.bytes).toBe(3);
    expect(cache.get('a')).toBeUndefined();
  });

  it('replaces a value together with its size', () => {
    const cache = createBoundedCache<string>('frames', 100);
    cache.set('a', 'long', 90);
    cache.set('a', 'short', 10);
    expect(cache.bytes).toBe(10);
    expect(cache.get('a')).toBe('short');
  });

  it('counts hits and misses and forgets on delete and clear', () => {
    const cache = createBoundedCache<string>('frames', 100);
    cache.set('a', 'A', 1);
    cache.set('b', 'B', 1);
    cache.get('a');
    cache.delete('a');
    cache.get('a');
    cache.clear();
    cache.get('b');
    expect([cache.hits, cache.misses, cache.bytes]).toEqual([1, 2, 0]);
  });
});

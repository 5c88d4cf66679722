/**
 * A named in-memory cache bounded by bytes: what is worth keeping decoded or encoded (event frames,
 * compiled plans, verified credentials), never bodies. The only user of lru-cache.
 */
import { LRUCache } from 'lru-cache';

/** What operators are told of a cache; caches of one name count as one. */
export interface CacheFigures {
  readonly name: string;
  readonly bytes: number;
  readonly hits: number;
  readonly misses: number;
}

export interface BoundedCache<V extends object | string> extends CacheFigures {
  get(key: string): V | undefined;
  set(key: string, value: V, bytes: number): void;
  delete(key: string): void;
  clear(): void;
}

/** A cache which drops its least recently used values when they exceed `maxBytes` together. */
export function createBoundedCache<V extends object | string>(
  name: string,
  maxBytes: number,
): BoundedCache<V> {
  const entries = new LRUCache<string, V>({ maxSize: maxBytes });
  let hits = 0;
  let misses = 0;
  return {
    name,
    get(key) {
      const value = entries.get(key);
      if (value === undefined) misses += 1;
      else hits += 1;
      return value;
    },
    set: (key, value, bytes) => void entries.set(key, value, { size: Math.max(1, bytes) }),
    delete: (key) => void entries.delete(key),
    clear: () => entries.clear(),
    get bytes() {
      return entries.calculatedSize;
    },
    get hits() {
      return hits;
    },
    get misses() {
      return misses;
    },
  };
}

/**
 * `millrace/next`: Next.js 16 behind a Millrace page cache and with its caches in a Millrace node.
 * Runs in the servers of the application; Next.js itself is not imported.
 */
export {
  createCacheHandler,
  type NextCacheEntry,
  type NextCacheHandler,
  type NextCacheHandlerClass,
} from './cache-handler.ts';
export { register } from './register.ts';
export type { NextCacheOptions } from './settings.ts';
export { createUseCacheHandler, type UseCacheEntry, type UseCacheHandler } from './use-cache.ts';

/**
 * A store that is gone with the process: for tests of everything above the store. It obeys the
 * same contract suite as the one on disk.
 */
import { identityAtStart } from '../meta.ts';
import { createStore } from '../store.ts';
import type { Store, StoreOptions } from '../store-options.ts';
import { openTrees } from '../tables.ts';
import { MemoryBodyFolder } from './body-folder.ts';
import { MemoryEngine } from './engine.ts';

export function openMemoryStore(options: StoreOptions): Store {
  const engine = new MemoryEngine();
  const trees = openTrees(engine, options.definitions);
  return createStore(engine, trees, identityAtStart(undefined, ''), options, {
    folder: new MemoryBodyFolder(),
  });
}

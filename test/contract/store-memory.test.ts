/** The store in memory keeps the store's contract. */
import { openMemoryStore } from '../../src/store/memory/open.ts';
import { storeContract } from './store.ts';

storeContract({ name: 'memory', make: async (options) => openMemoryStore(options) });

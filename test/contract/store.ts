/**
 * What every store keeps to, whatever engine is below it. Run by `store-lmdb.test.ts` and
 * `store-memory.test.ts`; a new engine is a third.
 */
import { afterEach, beforeEach, describe } from 'vitest';
import type { Clock } from '../../src/base/clock.ts';
import type { Store, StoreOptions } from '../../src/store/store-options.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { bodyContract } from './store-bodies.ts';
import { boundsContract } from './store-bounds.ts';
import { changeContract } from './store-changes.ts';
import { entryContract } from './store-entries.ts';
import { checkRecord, definitions, indexedValues } from './store-fixture.ts';
import { idContract } from './store-ids.ts';
import { indexContract } from './store-indexes.ts';
import { invalidationContract } from './store-invalidation.ts';
import { localRowContract } from './store-local-rows.ts';
import { readerContract } from './store-readers.ts';
import { replicaContract } from './store-replica.ts';
import { writeContract } from './store-writes.ts';

export interface StoreContract {
  readonly name: string;
  make(options: StoreOptions): Promise<Store>;
}

/** What a test works on; `open` replaces the store by one with other options. */
export interface StoreSubject {
  readonly store: Store;
  readonly clock: ManualClock;
  /** Ids of entries which the store reported as undecodable. */
  readonly undecodable: unknown[];
  open(more: Partial<StoreOptions>): Promise<Store>;
  /** Another store beside it, on the same clock. */
  another(more: Partial<StoreOptions>): Promise<Store>;
}

export type Subject = () => StoreSubject;

export function storeContract({ name, make }: StoreContract): void {
  describe(`a ${name} store`, () => {
    let store: Store | undefined;
    let clock = new ManualClock();
    let undecodable: unknown[] = [];

    let others: Store[] = [];
    const options = (more: Partial<StoreOptions>): StoreOptions => ({
      ...{ definitions, clock: clock as Clock, indexedValues, checkRecord },
      events: { undecodable: (_table, id) => void undecodable.push(id) },
      ...more,
    });
    const another = async (more: Partial<StoreOptions>): Promise<Store> => {
      const made = await make(options(more));
      others.push(made);
      return made;
    };
    const open = async (more: Partial<StoreOptions> = {}): Promise<Store> => {
      await store?.close();
      store = await make(options(more));
      await store.indexesReady;
      return store;
    };

    beforeEach(async () => {
      clock = new ManualClock();
      undecodable = [];
      store = undefined;
      await open();
    });
    afterEach(async () => {
      await store?.close();
      store = undefined;
      for (const other of others) await other.close();
      others = [];
    });

    const subject: Subject = () => {
      if (store === undefined) throw new Error('the store is not open');
      return { store, clock, undecodable, open, another };
    };
    entryContract(subject);
    writeContract(subject);
    replicaContract(subject);
    localRowContract(subject);
    indexContract(subject);
    changeContract(subject);
    invalidationContract(subject);
    readerContract(subject);
    boundsContract(subject);
    idContract(subject);
    bodyContract(subject);
  });
}

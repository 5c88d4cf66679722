/** The process that is killed: 64 writers, each counting up, each number a row of its own. */
import { must } from '../../src/base/assert.ts';
import { systemClock } from '../../src/base/clock.ts';
import { openLmdbStore } from '../../src/store/lmdb/open.ts';
import { checkRecord, definitions, ITEM, indexedValues, put } from './store-fixture.ts';

const WRITERS = 64;

const path = must(process.env.STORE_PATH, 'STORE_PATH');
const store = await openLmdbStore({
  ...{ path, definitions, clock: systemClock, indexedValues, checkRecord },
});

async function write(writer: string): Promise<never> {
  const range = { attribute: 'tag', from: writer, to: writer };
  for (let number = store.countByIndex(ITEM, range, 1_000_000) + 1; ; number += 1) {
    const id = `${writer}/${number}`;
    await store.commit([put(id, { id, tag: writer, price: number })], 'process');
    process.stdout.write(`${writer} ${number}\n`);
  }
}

await Promise.all(Array.from({ length: WRITERS }, (_, at) => write(`w${at}`)));

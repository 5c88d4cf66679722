/**
 * The floor of durable writes: 64 concurrent puts of 1 KB into lmdb, each awaited until flushed,
 * so that they share commits, for so many seconds. Prints `writes <count> <seconds> <cpu us>`.
 *
 * Usage: lmdb-commits.ts <folder> <seconds>
 */
import { open } from 'lmdb';

const [folder = '.', seconds = '5'] = process.argv.slice(2);
const store = open({ path: folder, encoding: 'binary', overlappingSync: true });
const body = Buffer.alloc(1024, 'x');
const began = performance.now();
const end = began + Number(seconds) * 1000;
let writes = 0;

async function client(number: number): Promise<void> {
  for (let index = 0; performance.now() < end; index += 1) {
    await store.put(`${number}-${index % 5_000}`, body);
    await store.flushed;
    writes += 1;
  }
}

const before = process.cpuUsage();
await Promise.all(Array.from({ length: 64 }, (_, number) => client(number)));
const used = process.cpuUsage(before);
const took = (performance.now() - began) / 1000;
process.stdout.write(`writes ${writes} ${took} ${used.user + used.system}\n`);
await store.close();

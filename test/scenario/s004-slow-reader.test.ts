/** Some subscribers of many that stop reading: the others miss nothing, the node stays small. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { type NodeProcess, startNode } from '../support/node-process.ts';
import { WireClient } from '../support/wire-client.ts';

/** Until then all read, and the node reaches its size. */
const WARM = 130;
const CHANGES = 360;
const RECORD_BYTES = 128 * 1024;
const STALLED = 4;
/** Half of what the stalled readers are behind by; garbage that is not collected yet is less. */
const GROWTH_BYTES_MAX = 0.5 * STALLED * (CHANGES - WARM) * RECORD_BYTES;

class Reader {
  readonly numbers: number[] = [];
  readonly socket: WebSocket;
  #closedWith: number | undefined;
  #wake = () => {};

  constructor(url: string) {
    this.socket = new WebSocket(url);
    this.socket.on('message', (bytes: Buffer) => {
      const n = /"n":(\d+)/.exec(bytes.subarray(0, 200).toString())?.[1];
      if (n !== undefined) this.numbers.push(Number(n));
      this.#wake();
    });
    this.socket.on('close', (code) => {
      this.#closedWith = code;
      this.#wake();
    });
  }

  /** Until `n` is the newest value it was told. */
  async reached(n: number): Promise<void> {
    while (this.numbers.at(-1) !== n) {
      // A node ends a socket that answers no ping for a minute: this machine was too slow.
      if (this.#closedWith !== undefined) throw new Error(`closed with ${this.#closedWith}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

/** Memory of all threads, without the pages of the store's file. */
function ownBytes({ process }: NodeProcess): number {
  const status = readFileSync(`/proc/${process.pid}/status`, 'utf8');
  return Number(/^RssAnon:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

describe.skipIf(process.platform !== 'linux').each([1, 2])(
  'a stalled reader, %i thread(s)',
  (threads) => {
    it('costs the others nothing and ends at the newest value [DESIGN §1.6, §1.8]', async () => {
      const node = await startNode({
        files: {
          'schema.graphql':
            'type Item @table @export(public: [read, insert, update, subscribe]) ' +
            '{ id: ID @primaryKey, n: Int, text: String }',
          'millrace.yaml': 'store: { durability: process }\n',
        },
        flags: ['--threads', String(threads)],
      });
      try {
        const writer = new WireClient(node.http);
        const text = 'x'.repeat(RECORD_BYTES);
        await writer.put('/Item/a', { n: 0, text });
        // Most look at a part of the record, so that the test does not mostly move bytes.
        const part = '/Item/?select(id,n)';
        const whole = Array<string>(STALLED + 2).fill('/Item/a');
        const paths = [...whole, ...Array<string>(8).fill(part)];
        const readers = paths.map((path) => new Reader(`${node.ws}${path}`));
        const [stalled, others] = [readers.slice(0, STALLED), readers.slice(STALLED)];
        await Promise.all(readers.map((each) => each.reached(0)));
        const write = async (from: number, to: number, followers: readonly Reader[]) => {
          for (let n = from; n <= to; n += 1) {
            await writer.put('/Item/a', { n, text });
            // Who reads is given the time to: this test's own slowness must not conflate.
            await Promise.all(followers.map((each) => each.reached(n)));
          }
        };
        await write(1, WARM, readers);
        const before = ownBytes(node);
        for (const each of stalled) each.socket.pause();
        await write(WARM + 1, CHANGES, others);
        const expected = Array.from({ length: CHANGES + 1 }, (_, n) => n);
        for (const each of others) expect(each.numbers).toEqual(expected);
        const growth = ownBytes(node) - before;
        console.info(`${threads} thread(s): grew by ${(growth / 2 ** 20).toFixed(1)} MiB`);
        expect(growth).toBeLessThan(GROWTH_BYTES_MAX);
        for (const { numbers, socket } of stalled) {
          expect(numbers.length).toBeLessThan(CHANGES);
          socket.resume();
        }
        await Promise.all(stalled.map((each) => each.reached(CHANGES)));
        for (const { numbers } of stalled) {
          expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
          // It was conflated, not fed everything late.
          expect(numbers.length).toBeLessThan(CHANGES);
        }
        for (const { socket } of readers) socket.terminate();
        writer.close();
      } finally {
        await node.dispose();
      }
    }, 120_000);
  },
);

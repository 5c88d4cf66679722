/**
 * Seeded runs: sinks that stall, drain, drop and resume while keys change, rows leave the ring, are
 * evicted from it and the log is trimmed. Every subscriber ends with exactly the table's state, and
 * the sink itself asserts that no record's version ever goes back. A failing run names its seed.
 */
import { expect, it } from 'vitest';
import type { SubscriptionRequest } from '../../../src/feed/subscriber.ts';
import { parseRowFilter } from '../../../src/table/query/row-filter.ts';
import { recordScope } from '../../../src/table/query/scope.ts';
import { FakeHost, FakeSink } from '../../support/fake-sink.ts';
import { FeedBench, FLIGHT, flightTable } from '../../support/feed-bench.ts';

const SEEDS = Number(process.env.MILLRACE_FEED_SEEDS ?? 300);
const STEPS = 120;
/** Makes a patch shorter than the row. */
const TEXT = 'x'.repeat(40);
const KEYS = ['A', 'B', 'C', 'D', 'E', 'F'];

function random(seed: number): (below: number) => number {
  let state = seed * 2_654_435_761 + 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const atSfo = parseRowFilter('airport=SFO', recordScope(flightTable));
const requests: readonly (Partial<SubscriptionRequest> & Pick<SubscriptionRequest, 'kind'>)[] = [
  { kind: 'collection' },
  { kind: 'collection', filter: atSfo },
  { kind: 'record', id: 'A' },
  { kind: 'record', id: 'B', protocol: 'sse' },
  { kind: 'collection', delta: true },
  { kind: 'collection', filter: atSfo, delta: true },
  { kind: 'record', id: 'A', delta: true },
];

interface Reader {
  readonly request: (typeof requests)[number];
  readonly sink: FakeSink;
  /** Messages sent before it began. */
  missed: number;
}

class Run {
  readonly #next: (below: number) => number;
  readonly #bench: FeedBench;
  readonly #readers: Reader[] = [];
  readonly #host = new FakeHost();
  #version = 0;
  #messages = 0;

  constructor(seed: number) {
    this.#next = random(seed);
    const limits = {
      changeBatchMax: 1 + this.#next(12),
      conflatedRecordsMax: 1 + this.#next(6),
      snapshotChunkRowsMax: 1 + this.#next(4),
      replayEntriesMax: 10 + this.#next(100),
      snapshotRestartsMax: 1_000,
    };
    this.#bench = new FeedBench({ limits });
    this.#bench.source.ringSize = this.#next(20);
    for (let step = 0; step < 5; step += 1) this.#write();
    this.#host.unaskedBytesMax = 50 + this.#next(1_000);
    for (const request of [...requests, ...requests, ...requests]) {
      const sink = new FakeSink(this.#next(2) === 0 ? this.#host : undefined);
      sink.room = this.#next(6);
      const missed = this.#messages;
      this.#readers.push({ request, missed, sink: this.#bench.subscribe(request, sink) });
    }
  }

  async play(): Promise<void> {
    for (let step = 0; step < STEPS; step += 1) await this.#step();
    for (const { sink } of this.#readers) sink.drain();
    await this.#bench.settle();
    for (const reader of this.#readers) this.#check(reader);
  }

  async #step(): Promise<void> {
    const { source } = this.#bench;
    const choice = this.#next(20);
    if (choice < 10) this.#write();
    else if (choice < 14) await this.#bench.turn();
    else if (choice < 16) this.#reader().sink.room = 0;
    else if (choice < 18) this.#reader().sink.drain(1 + this.#next(5));
    else if (choice === 18) this.#dropAndResume(this.#reader());
    else if (this.#next(4) === 0) source.trimTo(source.lastSequence() - this.#next(30));
  }

  #reader(): Reader {
    return this.#readers[this.#next(this.#readers.length)] as Reader;
  }

  /** The connection is lost with everything that was not yet read; the picture stays. */
  #dropAndResume(reader: Reader): void {
    const { sink, request } = reader;
    sink.subscription?.close();
    const from = sink.resumeFrom;
    if (from === undefined) {
      sink.picture.clear();
      sink.messages.length = 0;
      reader.missed = this.#messages;
    }
    sink.room = 1 + this.#next(4);
    sink.room = 1 + this.#next(4);
    this.#bench.subscribe(from === undefined ? request : { ...request, from }, sink);
  }

  #write(): void {
    const { source } = this.#bench;
    const id = KEYS[this.#next(KEYS.length)] as string;
    this.#version += 1;
    const kind = this.#next(6);
    if (kind === 1) {
      this.#messages += 1;
      source.message(FLIGHT, 'A', this.#messages);
    } else if (kind === 0) {
      source.delete(FLIGHT, id);
    } else {
      const airport = this.#next(2) === 0 ? 'SFO' : 'LAX';
      const gate = this.#next(2) === 0 ? {} : { gate: `G${this.#next(9)}` };
      const late = this.#next(3) === 0 ? { late: this.#next(2) === 0 ? null : true } : {};
      source.put(FLIGHT, id, { v: this.#version, airport, text: TEXT, ...gate, ...late });
    }
  }

  #check({ request, sink, missed }: Reader): void {
    const state = this.#bench.source.state(FLIGHT);
    const wanted = [...state].filter(([id, value]) => {
      if (request.kind === 'record') return id === request.id;
      return request.filter === undefined || request.filter.matches(value);
    });
    expect(new Map([...sink.picture].sort())).toEqual(new Map(wanted.sort()));
    expect(sink.closedWith).toBeUndefined();
    this.#checkMessages(request, sink, missed);
  }

  /** Every message in order and once, unless the reader was told that some may be missing. */
  #checkMessages(request: Reader['request'], sink: FakeSink, missed: number): void {
    if (request.kind === 'record' && request.id !== 'A') return;
    const heard = sink.messages as number[];
    if (sink.types.includes('reset')) {
      expect(heard).toEqual([...new Set(heard)].sort((a, b) => a - b));
    } else {
      expect(heard).toEqual(
        Array.from({ length: this.#messages - missed }, (_, n) => missed + n + 1),
      );
    }
  }
}

it(`ends at the table's state whatever stalls, drops or is trimmed, in ${SEEDS} runs`, async () => {
  for (let seed = Number(process.env.MILLRACE_FEED_FROM ?? 1); seed <= SEEDS; seed += 1) {
    try {
      await new Run(seed).play();
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
});

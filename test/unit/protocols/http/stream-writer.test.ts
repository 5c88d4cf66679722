/** Back-pressure of streamed answers over an engine that takes little at a time. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StreamWriter } from '../../../../src/protocols/http/stream-writer.ts';

/** An engine that takes `capacity` bytes, then says no until `drain`. */
class SlowEngine {
  readonly taken: Uint8Array[] = [];
  ended = false;
  destroyed = false;
  room: number;
  readonly writer: StreamWriter;

  constructor(capacity: number, length?: number) {
    this.room = capacity;
    this.writer = new StreamWriter({
      length,
      push: (piece) => {
        const accepted = Math.min(piece.length, this.room);
        this.taken.push(Buffer.from(piece.subarray(0, accepted)));
        this.room -= accepted;
        return { accepted, room: accepted === piece.length };
      },
      flush: () => undefined,
      end: () => {
        this.ended = true;
      },
      destroy: () => {
        this.destroyed = true;
      },
    });
  }

  drain(bytes: number): void {
    this.room = bytes;
    this.writer.writable();
  }

  get text(): string {
    return Buffer.concat(this.taken).toString();
  }
}

/** One that takes everything, holds what the kernel does not, and tells so with the next piece. */
class HoldingEngine {
  readonly taken: Uint8Array[] = [];
  ended = false;
  kernelRoom: number;
  held = 0;
  readonly writer: StreamWriter;

  constructor(kernelRoom: number) {
    this.kernelRoom = kernelRoom;
    this.writer = new StreamWriter({
      length: undefined,
      push: (piece) => {
        this.flush();
        const room = this.held === 0;
        this.taken.push(Buffer.from(piece));
        this.held += piece.length;
        this.flush();
        return { accepted: piece.length, room };
      },
      flush: () => this.flush(),
      end: () => {
        this.ended = true;
      },
      destroy: () => undefined,
    });
  }

  flush(): void {
    const sent = Math.min(this.held, this.kernelRoom);
    this.held -= sent;
    this.kernelRoom -= sent;
  }

  get sizes(): number[] {
    return this.taken.map((piece) => piece.length);
  }
}

describe('the stream writer', () => {
  it('sends every byte once and in order, however little the engine takes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ maxLength: 40 }), { maxLength: 20 }),
        fc.integer({ min: 1, max: 30 }),
        (chunks, step) => {
          const engine = new SlowEngine(step);
          for (const chunk of chunks) engine.writer.write(chunk);
          engine.writer.end();
          for (let i = 0; i < 4_000 && !engine.ended; i += 1) engine.drain(step);
          expect(engine.text).toBe(Buffer.from(chunks.join('')).toString());
          expect(engine.ended).toBe(true);
          expect(engine.writer.bufferedBytes).toBe(0);
        },
      ),
    );
  });

  it('copies what must wait', () => {
    const engine = new SlowEngine(2);
    const view = Buffer.from('abcdef');
    expect(engine.writer.write(view)).toBe(false);
    view.fill(0);
    engine.drain(100);
    expect(engine.text).toBe('abcdef');
  });

  it('wakes those who wait when there is room, and when the client has gone', async () => {
    const engine = new SlowEngine(1);
    engine.writer.write('ab');
    const first = engine.writer.drained();
    engine.drain(100);
    await first;
    engine.room = 0;
    engine.writer.write('cd');
    const second = engine.writer.drained();
    engine.writer.abort();
    await second;
    expect(engine.writer.write('ef')).toBe(false);
  });

  it('ends a stream that was held up once the engine has room, and any other at once', () => {
    const quick = new SlowEngine(100);
    quick.writer.end('ab');
    expect(quick.ended).toBe(true);
    const slow = new HoldingEngine(5_000);
    slow.writer.write(Buffer.alloc(6_000));
    slow.writer.end();
    // The last byte went alone: by it the engine told that it holds some of those before.
    expect([slow.sizes, slow.held, slow.ended]).toEqual([[5_999, 1], 1_000, false]);
    slow.kernelRoom = 10_000;
    slow.writer.writable();
    expect([slow.held, slow.ended]).toEqual([0, true]);
  });

  it('is told by a probe that the client takes something before the engine says so', () => {
    const engine = new HoldingEngine(5_000);
    engine.writer.write(Buffer.alloc(6_000));
    engine.writer.write(Buffer.alloc(2_000));
    expect(engine.sizes).toEqual([5_999, 1]);
    expect(engine.writer.probe()).toBe('still');
    expect(engine.sizes).toEqual([5_999, 1, 512]);
    engine.kernelRoom = 100_000;
    expect(engine.writer.probe()).toBe('taking');
    expect(engine.taken.reduce((sum, piece) => sum + piece.length, 0)).toBe(8_000);
    expect(engine.writer.bufferedBytes).toBe(0);
  });

  it('counts what an engine takes of a body of known length as taken, however little', () => {
    const engine = new SlowEngine(1, 4);
    engine.writer.write('abcd');
    engine.room = 1;
    expect(engine.writer.probe()).toBe('taking');
    expect(engine.writer.probe()).toBe('still');
  });

  it('has whoever waits for room bring a chunk to probe with', async () => {
    const engine = new HoldingEngine(5_000);
    engine.writer.write(Buffer.alloc(6_000));
    const more = engine.writer.drained();
    expect(engine.writer.probe()).toBe('unknown');
    await more;
    expect(engine.writer.write(Buffer.alloc(100))).toBe(false);
    expect(engine.writer.probe()).toBe('still');
  });

  it('breaks off a body that is shorter than declared, and refuses a longer one', () => {
    const short = new SlowEngine(100, 10);
    short.writer.end('abc');
    expect(short.destroyed).toBe(true);
    const long = new SlowEngine(100, 2);
    expect(() => long.writer.write('abc')).toThrow('must not exceed');
  });
});

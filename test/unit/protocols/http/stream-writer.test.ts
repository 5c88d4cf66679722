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

  it('breaks off a body that is shorter than declared, and refuses a longer one', () => {
    const short = new SlowEngine(100, 10);
    short.writer.end('abc');
    expect(short.destroyed).toBe(true);
    const long = new SlowEngine(100, 2);
    expect(() => long.writer.write('abc')).toThrow('must not exceed');
  });
});

/** Packets are cut out of a stream whatever its chunks, and never read beyond what is allowed. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Framer, type FramingFault } from '../../../../src/protocols/mqtt/framer.ts';

function packet(length: number): Buffer {
  const head = [0x30];
  let rest = length;
  do {
    head.push((rest % 128) | (rest >= 128 ? 0x80 : 0));
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  return Buffer.concat([Buffer.from(head), Buffer.alloc(length, 7)]);
}

function cut(framer: Framer, chunks: readonly Buffer[]) {
  const packets: Buffer[] = [];
  let fault: FramingFault | undefined;
  for (const chunk of chunks) {
    fault ??= framer.push(chunk, (bytes) => packets.push(Buffer.from(bytes)));
  }
  return { packets, fault };
}

describe('a framer', () => {
  it('[R8] gives the packets as they were sent, however the stream is cut', () => {
    const lengths = fc.array(fc.integer({ min: 0, max: 700 }), { minLength: 1, maxLength: 8 });
    const sizes = fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 400 });
    fc.assert(
      fc.property(lengths, sizes, (given, steps) => {
        const sent = given.map(packet);
        const stream = Buffer.concat(sent);
        const chunks: Buffer[] = [];
        for (let at = 0, step = 0; at < stream.length; step += 1) {
          const size = steps[step % steps.length] ?? 1;
          chunks.push(stream.subarray(at, at + size));
          at += size;
        }
        expect(cut(new Framer(1_000), chunks)).toEqual({ packets: sent, fault: undefined });
      }),
    );
  });

  it('[R8] refuses a packet by its header, before any of its body is kept', () => {
    const framer = new Framer(1_000);
    const head = packet(100_000).subarray(0, 4);
    expect(cut(framer, [head])).toEqual({ packets: [], fault: 'tooLarge' });
    expect(framer.heldBytes).toBe(0);
    expect(cut(framer, [packet(1)])).toEqual({ packets: [], fault: 'tooLarge' });
  });

  it.each([
    ['a length of five bytes', [0x30, 0xff, 0xff, 0xff, 0xff, 0x01]],
    ['a length that is longer than it must be [MQTT5-1.5.5-1]', [0x30, 0x81, 0x00, 0x00]],
  ])('refuses %s', (_, bytes) => {
    expect(cut(new Framer(2 ** 28), [Buffer.from(bytes)]).fault).toBe('malformed');
  });
});

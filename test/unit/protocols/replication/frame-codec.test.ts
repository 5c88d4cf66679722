/** Frames as bytes: what goes out comes in; what lies about itself is refused before it costs. */
import { describe, expect, it } from 'vitest';
import { asNodeError } from '../../../../src/base/errors.ts';
import { decodeFrame, encodeFrame } from '../../../../src/protocols/replication/frame-codec.ts';

const refusal = (bytes: Uint8Array): string | undefined => {
  try {
    decodeFrame(bytes);
    return undefined;
  } catch (error) {
    return asNodeError(error).code;
  }
};

describe('a frame between nodes', () => {
  it('keeps numbers to the last digit, bytes as bytes, and what is absent', () => {
    const version = Number.MAX_SAFE_INTEGER - 1;
    const frame = {
      version,
      id: 'a',
      none: null,
      bytes: Buffer.from([0, 255]),
      list: [1, -1, 0.5],
    };
    const back = decodeFrame(encodeFrame({ ...frame, absent: undefined }));
    expect('absent' in back).toBe(false);
    expect({ ...back, bytes: Buffer.from(back.bytes as Uint8Array) }).toEqual(frame);
  });

  it.each([
    ['nothing', []],
    ['no map', [0x93, 1, 2, 3]],
    ['a map of four thousand million', [0xdf, 0xff, 0xff, 0xff, 0xff]],
    ['a text longer than the frame', [0x81, 0xa1, 0x61, 0xdb, 0x7f, 0xff, 0xff, 0xff]],
    ['an extension', [0x81, 0xa1, 0x61, 0xc7, 1, 0x72, 0]],
    ['more nesting than frames have', [0x81, 0xa1, 0x61, ...Array(90).fill(0x91), 0]],
    [
      'a million empty lists',
      [0x81, 0xa1, 0x61, 0xdd, 0, 0x0f, 0x42, 0x40, ...Array(1e6).fill(0x90)],
    ],
  ])('is refused when it is %s', (_, bytes) => {
    expect(refusal(Buffer.from(bytes))).toBe('PEER_INVALID');
  });

  it('has no way to the prototype of objects', () => {
    const bytes = Buffer.concat([
      Buffer.from([0x81, 0xa9]),
      Buffer.from('__proto__'),
      Buffer.from([0x81, 0xa1, 0x78, 1]),
    ]);
    const frame = decodeFrame(bytes);
    expect((frame as { x?: number }).x).toBeUndefined();
    expect(Object.getPrototypeOf(frame)).toBe(Object.prototype);
  });
});

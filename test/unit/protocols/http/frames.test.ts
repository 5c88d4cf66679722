/** Frames of an origin: read in any pieces, refused where they break the protocol [RFC6455 §5]. */
import { describe, expect, it } from 'vitest';
import {
  FrameReader,
  maskedClose,
  maskedFrame,
  OPCODE,
} from '../../../../src/protocols/http/frames.ts';

const MESSAGE_MAX = 100_000;

function frame(opcode: number, payload: string | Buffer, isLast = true): Buffer {
  const body = Buffer.from(payload);
  const head = Buffer.alloc(body.length < 126 ? 2 : body.length < 65_536 ? 4 : 10);
  head[0] = (isLast ? 0x80 : 0) | opcode;
  head[1] = head.length === 2 ? body.length : head.length === 4 ? 126 : 127;
  if (head.length === 4) head.writeUInt16BE(body.length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(body.length), 2);
  return Buffer.concat([head, body]);
}

function readerOf() {
  const heard: string[] = [];
  const reader = new FrameReader(MESSAGE_MAX, {
    message: (bytes, binary) => heard.push(`${binary ? 'binary' : 'text'} ${bytes.length}`),
    ping: (bytes) => heard.push(`ping ${Buffer.from(bytes)}`),
    close: (code, reason) => heard.push(`close ${code} ${reason}`),
  });
  return { reader, heard };
}

describe('reading frames', () => {
  const all = Buffer.concat([
    frame(OPCODE.text, 'hello'),
    frame(OPCODE.binary, Buffer.alloc(300), false),
    frame(OPCODE.ping, 'there?'),
    frame(OPCODE.continuation, Buffer.alloc(70_000)),
    frame(OPCODE.close, Buffer.from([0x0f, 0xa1, 0x62, 0x79, 0x65])),
    frame(OPCODE.text, 'too late'),
  ]);

  it.each([1, 2, 3, 7, 64, 1 << 20])('hears the same in pieces of %d bytes', (size) => {
    const { reader, heard } = readerOf();
    for (let at = 0; at < all.length; at += size) {
      expect(reader.push(all.subarray(at, at + size))).toBeUndefined();
    }
    expect(heard).toEqual(['text 5', 'ping there?', 'binary 70300', 'close 4001 bye']);
  });

  it.each([
    ['an extension bit', Buffer.from([0xc1, 0x00])],
    ['a mask', Buffer.from([0x81, 0x80, 0, 0, 0, 0])],
    ['an unknown opcode', frame(3, 'x')],
    ['a ping in fragments', frame(OPCODE.ping, 'x', false)],
    ['a ping of 126 bytes', frame(OPCODE.ping, Buffer.alloc(126))],
    ['a fragment of nothing', frame(OPCODE.continuation, 'x')],
    ['a message within a message', Buffer.concat([frame(1, 'x', false), frame(1, 'y')])],
    ['a length beyond the limit', Buffer.from([0x82, 127, 0xff, 0, 0, 0, 0, 0, 0, 0])],
    [
      'fragments beyond the limit together',
      Buffer.concat([frame(2, Buffer.alloc(60_000), false), frame(0, Buffer.alloc(60_000))]),
    ],
  ])('refuses %s', (_, bytes) => {
    const { reader, heard } = readerOf();
    expect(reader.push(bytes)).toMatch(/\w/);
    expect(heard).toEqual([]);
  });
});

describe('writing frames', () => {
  it.each([0, 125, 126, 65_535, 65_536])('masks a payload of %d bytes', (size) => {
    const payload = Buffer.alloc(size, 'abc');
    const written = maskedFrame(OPCODE.text, payload);
    const start = written.length - size;
    const mask = written.subarray(start - 4, start);
    const plain = written.subarray(start).map((byte, i) => byte ^ (mask[i % 4] as number));
    expect(written[0]).toBe(0x81);
    expect((written[1] as number) & 0x80).toBe(0x80);
    expect(Buffer.from(plain).equals(payload)).toBe(true);
  });

  it('sends no code that stands for the lack of one [RFC6455 §7.4.1]', () => {
    for (const code of [0, 1005, 1006, 1015]) expect(maskedClose(code, '')).toHaveLength(6);
    expect(maskedClose(1001, 'gone')).toHaveLength(6 + 2 + 4);
  });
});

/** Acknowledgements that are read and written without mqtt-packet are those that it makes. */
import { generate } from 'mqtt-packet';
import { describe, expect, it } from 'vitest';
import { decodePacket, encodePacket } from '../../../../src/protocols/mqtt/codec.ts';

const COMMANDS = ['puback', 'pubrec', 'pubrel', 'pubcomp'] as const;
const LEVELS = [4, 5] as const;

describe.each(COMMANDS)('%s', (cmd) => {
  it.each(LEVELS)('is the same without a reason, at level %i', (level) => {
    for (const messageId of [1, 255, 256, 65_535]) {
      const packet = { cmd, messageId, reasonCode: 0 };
      const bytes = generate(packet, { protocolVersion: level });
      expect(encodePacket(packet, level)).toEqual(bytes);
      expect(decodePacket(bytes, level)).toEqual(packet);
    }
  });

  it('keeps a reason and its text', () => {
    const properties = { reasonString: 'no' };
    const reasonCode = cmd === 'puback' || cmd === 'pubrec' ? 0x97 : 0x92;
    const packet = { cmd, messageId: 7, reasonCode, properties };
    const bytes = encodePacket(packet, 5);
    expect(decodePacket(bytes, 5)).toMatchObject(packet);
  });

  it('may say that there is no reason and no property, at level 5 only', () => {
    const [head = 0] = encodePacket({ cmd, messageId: 7 }, 5);
    const packet = { cmd, messageId: 7, reasonCode: 0 };
    for (const more of [[0], [0, 0]]) {
      const bytes = Buffer.from([head, 2 + more.length, 0, 7, ...more]);
      expect(decodePacket(bytes, 5)).toEqual(packet);
    }
    expect(decodePacket(Buffer.from([head, 4, 0, 7, 0, 1]), 5)).toBeUndefined();
  });

  it('is no packet with other flags [MQTT5-2.1.3-1]', () => {
    const bytes = encodePacket({ cmd, messageId: 7 }, 5);
    bytes[0] = (bytes[0] ?? 0) ^ 1;
    expect(decodePacket(bytes, 5)).toBeUndefined();
  });
});

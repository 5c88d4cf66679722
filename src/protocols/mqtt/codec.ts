/**
 * Between bytes and packets, by mqtt-packet. A decoder gets one whole packet at a time
 * (`framer.ts` cuts them), so that nothing it reads can reach into the next: all connections of a
 * level share one, until a fault. What it lets through that the specification does not is found by
 * `packet-checks.ts`. Acknowledgements that say nothing but an identifier, of which there is one or
 * more for each delivery of QoS 1 and 2, are read and written here: mqtt-packet allocates half a
 * kilobyte for each.
 */
import { generate, type Packet, type Parser, parser, writeToStream } from 'mqtt-packet';
import type { ProtocolLevel } from './publish-encoder.ts';

// The cache of encoded numbers takes 7 MB a thread and saves nothing that can be measured.
writeToStream.cacheNumbers = false;

class PacketDecoder {
  readonly #parser: Parser;
  #packet: Packet | undefined;

  constructor(level: number) {
    this.#parser = parser({ protocolVersion: level });
    this.#parser.on('packet', (packet) => {
      this.#packet = packet;
    });
    this.#parser.on('error', () => {
      this.#packet = undefined;
    });
  }

  /** The packet of exactly these bytes; `undefined` when they are none [MQTT5 §4.13.1]. */
  decode(bytes: Buffer): Packet | undefined {
    try {
      const left = this.#parser.parse(bytes);
      return left === 0 ? this.#packet : undefined;
    } catch {
      return undefined;
    } finally {
      this.#packet = undefined;
    }
  }
}

type Ack = Extract<Packet, { cmd: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp' }>;

/** The first byte of each, with the flags that it must have [MQTT5 §2.1.3]. */
const ACK_HEADS: Readonly<Record<Ack['cmd'], number>> = {
  puback: 0x40,
  pubrec: 0x50,
  pubrel: 0x62,
  pubcomp: 0x70,
};
const ACK_COMMANDS = new Map(
  Object.entries(ACK_HEADS).map(([cmd, head]) => [head, cmd as Ack['cmd']]),
);
/** The fixed header and the identifier: what is left out means success [MQTT5 §3.4.2.1]. */
const ACK_BYTES = 4;
/** With the reason 0 and no properties, which 5.0 allows to say. */
const SPOKEN_ACK_BYTES = 6;

function plainAck(bytes: Buffer, level: number): Ack | undefined {
  const { length } = bytes;
  if (length < ACK_BYTES || length > (level === 5 ? SPOKEN_ACK_BYTES : ACK_BYTES)) return undefined;
  const cmd = ACK_COMMANDS.get(bytes[0] ?? 0);
  if (cmd === undefined || (bytes[4] ?? 0) !== 0 || (bytes[5] ?? 0) !== 0) return undefined;
  return { cmd, messageId: bytes.readUInt16BE(2), reasonCode: 0 };
}

const isPlainAck = (packet: Packet): packet is Ack & { readonly messageId: number } =>
  packet.cmd in ACK_HEADS &&
  (packet as Ack).messageId !== undefined &&
  !(packet as Ack).reasonCode &&
  (packet as Ack).properties === undefined;

const decoders = new Map<number, PacketDecoder>();
const CONNECT = 1;

/**
 * The packet of exactly these bytes; `undefined` when they are none [MQTT5 §4.13.1]. `level`: of
 * the protocol, once CONNECT has told it.
 */
export function decodePacket(bytes: Buffer, level: number): Packet | undefined {
  const ack = plainAck(bytes, level);
  if (ack !== undefined) return ack;
  // It takes its level from a CONNECT.
  if ((bytes[0] ?? 0) >> 4 === CONNECT) return new PacketDecoder(level).decode(bytes);
  const decoder = decoders.get(level) ?? new PacketDecoder(level);
  decoders.set(level, decoder);
  const packet = decoder.decode(bytes);
  if (packet === undefined) decoders.delete(level);
  return packet;
}

export function encodePacket(packet: Packet, level: ProtocolLevel): Buffer {
  if (!isPlainAck(packet)) return generate(packet, { protocolVersion: level });
  const { cmd, messageId } = packet;
  return Buffer.from([ACK_HEADS[cmd], 2, messageId >> 8, messageId & 0xff]);
}

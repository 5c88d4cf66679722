/**
 * Between bytes and packets, by mqtt-packet. A decoder gets one whole packet at a time
 * (`framer.ts` cuts them), so that nothing it reads can reach into the next: all connections of a
 * level share one, until a fault. What it lets through that the specification does not is found by
 * `packet-checks.ts`.
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

const decoders = new Map<number, PacketDecoder>();
const CONNECT = 1;

/**
 * The packet of exactly these bytes; `undefined` when they are none [MQTT5 §4.13.1]. `level`: of
 * the protocol, once CONNECT has told it.
 */
export function decodePacket(bytes: Buffer, level: number): Packet | undefined {
  // It takes its level from a CONNECT.
  if ((bytes[0] ?? 0) >> 4 === CONNECT) return new PacketDecoder(level).decode(bytes);
  const decoder = decoders.get(level) ?? new PacketDecoder(level);
  decoders.set(level, decoder);
  const packet = decoder.decode(bytes);
  if (packet === undefined) decoders.delete(level);
  return packet;
}

export const encodePacket = (packet: Packet, level: ProtocolLevel): Buffer =>
  generate(packet, { protocolVersion: level });

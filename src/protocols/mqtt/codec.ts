/**
 * Between bytes and packets, by mqtt-packet. The decoder gets one whole packet at a time
 * (`framer.ts` cuts them), so that nothing it reads can reach into the next; after a fault it is
 * not used again. What it lets through that the specification does not is found by
 * `packet-checks.ts`.
 */
import { generate, type Packet, type Parser, parser, writeToStream } from 'mqtt-packet';
import type { ProtocolLevel } from './publish-encoder.ts';

// The cache of encoded numbers takes 7 MB a thread and saves nothing that can be measured.
writeToStream.cacheNumbers = false;

export class PacketDecoder {
  readonly #parser: Parser;
  #packet: Packet | undefined;

  /** `level`: of the protocol, once CONNECT has told it. */
  constructor(level: ProtocolLevel) {
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
    this.#packet = undefined;
    try {
      const left = this.#parser.parse(bytes);
      return left === 0 ? this.#packet : undefined;
    } catch {
      return undefined;
    }
  }
}

export const encodePacket = (packet: Packet, level: ProtocolLevel): Buffer =>
  generate(packet, { protocolVersion: level });

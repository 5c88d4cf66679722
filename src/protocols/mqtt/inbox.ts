/**
 * Packets on their way from one client: cut out of the stream as it comes, decoded and checked one
 * by one when their turn has come, so that each is read as the level says which CONNECT named, and
 * nothing is worked out that is not wanted any more.
 */
import type { Packet } from 'mqtt-packet';
import { LIMITS, type LimitName } from '../../config/limits.ts';
import { decodePacket } from './codec.ts';
import { Framer } from './framer.ts';
import { type PacketFault, packetFault } from './packet-checks.ts';
import { REASON } from './reasons.ts';
import { keepUserProperties } from './user-properties.ts';

export type Arrived =
  | { readonly kind: 'packet'; readonly packet: Packet }
  /** `isConnect`: it set out to be a CONNECT. */
  | { readonly kind: 'fault'; readonly fault: PacketFault; readonly isConnect: boolean };

export class Inbox {
  readonly #framer = new Framer(LIMITS.mqttConnectBytesMax);
  #limit: LimitName = 'mqttConnectBytesMax';
  /** Of the protocol. */
  #level = 4;
  #packets: Buffer[] = [];
  #next = 0;
  /** Ends the stream, behind what came before it. */
  #fault: PacketFault | undefined;

  /** Who sends is known: packets may be as long as those who have signed in may send them. */
  opened(): void {
    this.#limit = 'mqttPacketBytesMax';
    this.#framer.packetBytesMax = LIMITS[this.#limit];
  }

  receive(chunk: Buffer): void {
    const fault = this.#framer.push(chunk, (bytes) => this.#packets.push(bytes));
    if (fault === 'tooLarge') {
      const text = `a packet has at most ${this.#framer.packetBytesMax} bytes`;
      this.#fault = { reason: REASON.packetTooLarge, text, limit: this.#limit };
    } else if (fault === 'malformed') {
      const text = 'the length of a packet is not encoded as it must be';
      this.#fault = { reason: REASON.malformedPacket, text };
    }
  }

  take(): Arrived | undefined {
    const bytes = this.#packets[this.#next];
    if (bytes === undefined) {
      this.#packets = [];
      this.#next = 0;
      return this.#fault && { kind: 'fault', fault: this.#fault, isConnect: false };
    }
    this.#next += 1;
    const packet = decodePacket(bytes, this.#level);
    const fault = packet === undefined ? NO_PACKET : packetFault(packet, bytes);
    if (packet === undefined || fault !== undefined) {
      const isConnect = (bytes[0] ?? 0) >> 4 === 1 && bytes.includes('MQTT');
      return { kind: 'fault', fault: fault ?? NO_PACKET, isConnect };
    }
    keepUserProperties(packet, bytes);
    if (packet.cmd === 'connect') this.#level = packet.protocolVersion ?? 4;
    return { kind: 'packet', packet };
  }

  clear(): void {
    this.#packets = [];
    this.#next = 0;
  }
}

const NO_PACKET: PacketFault = {
  reason: REASON.malformedPacket,
  text: 'this is no packet of MQTT',
};

/**
 * Cuts a byte stream into whole control packets before anything decodes them: the decoder has no
 * bound of its own and would gather whatever length a header announces. A packet is refused as soon
 * as its length is known, before its body is kept [MQTT5 §2.1.4, §3.1.2.11.4].
 */

/** Bytes of a fixed header: the type and up to four of the remaining length. */
const LENGTH_BYTES_MAX = 4;
/** Pieces of a packet that are kept apart. */
const PIECES_MAX = 64;

export type FramingFault = 'malformed' | 'tooLarge';

export class Framer {
  /** Bytes of a whole packet, its fixed header included. */
  packetBytesMax: number;
  #held: Buffer[] = [];
  #heldBytes = 0;
  /** Bytes of the packet that has begun; 0: not known yet. */
  #wanted = 0;
  #fault: FramingFault | undefined;

  constructor(packetBytesMax: number) {
    this.packetBytesMax = packetBytesMax;
  }

  /** Bytes of a packet that is not yet whole. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Takes a chunk in; `packet` gets each whole packet. After a fault nothing is taken any more. */
  push(chunk: Buffer, packet: (bytes: Buffer) => void): FramingFault | undefined {
    if (this.#fault !== undefined) return this.#fault;
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#wanted === 0) {
        const known = this.#lengthOf(rest);
        if (typeof known === 'string') return this.#failed(known);
        if (known === undefined) break;
        this.#wanted = known;
      }
      const missing = this.#wanted - this.#heldBytes;
      if (rest.length < missing) break;
      const last = rest.subarray(0, missing);
      rest = rest.subarray(missing);
      packet(this.#heldBytes === 0 ? last : Buffer.concat([...this.#held, last]));
      this.#held = [];
      this.#heldBytes = 0;
      this.#wanted = 0;
    }
    if (rest.length > 0) this.#hold(rest);
    return undefined;
  }

  /**
   * Copies, since a piece of a chunk would keep the whole of it; a byte at a time costs no more.
   */
  #hold(rest: Buffer): void {
    this.#heldBytes += rest.length;
    this.#held.push(Buffer.from(rest));
    if (this.#held.length >= PIECES_MAX) this.#held = [Buffer.concat(this.#held)];
  }

  #failed(fault: FramingFault): FramingFault {
    this.#fault = fault;
    this.#held = [];
    this.#heldBytes = 0;
    return fault;
  }

  /** The whole packet's length; `undefined` while more of its header is to come. */
  #lengthOf(rest: Buffer): number | undefined | FramingFault {
    const head = this.#heldBytes === 0 ? rest : Buffer.concat([...this.#held, rest]);
    let length = 0;
    for (let at = 1; at <= LENGTH_BYTES_MAX; at += 1) {
      const byte = head[at];
      if (byte === undefined) return undefined;
      length += (byte & 0x7f) * 128 ** (at - 1);
      if ((byte & 0x80) !== 0) continue;
      // [MQTT5-1.5.5-1]: the shortest form only.
      if (byte === 0 && at > 1) return 'malformed';
      const whole = 1 + at + length;
      return whole > this.packetBytesMax ? 'tooLarge' : whole;
    }
    return 'malformed';
  }
}

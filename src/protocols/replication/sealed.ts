/**
 * Frames that cannot be forged, changed, left out, repeated or moved to another conversation: each
 * carries a code over its place in the order and its bytes, made with a key that both ends derived
 * from their nonces. It says who wrote, and hides nothing: what must not be read travels over TLS.
 */
import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto';

export const SEAL_BYTES = 16;

/** One direction of one connection. Without a key frames go as they are. */
export class Seal {
  readonly #key: KeyObject | undefined;
  readonly #place = Buffer.alloc(8);
  #count = 0n;

  constructor(key: KeyObject | undefined) {
    this.#key = key;
  }

  /** The frame as it goes out: its code, then its bytes. */
  seal(frame: Uint8Array): Uint8Array {
    if (this.#key === undefined) return frame;
    return Buffer.concat([this.#code(this.#key, frame), frame]);
  }

  /** The frame that came in; `undefined` when it is not the next one of this conversation. */
  open(sealed: Uint8Array): Uint8Array | undefined {
    if (this.#key === undefined) return sealed;
    if (sealed.length < SEAL_BYTES) return undefined;
    const frame = sealed.subarray(SEAL_BYTES);
    const isNext = timingSafeEqual(sealed.subarray(0, SEAL_BYTES), this.#code(this.#key, frame));
    return isNext ? frame : undefined;
  }

  #code(key: KeyObject, frame: Uint8Array): Buffer {
    this.#place.writeBigUInt64BE(this.#count);
    this.#count += 1n;
    const whole = createHmac('sha256', key).update(this.#place).update(frame).digest();
    return whole.subarray(0, SEAL_BYTES);
  }
}

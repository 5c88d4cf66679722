/**
 * Messages of the backbone that only nodes of one cluster can write, and read: encrypted, with all
 * that tells one from another bound to them [NIST SP 800-38D]. The key follows from the cluster's
 * token, its name, and a salt that every run of a node draws for itself; the nonce is a counter, so
 * that no pair of both comes twice.
 *
 *   message = version (1 byte), salt (16), counter (8), code (16), encrypted bytes
 */
import { createCipheriv, createDecipheriv, type KeyObject, randomBytes } from 'node:crypto';
import type { ClusterSecret } from './proof.ts';

const CIPHER = 'aes-256-gcm';
const VERSION = 1;
const SALT_BYTES = 16;
const COUNTER_BYTES = 8;
const CODE_BYTES = 16;
const NONCE_BYTES = 12;
export const SEALED_HEAD_BYTES = 1 + SALT_BYTES + COUNTER_BYTES + CODE_BYTES;
/** Keys of other nodes' runs that are remembered; each is made anew when it is not. */
const KEYS_MAX = 1_024;

export class NewsSeal {
  readonly #secret: ClusterSecret;
  readonly #cluster: string;
  readonly #salt = randomBytes(SALT_BYTES);
  readonly #keys = new Map<string, KeyObject>();
  #count = 0n;

  constructor(secret: ClusterSecret, cluster: string) {
    this.#secret = secret;
    this.#cluster = cluster;
  }

  /** `about` is what the message is sent under: it is not hidden, and cannot be changed. */
  seal(about: string, bytes: Uint8Array): Buffer {
    const counter = Buffer.alloc(COUNTER_BYTES);
    counter.writeBigUInt64BE(this.#count);
    this.#count += 1n;
    const cipher = createCipheriv(CIPHER, this.#key(this.#salt), nonceOf(counter));
    cipher.setAAD(Buffer.from(about));
    const hidden = [cipher.update(bytes), cipher.final()];
    return Buffer.concat([
      Buffer.of(VERSION),
      ...[this.#salt, counter, cipher.getAuthTag(), ...hidden],
    ]);
  }

  /** `undefined` when nobody of this cluster sealed it so. */
  open(about: string, sealed: Uint8Array): Buffer | undefined {
    if (sealed.length < SEALED_HEAD_BYTES || sealed[0] !== VERSION) return undefined;
    const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.length);
    const salt = bytes.subarray(1, 1 + SALT_BYTES);
    const counter = bytes.subarray(1 + SALT_BYTES, 1 + SALT_BYTES + COUNTER_BYTES);
    const cipher = createDecipheriv(CIPHER, this.#key(salt), nonceOf(counter));
    cipher.setAAD(Buffer.from(about));
    cipher.setAuthTag(bytes.subarray(SEALED_HEAD_BYTES - CODE_BYTES, SEALED_HEAD_BYTES));
    try {
      return Buffer.concat([cipher.update(bytes.subarray(SEALED_HEAD_BYTES)), cipher.final()]);
    } catch {
      return undefined;
    }
  }

  #key(salt: Buffer): KeyObject {
    const name = salt.toString('hex');
    const known = this.#keys.get(name);
    if (known !== undefined) return known;
    const key = this.#secret.sealKey(this.#cluster, name);
    if (this.#keys.size >= KEYS_MAX) this.#keys.clear();
    this.#keys.set(name, key);
    return key;
  }
}

const nonceOf = (counter: Buffer): Buffer =>
  Buffer.concat([Buffer.alloc(NONCE_BYTES - COUNTER_BYTES), counter]);

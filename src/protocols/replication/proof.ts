/**
 * How two nodes prove to one another that they know the cluster token, without sending it: a
 * challenge of HTTP authentication [RFC9110 §11.6]. The node that is dialled answers 401 with a
 * nonce; the dialler comes back with a nonce of its own and a proof over both; the answer that
 * opens the WebSocket carries the other proof. What an eavesdropper recorded is worth nothing:
 * neither nonce comes twice, and the key of the frames follows from both.
 *
 *   dialler ── GET ──────────────────────────────► listener
 *           ◄─ 401  Millrace name, nonce ─────────
 *           ── GET  Millrace name, nonce, own, proof ─►
 *           ◄─ 101  Millrace-Proof ───────────────
 *
 * Where certificates say who is who, a cluster may go without a token: the proofs are empty then.
 */
import { createHmac, createSecretKey, type KeyObject, scrypt, timingSafeEqual } from 'node:crypto';

export const SCHEME = 'Millrace';
export const PROOF_FIELD = 'millrace-proof';

/** Slows down whoever tries tokens against a recorded conversation; milliseconds, once a start. */
const SCRYPT_COST = { N: 16_384, r: 8, p: 1 } as const;
const KEY_BYTES = 32;
const NONCE = /^[A-Za-z0-9_-]{22,64}$/;

/** Both ends of a conversation and what each contributed to it. */
export interface Conversation {
  readonly dialler: string;
  readonly listener: string;
  readonly nonce: string;
  readonly own: string;
}

export interface FrameKeys {
  readonly dialler: KeyObject;
  readonly listener: KeyObject;
}

export class ClusterSecret {
  readonly #key: Buffer;

  private constructor(key: Buffer) {
    this.#key = key;
  }

  static derive(token: string): Promise<ClusterSecret> {
    return new Promise((resolve, reject) => {
      scrypt(token, 'millrace cluster token', KEY_BYTES, SCRYPT_COST, (error, key) =>
        error === null ? resolve(new ClusterSecret(key)) : reject(error),
      );
    });
  }

  proofOf(side: 'dialler' | 'listener', conversation: Conversation): string {
    return this.#derive(`proof ${side}`, conversation).toString('base64url');
  }

  frameKeys(conversation: Conversation): FrameKeys {
    return {
      dialler: createSecretKey(this.#derive('frames dialler', conversation)),
      listener: createSecretKey(this.#derive('frames listener', conversation)),
    };
  }

  /** For what is kept by a server, not said in a conversation: one key for each salt. */
  sealKey(cluster: string, salt: string): KeyObject {
    const text = JSON.stringify(['backbone', cluster, salt]);
    return createSecretKey(createHmac('sha256', this.#key).update(text).digest());
  }

  #derive(purpose: string, { dialler, listener, nonce, own }: Conversation): Buffer {
    // A list in JSON has one reading: no two conversations have the same text.
    const text = JSON.stringify([purpose, dialler, listener, nonce, own]);
    return createHmac('sha256', this.#key).update(text).digest();
  }
}

/** Whether `given` is the proof; an absent secret asks for none. */
export function isProven(
  secret: ClusterSecret | undefined,
  side: 'dialler' | 'listener',
  conversation: Conversation,
  given: string | undefined,
): boolean {
  if (secret === undefined) return true;
  const right = Buffer.from(secret.proofOf(side, conversation));
  const told = Buffer.from(given ?? '');
  return told.length === right.length && timingSafeEqual(told, right);
}

/** `Millrace name="n1", nonce="…"`; the values are of characters that need no escape. */
export function writeFields(fields: Readonly<Record<string, string>>): string {
  const parts = Object.entries(fields).map(([name, value]) => `${name}="${value}"`);
  return `${SCHEME} ${parts.join(', ')}`;
}

/** The fields of such a line; `undefined` when it is of another scheme or malformed. */
export function readFields(line: string | undefined): ReadonlyMap<string, string> | undefined {
  if (line === undefined || !line.startsWith(`${SCHEME} `)) return undefined;
  const found = new Map<string, string>();
  for (const part of line.slice(SCHEME.length + 1).split(/,\s*/)) {
    const match = /^([a-z]+)="([\w.-]{0,128})"$/.exec(part);
    if (match?.[1] === undefined || match[2] === undefined || found.has(match[1])) return undefined;
    found.set(match[1], match[2]);
  }
  return found;
}

export const isNonce = (text: string | undefined): text is string =>
  text !== undefined && NONCE.test(text);

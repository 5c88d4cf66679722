/**
 * Passwords as argon2id, with the parameters that OWASP names (19 MiB, two passes, one lane). The
 * work is done in the thread pool, a bounded number at a time so that files and commits find a
 * thread there too; what waits is bounded, in all and for each address, so that one that floods the
 * node with tries leaves room for the others.
 */
import { NodeError } from '../../base/errors.ts';
import { LIMITS } from '../../config/limits.ts';

/** Loaded with the first password: a start does not pay for it. */
const argon2 = () => import('@node-rs/argon2');

/** Argon2id, by its number in the library: its names are a const enum. */
const ARGON2ID = 2;
const PARAMETERS = {
  algorithm: ARGON2ID,
  memoryCost: 19 * 1024,
  timeCost: 2,
  parallelism: 1,
} as const;

interface Waiting {
  readonly address: string;
  run(): void;
}

export class PasswordHasher {
  readonly #concurrency: number;
  #running = 0;
  readonly #waiting: Waiting[] = [];
  readonly #perAddress = new Map<string, number>();
  #decoy: Promise<string> | undefined;
  /** Tries for which there was no room. */
  refused = 0;

  constructor(concurrency: number) {
    this.#concurrency = concurrency;
  }

  /** Rejects with `SIGN_IN_BUSY`. */
  hash(password: string, address: string): Promise<string> {
    return this.#run(address, async () => (await argon2()).hash(password, PARAMETERS));
  }

  /**
   * Whether the password is the hashed one. Without a hash as much work is done, for nothing: the
   * time it takes does not tell whether there is such a user. Rejects with `SIGN_IN_BUSY`.
   */
  verify(hashed: string | undefined, password: string, address: string): Promise<boolean> {
    return this.#run(address, async () => {
      const against = hashed ?? (await this.#madeUp());
      const isRight = await (await argon2()).verify(against, password);
      return isRight && hashed !== undefined;
    });
  }

  #madeUp(): Promise<string> {
    this.#decoy ??= argon2().then(({ hash }) => hash('a password which nobody has', PARAMETERS));
    return this.#decoy;
  }

  async #run<T>(address: string, work: () => Promise<T>): Promise<T> {
    const own = this.#perAddress.get(address) ?? 0;
    const isFull = this.#waiting.length >= LIMITS.signInsWaitingMax;
    if (isFull || own >= LIMITS.signInsWaitingPerAddressMax) {
      this.refused += 1;
      throw busy();
    }
    this.#perAddress.set(address, own + 1);
    try {
      if (this.#running >= this.#concurrency) await this.#turn(address);
      else this.#running += 1;
      try {
        return await work();
      } finally {
        this.#next();
      }
    } finally {
      this.#leave(address);
    }
  }

  #turn(address: string): Promise<void> {
    return new Promise((resolve) => this.#waiting.push({ address, run: resolve }));
  }

  /** Hands the place on; who waits longest is first. */
  #next(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#running -= 1;
    else next.run();
  }

  #leave(address: string): void {
    const own = this.#perAddress.get(address) ?? 1;
    if (own <= 1) this.#perAddress.delete(address);
    else this.#perAddress.set(address, own - 1);
  }
}

const busy = (): NodeError =>
  new NodeError('SIGN_IN_BUSY', 'too many sign-ins are waiting; come back in a moment', {
    retry: 'later',
    blame: 'client',
    details: { retryAfterSeconds: 1, limit: 'signInsWaitingMax' },
  });

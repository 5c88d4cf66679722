/**
 * Passwords as argon2id, with the parameters that OWASP names (19 MiB, two passes, one lane). A
 * bounded number is worked on at a time; what waits is bounded, in all and for each address, so
 * that one that floods the node with tries leaves room for the others.
 */
import { NodeError } from '../../base/errors.ts';
import { LIMITS } from '../../config/limits.ts';

/** Who does the work: in a node a thread of its own that gives way to all others. */
export interface PasswordWork {
  /** In the PHC string format. */
  hash(password: string): Promise<string>;
  verify(hashed: string, password: string): Promise<boolean>;
}

interface Waiting {
  readonly address: string;
  run(): void;
}

export class PasswordHasher {
  readonly #work: PasswordWork;
  readonly #concurrency: number;
  #running = 0;
  readonly #waiting: Waiting[] = [];
  readonly #perAddress = new Map<string, number>();
  #decoy: Promise<string> | undefined;
  /** Tries for which there was no room. */
  refused = 0;

  constructor(work: PasswordWork, concurrency: number) {
    this.#work = work;
    this.#concurrency = concurrency;
  }

  /** Rejects with `SIGN_IN_BUSY`. */
  hash(password: string, address: string): Promise<string> {
    return this.#run(address, () => this.#work.hash(password));
  }

  /**
   * Whether the password is the hashed one. Without a hash as much work is done, for nothing: the
   * time it takes does not tell whether there is such a user. Rejects with `SIGN_IN_BUSY`.
   */
  verify(hashed: string | undefined, password: string, address: string): Promise<boolean> {
    return this.#run(address, async () => {
      const against = hashed ?? (await this.#madeUp());
      const isRight = await this.#work.verify(against, password);
      return isRight && hashed !== undefined;
    });
  }

  #madeUp(): Promise<string> {
    this.#decoy ??= this.#work.hash('a password which nobody has').catch((error: unknown) => {
      this.#decoy = undefined;
      throw error;
    });
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

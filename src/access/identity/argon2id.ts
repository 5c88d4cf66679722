/** The argon2 library, with the parameters that every password of a node is hashed with. */
import type { PasswordWork } from './password-hash.ts';

/** Loaded with the first password: a start does not pay for it. */
const library = () => import('@node-rs/argon2');

/** Argon2id, by its number in the library: its names are a const enum. */
const ARGON2ID = 2;
/** What OWASP names: 19 MiB, two passes, one lane. */
const PARAMETERS = {
  algorithm: ARGON2ID,
  memoryCost: 19 * 1024,
  timeCost: 2,
  parallelism: 1,
} as const;

/** In the calling thread, which stands still meanwhile. */
export const argon2id: PasswordWork = {
  hash: async (password) => (await library()).hashSync(password, PARAMETERS),
  verify: async (hashed, password) => (await library()).verifySync(hashed, password),
};

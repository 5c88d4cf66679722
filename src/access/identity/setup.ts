/**
 * The first administrator of a node that has none: a random token, shown once at the start and kept
 * in a file that only the node's own user can read, makes one user with a role that may do
 * everything. It is good once, for a quarter of an hour, and only while there is nobody. There is
 * no password that anybody could know beforehand.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { NodeError } from '../../base/errors.ts';
import type { Directory } from './directory.ts';
import type { Identities } from './identities.ts';
import type { PasswordHasher } from './password-hash.ts';
import type { Registry } from './registry.ts';
import { SYSTEM } from './system-tables.ts';

const GOOD_FOR_MS = 15 * 60_000;
const FILE_MODE = 0o600;
export const SUPER_USER = 'super_user';

export interface SetupParts {
  readonly directory: Directory;
  readonly identities: Identities;
  readonly registry: Registry;
  readonly hasher: PasswordHasher;
  readonly clock: Clock;
  readonly dataFolder: string;
}

export interface FirstAdmin {
  readonly token: string;
  readonly username: string;
  readonly password: string;
  readonly address: string;
}

export class Setup {
  readonly token: string = randomBytes(24).toString('base64url');
  readonly file: string;
  readonly #parts: SetupParts;
  readonly #until: number;
  #isUsed = false;

  private constructor(parts: SetupParts) {
    this.#parts = parts;
    this.file = join(parts.dataFolder, 'keys', 'setup-token');
    this.#until = parts.clock.now() + GOOD_FOR_MS;
    rmSync(this.file, { force: true });
    writeFileSync(this.file, `${this.token}\n`, { mode: FILE_MODE });
  }

  /** `undefined` when somebody can sign in as an administrator already. */
  static begin(parts: SetupParts & { readonly hasConfiguredAdmin: boolean }): Setup | undefined {
    return parts.hasConfiguredAdmin || hasAdmin(parts) ? undefined : new Setup(parts);
  }

  get isOpen(): boolean {
    return !this.#isUsed && this.#parts.clock.now() < this.#until;
  }

  /** Rejects with `AUTHENTICATION_REQUIRED` for a token that is wrong, used or too old. */
  async complete({ token, username, password, address }: FirstAdmin): Promise<void> {
    const { registry, hasher, clock } = this.#parts;
    if (!this.isOpen || !isSame(token, this.token) || hasAdmin(this.#parts)) throw refused();
    // Taken before the first wait: of two at once only one may win.
    this.#isUsed = true;
    try {
      const times = { createdAt: clock.now(), updatedAt: clock.now() };
      const mark = randomBytes(12).toString('base64url');
      const hashed = await hasher.hash(password, address);
      const user = { id: username, roles: [SUPER_USER], active: true, password: hashed, mark };
      const role = {
        id: SUPER_USER,
        definition: { description: 'may do everything', admin: true, tables: {} },
        permission: { super_user: true },
      };
      await registry.write([
        { table: SYSTEM.role, row: { ...role, ...times }, id: SUPER_USER },
        { table: SYSTEM.user, row: { ...user, ...times }, id: username },
      ]);
      rmSync(this.file, { force: true });
    } catch (error) {
      this.#isUsed = false;
      throw error;
    }
  }

  /** The token is worth nothing to the next run. */
  close(): void {
    rmSync(this.file, { force: true });
  }
}

function hasAdmin({ directory, identities }: Pick<SetupParts, 'directory' | 'identities'>) {
  const roles = identities.roles();
  return directory
    .users()
    .some((user) => user.active && user.roles.some((name) => roles.get(name)?.admin === true));
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
const isSame = (one: string, other: string): boolean => timingSafeEqual(digest(one), digest(other));

const refused = (): NodeError =>
  new NodeError(
    'AUTHENTICATION_REQUIRED',
    'this setup link is used, expired or wrong; a node without an administrator makes a new one ' +
      'at each start',
    { blame: 'client' },
  );

/**
 * The secrets of one node that no table holds: the private key it signs tokens with, and a random
 * value from which it derives marks. A folder beside the store that only the node's own user can
 * read; a file is written whole under another name first, so that a crash leaves the old one.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NodeError } from '../../base/errors.ts';
import type { AdminCredentials } from '../authenticate.ts';
import type { ConfiguredAdmin } from './identities.ts';
import type { KeyKeeper, SigningKey } from './tokens.ts';

const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
const SECRET_BYTES = 32;

export class KeyFolder implements KeyKeeper {
  readonly #folder: string;

  /** Makes the folder. Throws `CONFIG_INVALID` when it cannot. */
  constructor(dataFolder: string) {
    this.#folder = join(dataFolder, 'keys');
    try {
      mkdirSync(this.#folder, { recursive: true, mode: FOLDER_MODE });
      chmodSync(this.#folder, FOLDER_MODE);
    } catch (cause) {
      const message = `the folder of keys ${this.#folder} cannot be made: ${String(cause)}`;
      throw new NodeError('CONFIG_INVALID', message, { cause });
    }
  }

  load(): SigningKey | undefined {
    const text = this.#read('signing.json');
    return text === undefined ? undefined : (JSON.parse(text) as SigningKey);
  }

  save(key: SigningKey): void {
    this.#write('signing.json', JSON.stringify(key));
  }

  /** The administrator with a mark that changes with name and password. */
  marked(admin: AdminCredentials): AdminCredentials & ConfiguredAdmin {
    const told = `${admin.username}\n${admin.password}`;
    const mark = createHmac('sha256', this.#secret()).update(told).digest('base64url').slice(0, 22);
    return { ...admin, mark };
  }

  #secret(): string {
    const known = this.#read('secret');
    if (known !== undefined) return known;
    const made = randomBytes(SECRET_BYTES).toString('base64url');
    this.#write('secret', made);
    return made;
  }

  #read(name: string): string | undefined {
    try {
      return readFileSync(join(this.#folder, name), 'utf8');
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      const message = `the key file ${join(this.#folder, name)} cannot be read: ${String(cause)}`;
      throw new NodeError('CONFIG_INVALID', message, { cause });
    }
  }

  #write(name: string, text: string): void {
    const file = join(this.#folder, name);
    writeFileSync(`${file}.new`, text, { mode: FILE_MODE });
    renameSync(`${file}.new`, file);
  }
}

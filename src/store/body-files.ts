/**
 * The bodies of a node that are too large for its rows, each in a file of its own that is written
 * once. Any thread writes and reads them; which of them are kept is decided by the store thread
 * (`body-keeper.ts`), by the rows that name them.
 *
 * A name ends with the mark of the run in which it was made, so that a start can tell what an
 * earlier run left behind from what is being written now.
 */
import { createHash, type Hash, randomBytes } from 'node:crypto';
import { NodeError } from '../base/errors.ts';
import type { StoredBody } from '../cache/entry.ts';
import { LIMITS } from '../config/limits.ts';
import {
  type BodyDraft,
  type BodyPurpose,
  type BodyReader,
  type BodyStore,
  copyName,
  isCopy,
} from '../table/body-store.ts';
import { bodyFailure, FileDraft, noRoom } from './body-draft.ts';
import type { BodyFile, BodyFolder } from './body-folder.ts';
import type { Room } from './space-guard.ts';

export interface BodyFilesParts {
  readonly folder: BodyFolder;
  /** The mark of this run: `newRun()`, the same on all threads. */
  readonly run: string;
  /** The free space of the disk, as the guard sees it. */
  readonly room: () => Room;
  /** Told of a body whose bytes are not what was written. */
  readonly onDamaged?: ((body: StoredBody) => void) | undefined;
}

const NAME_BYTES = 12;
const RUN_BYTES = 4;
/** Bodies found sound, remembered so that they are not hashed with every reading. */
const SOUND_MAX = 4_096;

export const newRun = (): string => randomBytes(RUN_BYTES).toString('hex');

export class BodyFiles implements BodyStore {
  readonly #parts: BodyFilesParts;
  readonly #sound = new Set<string>();

  constructor(parts: BodyFilesParts) {
    this.#parts = parts;
  }

  create(purpose: BodyPurpose = 'fill'): BodyDraft {
    this.#checkRoom(purpose);
    const name = randomBytes(NAME_BYTES).toString('hex') + this.#parts.run;
    const { folder } = this.#parts;
    return new FileDraft({ name, folder, checkRoom: () => this.#checkRoom(purpose) });
  }

  /** The bytes of a body that a row has named before they were here; from the beginning. */
  async createCopy(body: Pick<StoredBody, 'digest'>): Promise<BodyDraft> {
    this.#checkRoom('client');
    const name = copyName(body);
    const { folder } = this.#parts;
    // What an earlier attempt has left.
    await folder.remove(name);
    return new FileDraft({ name, folder, checkRoom: () => this.#checkRoom('client') });
  }

  /** A copy that is not what its digest says. */
  dropCopy(body: Pick<StoredBody, 'digest'>): Promise<void> {
    return this.#parts.folder.remove(copyName(body));
  }

  /** Whether the file is there, as far as its length tells. */
  holds(body: StoredBody): boolean {
    const file = this.#parts.folder.open(body.name);
    file?.close();
    return file?.size === body.length;
  }

  open(body: StoredBody): BodyReader | undefined {
    let file: BodyFile | undefined;
    try {
      file = this.#parts.folder.open(body.name);
    } catch (cause) {
      throw bodyFailure(cause);
    }
    if (file === undefined) return undefined;
    if (file.size !== body.length) {
      file.close();
      // A copy that is shorter is still being fetched.
      if (!isCopy(body) || file.size > body.length) this.#parts.onDamaged?.(body);
      return undefined;
    }
    return new FileReader(body, file, this.#sound.has(body.name), (isSound) =>
      isSound ? this.#noteSound(body) : this.#parts.onDamaged?.(body),
    );
  }

  #checkRoom(purpose: BodyPurpose): void {
    const room = this.#parts.room();
    if (room === 'hard' || (room === 'soft' && purpose === 'fill')) throw noRoom();
  }

  #noteSound({ name }: StoredBody): void {
    this.#sound.add(name);
    if (this.#sound.size <= SOUND_MAX) return;
    const [oldest] = this.#sound;
    if (oldest !== undefined) this.#sound.delete(oldest);
  }
}

/**
 * Reads a whole body. Who reads it from its beginning to its end gets its last bytes only when the
 * digest is right: a damaged body is never seen complete.
 */
class FileReader implements BodyReader {
  readonly #body: StoredBody;
  readonly #file: BodyFile;
  readonly #verified: (isSound: boolean) => void;
  /** `undefined` when there is nothing to find out, or the reading was not from end to end. */
  #hash: Hash | undefined;
  #hashed = 0;
  #isKnownSound: boolean;

  constructor(
    body: StoredBody,
    file: BodyFile,
    isKnownSound: boolean,
    verified: (isSound: boolean) => void,
  ) {
    this.#body = body;
    this.#file = file;
    this.#isKnownSound = isKnownSound;
    this.#hash = isKnownSound ? undefined : createHash('sha256');
    this.#verified = verified;
  }

  get length(): number {
    return this.#body.length;
  }

  async read(offset: number, max: number): Promise<Uint8Array> {
    const wanted = Math.min(max, LIMITS.bodyReadBytes, this.length - offset);
    if (wanted <= 0) return NOTHING;
    const bytes = await this.#file.read(offset, wanted).catch((cause: unknown) => {
      throw bodyFailure(cause);
    });
    if (bytes.length === 0) throw damaged(this.#body);
    this.#verify(offset, bytes);
    return bytes;
  }

  async verify(): Promise<void> {
    if (this.#isKnownSound) return;
    let offset = 0;
    this.#hash = createHash('sha256');
    this.#hashed = 0;
    while (offset < this.length) offset += (await this.read(offset, this.length - offset)).length;
  }

  close(): void {
    this.#file.close();
  }

  #verify(offset: number, bytes: Uint8Array): void {
    if (this.#hash === undefined) return;
    if (offset !== this.#hashed) {
      this.#hash = undefined;
      return;
    }
    this.#hash.update(bytes);
    this.#hashed += bytes.length;
    if (this.#hashed < this.length) return;
    const isSound = this.#hash.digest('hex') === this.#body.digest;
    this.#hash = undefined;
    this.#isKnownSound = isSound;
    this.#verified(isSound);
    if (!isSound) throw damaged(this.#body);
  }
}

const NOTHING = new Uint8Array(0);

const damaged = ({ name }: StoredBody): NodeError =>
  new NodeError(
    'STORE_FAILED',
    `the stored body ${name} is not what was written: the disk or somebody changed its file`,
    { details: { body: name } },
  );

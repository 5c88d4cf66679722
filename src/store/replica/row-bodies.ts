/**
 * The bodies in files that rows name, as replication sees them: which of them are not here, the
 * bytes of those that are, and the files into which the others are fetched. A row that came names
 * its body by the digest; the file has that name, and readers find it once it is whole.
 */
import type { EpochMs, RecordId, TableName } from '../../base/brands.ts';
import type { Entry, StoredBody } from '../../cache/entry.ts';
import type { BodySink, ReplicaBodies, WantedBody } from '../../replication/ports.ts';
import { type BodyDraft, copyName, isCopy } from '../../table/body-store.ts';
import type { BodyFiles } from '../body-files.ts';
import type { BodyKeeper } from '../body-keeper.ts';
import type { EngineReader } from '../reader.ts';
import type { Trees } from '../tables.ts';
import type { TableMode } from './tables.ts';

export interface RowBodiesParts {
  readonly reader: EngineReader;
  readonly trees: Trees;
  readonly bodies: BodyFiles;
  readonly keeper: BodyKeeper;
  readonly modes: ReadonlyMap<TableName, TableMode>;
  readonly now: () => EpochMs;
}

/** Rows looked at before others get their turn. */
const PAGE_ROWS = 256;
/** Names of files stand between these keys, and nothing else. */
const NAMES = { start: '0', end: 'g' } as const;

type Listener = (wanted: readonly WantedBody[]) => void;

export class RowBodies implements ReplicaBodies {
  readonly #parts: RowBodiesParts;
  #listener: Listener = () => {};

  constructor(parts: RowBodiesParts) {
    this.#parts = parts;
  }

  onMissing(listener: Listener): void {
    this.#listener = listener;
  }

  /** A row came that names bodies in files. */
  cameIn(table: TableName, id: RecordId): void {
    const wanted = this.#missingOf(table, id);
    if (wanted.length > 0) this.#listener(wanted);
  }

  isMissing({ table, id, digest }: WantedBody): boolean {
    return this.#missingOf(table, id).some((one) => one.digest === digest);
  }

  async *missing(): AsyncGenerator<readonly WantedBody[]> {
    const { modes, reader } = this.#parts;
    if (!this.#hasCopies()) return;
    for (const [table, mode] of modes) {
      if (mode !== 'rows') continue;
      let after: RecordId | undefined;
      do {
        const found: WantedBody[] = [];
        const { next } = reader.scanShared(table, { after, limit: PAGE_ROWS }, (entry) => {
          found.push(...this.#missingIn(table, entry.id, entry));
          return true;
        });
        if (found.length > 0) yield found;
        after = next;
        await new Promise((resolve) => setImmediate(resolve));
      } while (after !== undefined);
    }
  }

  async begin(wanted: WantedBody): Promise<BodySink> {
    const { bodies, keeper, now } = this.#parts;
    const draft = await bodies.createCopy(wanted);
    return new CopySink(wanted, draft, async (body, isSound) => {
      // The row may have been replaced meanwhile.
      if (isSound) keeper.releaseUnnamed([body], now());
      else await bodies.dropCopy(body);
    });
  }

  async read(
    { table, id, digest }: Pick<WantedBody, 'table' | 'id' | 'digest'>,
    from: number,
    max: number,
  ): Promise<Uint8Array | undefined> {
    const named = this.#parts.reader.withSharedEntry(table, id, (entry) =>
      entry === undefined ? [] : bodiesOf(entry),
    );
    const body = named.find((one) => one.digest === digest);
    const file = body && this.#parts.bodies.open(body);
    if (file === undefined) return undefined;
    try {
      return await file.read(from, max);
    } finally {
      file.close();
    }
  }

  #missingOf(table: TableName, id: RecordId): readonly WantedBody[] {
    return this.#parts.reader.withSharedEntry(table, id, (entry) =>
      entry === undefined ? [] : this.#missingIn(table, id, entry),
    );
  }

  #missingIn(table: TableName, id: RecordId, entry: Entry): WantedBody[] {
    const { bodies } = this.#parts;
    return bodiesOf(entry)
      .filter((body) => body.name === copyName(body) && !bodies.holds(body))
      .map(({ length, digest }) => ({ table, id, length, digest }));
  }

  #hasCopies(): boolean {
    const { bodies } = this.#parts.trees;
    return bodies.keys(NAMES).some((name) => isCopy({ name: String(name) }));
  }
}

function bodiesOf(entry: Entry): readonly StoredBody[] {
  if (entry.kind !== 'record') return [];
  const blobs = Object.values(entry.meta.blobs ?? {}).map(({ body }) => body);
  return entry.storedBody === undefined ? blobs : [entry.storedBody, ...blobs];
}

type Ended = (body: StoredBody, isSound: boolean) => Promise<void>;

class CopySink implements BodySink {
  readonly #wanted: WantedBody;
  readonly #draft: BodyDraft;
  readonly #ended: Ended;

  constructor(wanted: WantedBody, draft: BodyDraft, ended: Ended) {
    this.#wanted = wanted;
    this.#draft = draft;
    this.#ended = ended;
  }

  get length(): number {
    return this.#draft.length;
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (!this.#draft.write(bytes)) await this.#draft.drained();
  }

  async finish(): Promise<boolean> {
    const { length, digest } = this.#wanted;
    const body = await this.#draft.finish({ durable: true });
    const isSound = body.length === length && body.digest === digest;
    await this.#ended({ ...body, digest }, isSound);
    return isSound;
  }

  discard(): void {
    this.#draft.discard();
  }
}

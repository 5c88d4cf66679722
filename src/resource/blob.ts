/**
 * Bytes in application code. `createBlob(data)` makes a text, a buffer or a stream the value of a
 * `Blob` attribute: the bytes go into a file beside the store while they come, and can be read
 * meanwhile. A record that is read has a `HeldBlob` in the place of its reference.
 *
 * A record is stored when its bytes are whole: nobody sees one that refers to a part of them.
 */
import { NodeError } from '../base/errors.ts';
import type { StoredBlob } from '../cache/entry.ts';
import { LIMITS } from '../config/limits.ts';
import type { BodyDraft, BodyReader, BodyStore } from '../table/body-store.ts';
import { threadScope } from './thread-scope.ts';

type Bytes = Uint8Array | ArrayBuffer | string;
export type BlobData = Bytes | Blob | ReadableStream<Bytes> | AsyncIterable<Bytes>;

export interface BlobOptions {
  /** Media type; `application/octet-stream` unless given. */
  readonly type?: string | undefined;
  /** Bytes, where they are known beforehand. */
  readonly size?: number | undefined;
  /** What other stores want to be told; here a record is always stored after its bytes. */
  readonly saveBeforeCommit?: boolean | undefined;
  readonly compress?: boolean | undefined;
  readonly flush?: boolean | undefined;
}

/** What both kinds of blobs offer, after the web's `Blob`. */
abstract class ReadableBytes {
  abstract stream(): ReadableStream<Uint8Array>;

  async bytes(): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of this.stream()) chunks.push(chunk);
    return Buffer.concat(chunks);
  }
  async arrayBuffer(): Promise<ArrayBuffer> {
    const bytes = await this.bytes();
    return new Uint8Array(bytes).buffer;
  }
  async text(): Promise<string> {
    return Buffer.from(await this.bytes()).toString('utf8');
  }
  async json(): Promise<unknown> {
    return JSON.parse(await this.text()) as unknown;
  }
}

type BlobEvent = 'error' | 'size';

export class CreatedBlob extends ReadableBytes {
  readonly type: string;
  /** `undefined` until all bytes have come. */
  size: number | undefined;
  readonly #data: BlobData;
  readonly #listeners: [BlobEvent, (value: unknown) => void][] = [];
  #draft: BodyDraft | undefined;
  #whole: Promise<StoredBlob> | undefined;

  constructor(data: BlobData, options: BlobOptions = {}) {
    super();
    this.#data = data;
    this.type = options.type ?? (data instanceof Blob && data.type !== '' ? data.type : BYTES);
    this.size = options.size;
  }

  on(event: BlobEvent, listener: (value: unknown) => void): this {
    this.#listeners.push([event, listener]);
    return this;
  }

  /** What has come so far, and then what comes. */
  stream(): ReadableStream<Uint8Array> {
    void this.store().catch(() => undefined);
    const draft = this.#draft;
    if (draft === undefined) throw notOpen();
    return streamOf(draft.read());
  }

  /** Resolves when the bytes are in their file; begins once, however often it is called. */
  store(): Promise<StoredBlob> {
    this.#whole ??= this.#store();
    return this.#whole;
  }

  async #store(): Promise<StoredBlob> {
    const { bodies } = threadScope();
    if (bodies === undefined) throw notOpen();
    const draft = bodies.store.create('client');
    this.#draft = draft;
    try {
      for await (const chunk of chunksOf(this.#data)) {
        if (draft.length + chunk.length > LIMITS.uploadBytesMax) throw tooLarge();
        for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
          if (!draft.write(chunk.subarray(at, at + PIECE_BYTES))) await draft.drained();
        }
      }
      const body = await draft.finish({ durable: bodies.flushes });
      this.size = body.length;
      this.#tell('size', body.length);
      return { contentType: this.type, body, entityTag: bodies.tagOf(body) };
    } catch (error) {
      draft.discard();
      this.#tell('error', error);
      throw error;
    }
  }

  #tell(event: BlobEvent, value: unknown): void {
    for (const [wanted, listener] of this.#listeners) if (wanted === event) listener(value);
  }

  toJSON(): never {
    throw new TypeError(
      'a blob made by createBlob() is the value of a Blob attribute; its bytes are no JSON',
    );
  }
}

/** Bytes for a `Blob` attribute. */
export const createBlob = (data: BlobData, options?: BlobOptions): CreatedBlob =>
  new CreatedBlob(data, options);

/** The bytes of a record's attribute; as an object it is the reference which stands there. */
export class HeldBlob extends ReadableBytes {
  readonly contentType: string;
  readonly size: number;
  readonly etag: string;
  readonly href: unknown;
  readonly #blob: StoredBlob;

  constructor(reference: object, blob: StoredBlob) {
    super();
    this.contentType = blob.contentType;
    this.size = blob.body.length;
    this.etag = blob.entityTag;
    this.href = 'href' in reference ? reference.href : undefined;
    this.#blob = blob;
  }

  get type(): string {
    return this.#blob.contentType;
  }

  stream(): ReadableStream<Uint8Array> {
    const reader = threadScope().bodies?.store.open(this.#blob.body);
    if (reader === undefined) {
      const message = `the stored bytes ${this.#blob.body.name} are gone: write them again`;
      throw new NodeError('STORE_FAILED', message);
    }
    return streamOf(reader);
  }
}

const BYTES = 'application/octet-stream';
const PIECE_BYTES = 64 * 1024;

/** What a thread lends to blobs. */
export interface BlobHome {
  readonly store: BodyStore;
  readonly flushes: boolean;
  readonly tagOf: (body: StoredBlob['body']) => StoredBlob['entityTag'];
}

async function* chunksOf(data: BlobData): AsyncGenerator<Uint8Array> {
  if (data instanceof Blob) yield* data.stream() as unknown as AsyncIterable<Uint8Array>;
  else if (typeof data === 'string' || data instanceof ArrayBuffer || data instanceof Uint8Array) {
    yield bytesOf(data);
  } else for await (const chunk of data as AsyncIterable<Bytes>) yield bytesOf(chunk);
}

function bytesOf(chunk: Bytes): Uint8Array {
  if (typeof chunk === 'string') return Buffer.from(chunk);
  if (chunk instanceof Uint8Array) return chunk;
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk);
  throw new TypeError(`createBlob takes bytes and texts, not ${typeof chunk}`);
}

function streamOf(reader: BodyReader): ReadableStream<Uint8Array> {
  let offset = 0;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const bytes = await reader.read(offset, PIECE_BYTES);
          if (bytes.length === 0) {
            reader.close();
            controller.close();
            return;
          }
          offset += bytes.length;
          controller.enqueue(Uint8Array.prototype.slice.call(bytes));
        } catch (error) {
          reader.close();
          controller.error(error);
        }
      },
      cancel: () => reader.close(),
    },
    { highWaterMark: 0 },
  );
}

const notOpen = (): Error => new Error('bytes are written before the node has opened its store');

const tooLarge = (): NodeError =>
  new NodeError('BODY_TOO_LARGE', `a blob has at most ${LIMITS.uploadBytesMax} bytes`, {
    blame: 'client',
  });

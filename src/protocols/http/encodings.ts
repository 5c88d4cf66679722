/**
 * Compressed answers of a table: records from forms which are kept in the store, collections as
 * they are sent. Which codings, and from what size on, is the policy's to say.
 */
import type { Clock } from '../../base/clock.ts';
import type { Limit } from '../../base/limit.ts';
import { EncodedBodies } from '../../table/encoded-bodies.ts';
import type { StoreReader, StoreWriter } from '../../table/store-port.ts';
import type { Table } from '../../table/table.ts';
import { prefersCoding } from './accept.ts';
import { type Coding, compress, HAS_ZSTD } from './codings.ts';
import { CompressedWriter } from './compressed-writer.ts';
import type { BodyWriter, Exchange, HeaderList } from './port.ts';

export interface Encodings {
  /** In the order of preference among equals. */
  readonly offered: readonly Coding[];
  /** Smaller bodies are not worth it. */
  readonly minBytes: number;
  readonly bodies: EncodedBodies<Coding>;
  /** Compressions at a time of one thread. */
  readonly limit: Limit;
  /** Answers being compressed as they stream. */
  streams: number;
}

export interface EncodingParts {
  readonly reader: StoreReader;
  readonly writer: StoreWriter;
  readonly clock: Clock;
  readonly limit: Limit;
}

/** Two at a time leave the other threads of zlib's pool to files and names. */
export const COMPRESSIONS = { name: 'compression', concurrency: 2, queueMax: 32 } as const;
/** Answers compressed as they stream, a table and thread; one more goes out as it is. */
const STREAMS_MAX = 16;
const BINARY = /^(?:image|audio|video|font)\/|^application\/(?:zip|gzip|zstd|pdf|wasm)\b/;

/** `undefined` when the policy wants none. */
export function createEncodings(table: Table, parts: EncodingParts): Encodings | undefined {
  const { compress: wanted, minBytesToCompress } = table.policy.settings.store;
  const offered: Coding[] = [...wanted];
  if (offered.length === 0) return undefined;
  if (HAS_ZSTD) offered.splice(1, 0, 'zstd');
  const bodies = new EncodedBodies<Coding>({ ...parts, table: table.name, compress });
  return { offered, minBytes: minBytesToCompress, bodies, limit: parts.limit, streams: 0 };
}

/** Whether bytes of this type shrink. */
export const isCompressible = (contentType: string): boolean => !BINARY.test(contentType);

/** The coding to answer with, if this body deserves one and the client takes one. */
export function codingFor(
  encodings: Encodings | undefined,
  exchange: Exchange,
  contentType: string,
  bytes: number,
): Coding | undefined {
  if (encodings === undefined || bytes < encodings.minBytes) return undefined;
  const accepted = exchange.request.header('accept-encoding');
  if (accepted === undefined || !isCompressible(contentType)) return undefined;
  return prefersCoding(accepted, encodings.offered);
}

/** Answers 200 with a body of known size, compressed when there is a slot for it. */
export async function replyCompressed(
  exchange: Exchange,
  headers: HeaderList,
  body: Uint8Array,
  { limit }: Encodings,
  coding: Coding,
): Promise<number> {
  const encoded = await limit.run(() => compress(coding, body)).catch(() => undefined);
  if (encoded === undefined || encoded.length >= body.length) {
    exchange.reply(200, headers, body);
    return body.length;
  }
  exchange.reply(200, [...headers, 'content-encoding', coding], encoded);
  return encoded.length;
}

/** Begins a streamed answer, compressed unless too many of this table are at it. */
export function streamCompressed(
  exchange: Exchange,
  headers: HeaderList,
  encodings: Encodings | undefined,
  coding: Coding | undefined,
): BodyWriter {
  if (encodings === undefined || coding === undefined || encodings.streams >= STREAMS_MAX) {
    return exchange.stream(200, headers);
  }
  encodings.streams += 1;
  return CompressedWriter.open(exchange, headers, coding, () => {
    encodings.streams -= 1;
  });
}

/** Bytes that are read in pieces, and sent no faster than the client takes them. */
import type { FileHandle } from 'node:fs/promises';
import type { BodyWriter, Exchange, HeaderList } from './port.ts';

const PIECE_BYTES = 64 * 1024;

export interface ByteSource {
  readonly length: number;
  /**
   * At most `max` bytes from `offset`, good until the next reading; empty when the source has ended
   * before its length. Rejects when it cannot be read.
   */
  read(offset: number, max: number): Promise<Uint8Array>;
}

/** Bytes of a source, or text between them. */
export type Segment = { readonly first: number; readonly bytes: number } | string;

export function fileSource(handle: FileHandle, length: number): ByteSource {
  const piece = Buffer.allocUnsafe(Math.min(length, PIECE_BYTES));
  return {
    length,
    async read(offset, max) {
      const wanted = Math.min(piece.length, max);
      const { bytesRead } = await handle.read(piece, 0, wanted, offset);
      return piece.subarray(0, bytesRead);
    },
  };
}

export function memorySource(bytes: Uint8Array): ByteSource {
  return {
    length: bytes.length,
    read: (offset, max) => Promise.resolve(bytes.subarray(offset, offset + max)),
  };
}

/** Answers with the segments one after the other; a source that fails meanwhile cuts the answer. */
export async function sendSegments(
  exchange: Exchange,
  status: number,
  headers: HeaderList,
  source: ByteSource,
  segments: readonly Segment[],
): Promise<void> {
  const length = segments.reduce((sum, segment) => sum + segmentBytes(segment), 0);
  const writer = exchange.stream(status, headers, length);
  if (exchange.request.method === 'HEAD' || length === 0) return;
  for (const segment of segments) {
    if (typeof segment === 'string') writer.write(segment);
    else if (!(await sendBytes(writer, source, segment))) return;
  }
  writer.end();
}

/** False when the client has gone or the source ended early. */
async function sendBytes(
  writer: BodyWriter,
  source: ByteSource,
  { first, bytes }: { readonly first: number; readonly bytes: number },
): Promise<boolean> {
  let sent = 0;
  while (sent < bytes) {
    const piece = await source.read(first + sent, bytes - sent).catch(() => undefined);
    if (piece === undefined || piece.length === 0) {
      writer.destroy();
      return false;
    }
    sent += piece.length;
    // The writer copies what must wait, so the source may use the piece again.
    if (!writer.write(piece)) await writer.drained();
    if (writer.aborted) return false;
  }
  return true;
}

function segmentBytes(segment: Segment): number {
  return typeof segment === 'string' ? Buffer.byteLength(segment) : segment.bytes;
}

/** Sends parts of an open file, in pieces and no faster than the client takes them. */
import type { FileHandle } from 'node:fs/promises';
import type { BodyWriter, Exchange, HeaderList } from './port.ts';

const PIECE_BYTES = 64 * 1024;

/** Bytes of the file, or text between them. */
export type FileSegment = { readonly first: number; readonly bytes: number } | string;

/** Answers with the segments one after the other; a file that shrinks meanwhile cuts the answer. */
export async function sendSegments(
  exchange: Exchange,
  status: number,
  headers: HeaderList,
  handle: FileHandle,
  segments: readonly FileSegment[],
): Promise<void> {
  const length = segments.reduce((sum, segment) => sum + segmentBytes(segment), 0);
  const writer = exchange.stream(status, headers, length);
  if (exchange.request.method === 'HEAD' || length === 0) return;
  const piece = Buffer.allocUnsafe(Math.min(length, PIECE_BYTES));
  for (const segment of segments) {
    if (typeof segment === 'string') writer.write(segment);
    else if (!(await sendBytes(writer, handle, segment, piece))) return;
  }
  writer.end();
}

/** False when the client has gone or the file ended early. */
async function sendBytes(
  writer: BodyWriter,
  handle: FileHandle,
  { first, bytes }: { readonly first: number; readonly bytes: number },
  piece: Buffer,
): Promise<boolean> {
  let sent = 0;
  while (sent < bytes) {
    const wanted = Math.min(piece.length, bytes - sent);
    const { bytesRead } = await handle.read(piece, 0, wanted, first + sent).catch(() => ended);
    if (bytesRead === 0) {
      writer.destroy();
      return false;
    }
    sent += bytesRead;
    // The writer copies what must wait, so the piece can be filled again.
    if (!writer.write(piece.subarray(0, bytesRead))) await writer.drained();
    if (writer.aborted) return false;
  }
  return true;
}

const ended = { bytesRead: 0 };

function segmentBytes(segment: FileSegment): number {
  return typeof segment === 'string' ? Buffer.byteLength(segment) : segment.bytes;
}

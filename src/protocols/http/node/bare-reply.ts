/** Answers on connections that node:http has let go of: failed parses and refused handshakes. */
import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { problemFields, refusalBody, refusalStatus } from '../faults.ts';
import type { Refusal } from '../framing.ts';

/** Time for the client to read the answer, milliseconds. */
const GRACE_MS = 1_000;

/** Answers on the bare connection and closes it. */
export function writeBareRefusal(socket: Duplex, refusal: Refusal, graceMs = GRACE_MS): void {
  const status = refusalStatus(refusal);
  const headers = [...problemFields, ...(refusal.headers ?? [])];
  writeBareReply(socket, status, headers, refusalBody(refusal), graceMs);
}

/** One whole answer on a connection that node:http no longer owns, which then ends. */
export function writeBareReply(
  socket: Duplex,
  status: number,
  headers: readonly string[],
  body: string | Uint8Array,
  graceMs = GRACE_MS,
): void {
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Status'}`];
  for (let i = 0; i + 1 < headers.length; i += 2) lines.push(`${headers[i]}: ${headers[i + 1]}`);
  lines.push(`content-length: ${Buffer.byteLength(body)}`, 'connection: close', '', '');
  socket.write(Buffer.from(lines.join('\r\n'), 'latin1'));
  socket.end(body);
  setTimeout(() => socket.destroy(), graceMs).unref();
}

/**
 * Two connections joined after an upgrade: the bytes of each go to the other as they are, at the
 * pace of the slower, until both have ended or one has broken.
 */
import type { Duplex } from 'node:stream';
import { checkHeaders } from '../header-safety.ts';
import type { HeaderList } from '../port.ts';

/** Milliseconds which one side has to end, once the other has gone. */
const ENDING_MS = 5_000;
/** A silent peer is asked for a sign of life after so many milliseconds. */
const KEEP_ALIVE_MS = 30_000;

/** Answers 101 and joins the connections; `head`: what the client has sent behind its request. */
export function joinConnections(
  client: Duplex,
  head: Uint8Array,
  origin: Duplex,
  headers: HeaderList,
): void {
  checkHeaders(headers);
  const lines = ['HTTP/1.1 101 Switching Protocols', 'connection: upgrade'];
  lines.push('upgrade: websocket');
  for (let i = 0; i + 1 < headers.length; i += 2) lines.push(`${headers[i]}: ${headers[i + 1]}`);
  client.write(Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'));
  if (head.length > 0) origin.write(head);
  watch(client, origin);
  watch(origin, client);
  client.pipe(origin);
  origin.pipe(client);
}

function watch(one: Duplex, other: Duplex): void {
  keepAlive(one);
  one.on('error', () => other.destroy());
  one.once('close', () => {
    // What was sent before an orderly end is still on its way.
    if (!one.readableEnded) other.destroy();
    else setTimeout(() => other.destroy(), ENDING_MS).unref();
  });
}

function keepAlive(connection: Duplex): void {
  if (!('setKeepAlive' in connection)) return;
  const socket = connection as Duplex & { setKeepAlive(on: boolean, ms: number): void };
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
}

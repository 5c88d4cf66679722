/** Bytes to a port and back, for what no client library would send. */
import { connect } from 'node:net';

/**
 * Sends `head` with `Connection: close` and the body; resolves with all that came back as latin1.
 */
export function sendRaw(base: string, head: string, body: string | Buffer = ''): Promise<string> {
  return sendBytes(base, Buffer.concat([headOf(head), Buffer.from(body)]));
}

const headOf = (head: string): Buffer => Buffer.from(`${head}Connection: close\r\n\r\n`, 'latin1');

/**
 * Sends bytes as they are; resolves when the node closes the connection. `halfClose`: no more come.
 */
export function sendBytes(
  base: string,
  bytes: Buffer,
  options: { readonly halfClose?: boolean } = {},
): Promise<string> {
  const { hostname, port } = new URL(base);
  return new Promise((resolve) => {
    let received = '';
    const socket = connect(Number(port), hostname, () => {
      if (options.halfClose === true) socket.end(bytes);
      else socket.write(bytes);
    });
    socket.setEncoding('latin1').on('data', (text: string) => {
      received += text;
    });
    // A node that closes early may reset the connection; what it said before counts.
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(received));
  });
}

/** The status of an answer, 0 when the connection was closed without one. */
export const rawStatus = (answer: string): number =>
  Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0);

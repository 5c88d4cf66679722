/**
 * A connection on which a test sends bytes when it likes, and sees what comes back and when it
 * ends; for slow, rude and hostile clients. `from`: another of this machine's loopback addresses,
 * which stands for another client.
 */
import { connect, type Socket } from 'node:net';

export class RawConnection {
  readonly socket: Socket;
  text = '';
  ended = false;
  /** Why it could not be opened, or was cut. */
  failure: string | undefined;

  constructor(base: string, from?: string) {
    const { hostname, port } = new URL(base);
    const place = { host: hostname, port: Number(port) };
    this.socket = connect(from === undefined ? place : { ...place, localAddress: from });
    this.socket.setEncoding('latin1').on('data', (text: string) => {
      this.text += text;
    });
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      this.failure = error.code;
    });
    this.socket.on('close', () => {
      this.ended = true;
    });
  }

  send(text: string | Buffer): void {
    if (this.socket.writable) this.socket.write(text, 'latin1' as BufferEncoding);
  }

  /** Statuses of the answers that came, in order. */
  get statuses(): number[] {
    return [...this.text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => Number(match[1]));
  }

  destroy(): void {
    this.socket.destroy();
  }
}

/** The head of a request, without the empty line that ends it. */
export const headOf = (line: string, fields: readonly string[] = []): string =>
  [`${line} HTTP/1.1`, 'Host: node.test', ...fields, ''].join('\r\n');

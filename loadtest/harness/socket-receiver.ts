/**
 * A WebSocket client that receives and checks, as cheaply as can be: frames are counted from their
 * heads, and of each only the sender's number is read. Every message carries `"n":<number>`; a
 * receiver must see numbers in order, none twice, and end at the last.
 */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

const MARK = Buffer.from('"n":');
const HEAD_END = Buffer.from('\r\n\r\n');

export class SocketReceiver {
  /** Messages that carried a number. */
  received = 0;
  outOfOrder = 0;
  last = -1;
  /** Called for each message with its number. */
  onNumber: (number: number) => void = () => undefined;
  readonly #socket: Socket;
  #rest: Buffer = Buffer.alloc(0);
  #open = false;
  readonly #opened: () => void;

  private constructor(socket: Socket, opened: () => void) {
    this.#socket = socket;
    this.#opened = opened;
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => this.#receive(chunk));
  }

  /** Resolves after the handshake; rejects when the server refuses it. */
  static open(url: string, path: string): Promise<SocketReceiver> {
    const { hostname, port, host } = new URL(url);
    return new Promise((resolve, reject) => {
      const socket = connect({ host: hostname, port: Number(port) });
      const receiver: SocketReceiver = new SocketReceiver(socket, () => resolve(receiver));
      socket.once('close', () => reject(new Error(`${path}: the handshake failed`)));
      const key = randomBytes(16).toString('base64');
      socket.write(
        `GET ${path} HTTP/1.1\r\nhost: ${host}\r\nupgrade: websocket\r\nconnection: Upgrade\r\n` +
          `sec-websocket-key: ${key}\r\nsec-websocket-version: 13\r\n\r\n`,
      );
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    if (!this.#open) {
      const end = bytes.indexOf(HEAD_END);
      if (end < 0 || !bytes.toString('latin1', 0, 12).endsWith(' 101')) {
        this.#rest = bytes;
        return;
      }
      this.#open = true;
      this.#opened();
      bytes = bytes.subarray(end + HEAD_END.length);
    }
    this.#rest = this.#readFrames(bytes);
  }

  /** Reads whole frames, gives back what is left. A server's frames are not masked. */
  #readFrames(bytes: Buffer): Buffer {
    let at = 0;
    for (;;) {
      if (bytes.length - at < 2) return bytes.subarray(at);
      let length = (bytes[at + 1] ?? 0) & 0x7f;
      let head = 2;
      if (length === 126) {
        if (bytes.length - at < 4) return bytes.subarray(at);
        length = bytes.readUInt16BE(at + 2);
        head = 4;
      } else if (length === 127) {
        if (bytes.length - at < 10) return bytes.subarray(at);
        length = Number(bytes.readBigUInt64BE(at + 2));
        head = 10;
      }
      const end = at + head + length;
      if (bytes.length < end) return bytes.subarray(at);
      this.#message(bytes, at + head, end);
      at = end;
    }
  }

  #message(bytes: Buffer, from: number, end: number): void {
    const mark = bytes.indexOf(MARK, from);
    if (mark < 0 || mark >= end) return;
    let number = 0;
    for (let at = mark + MARK.length; at < end; at += 1) {
      const digit = (bytes[at] ?? 0) - 48;
      if (digit < 0 || digit > 9) break;
      number = number * 10 + digit;
    }
    this.received += 1;
    if (number <= this.last) this.outOfOrder += 1;
    this.last = Math.max(this.last, number);
    this.onNumber(number);
  }
}

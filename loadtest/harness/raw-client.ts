/**
 * A keep-alive HTTP client on a bare socket, one request at a time: cheap enough to fill a cache
 * with, and to hold hundreds of clients whose requests must leave at the same instant. It reads
 * what servers under test send (a length, or a status without body) and nothing more.
 */
import { connect, type Socket } from 'node:net';

export interface RawReply {
  readonly status: number;
  readonly head: string;
  readonly body: Buffer;
  /** From the request's first byte to the answer's last. */
  readonly ms: number;
}

interface Pending {
  readonly began: number;
  readonly resolve: (reply: RawReply) => void;
  readonly reject: (error: Error) => void;
}

const HEAD_END = Buffer.from('\r\n\r\n');

export class RawClient {
  readonly #socket: Socket;
  readonly #host: string;
  #received: Buffer = Buffer.alloc(0);
  #pending: Pending | undefined;
  #isOpen = true;

  private constructor(socket: Socket, host: string) {
    this.#socket = socket;
    this.#host = host;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => {
      this.#isOpen = false;
      this.#fail(new Error('connection closed'));
    });
  }

  static connect(url: string): Promise<RawClient> {
    const { hostname, port, host } = new URL(url);
    return new Promise((resolve, reject) => {
      const socket = connect({ host: hostname, port: Number(port) });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new RawClient(socket, host));
      });
    });
  }

  /** False once either side has closed it: servers close what has been idle for a while. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Sends one request; the answer to the one before must have come. Rejects when it is closed. */
  request(method: string, path: string, headers = '', body = ''): Promise<RawReply> {
    const length = body === '' ? '' : `content-length: ${Buffer.byteLength(body)}\r\n`;
    const head = `${method} ${path} HTTP/1.1\r\nhost: ${this.#host}\r\n${headers}${length}\r\n`;
    if (!this.#isOpen) return Promise.reject(new Error('connection closed'));
    return new Promise((resolve, reject) => {
      this.#pending = { began: performance.now(), resolve, reject };
      this.#socket.write(head + body);
    });
  }

  close(): void {
    this.#pending = undefined;
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const end = this.#received.indexOf(HEAD_END);
    const pending = this.#pending;
    if (end < 0 || pending === undefined) return;
    const head = this.#received.toString('latin1', 0, end);
    const status = Number(head.slice(9, 12));
    const bodyless = status === 304 || status === 204;
    const length = bodyless ? 0 : Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    const from = end + HEAD_END.length;
    if (this.#received.length < from + length) return;
    const body = Buffer.from(this.#received.subarray(from, from + length));
    this.#received = this.#received.subarray(from + length);
    this.#pending = undefined;
    pending.resolve({ status, head, body, ms: performance.now() - pending.began });
  }

  #fail(error: Error): void {
    this.#pending?.reject(error);
    this.#pending = undefined;
  }
}

export interface Batch {
  readonly url: string;
  readonly clients: number;
  readonly count: number;
  readonly request: (client: RawClient, index: number) => Promise<RawReply>;
}

/** Sends `count` requests over so many clients; gives the latencies. Fails on any 5xx. */
export async function sendAll(batch: Batch): Promise<number[]> {
  const latencies: number[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    const client = await RawClient.connect(batch.url);
    try {
      while (next < batch.count) {
        const index = next;
        next += 1;
        const reply = await batch.request(client, index);
        if (reply.status >= 500) throw new Error(`${reply.status}: ${reply.head}`);
        latencies.push(reply.ms);
      }
    } finally {
      client.close();
    }
  };
  await Promise.all(Array.from({ length: batch.clients }, work));
  return latencies;
}

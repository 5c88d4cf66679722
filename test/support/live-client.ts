/**
 * A client of `/live` (or of a resource's own path) for tests: says messages, keeps what it hears,
 * and waits for answers by their `ack`.
 */
import { WebSocket } from 'ws';
import { until } from './node-process.ts';

export type Heard = Readonly<Record<string, unknown>> & {
  readonly value?: Record<string, unknown>;
};

export interface Codec {
  readonly protocol: string | undefined;
  write(message: object): string | Uint8Array;
  read(bytes: Buffer): unknown;
}
const JSON_CODEC: Codec = {
  protocol: undefined,
  write: (message) => JSON.stringify(message),
  read: (bytes) => JSON.parse(bytes.toString()),
};

export class Live {
  readonly heard: Heard[] = [];
  readonly socket: WebSocket;
  closedWith: number | undefined;
  readonly #codec: Codec;
  #acks = 0;

  constructor(url: string, headers: Record<string, string> = {}, codec = JSON_CODEC) {
    this.#codec = codec;
    this.socket = new WebSocket(url, codec.protocol ?? [], { headers });
    this.socket.on('error', () => undefined);
    this.socket.on('close', (code) => {
      this.closedWith = code;
    });
    this.socket.on('message', (bytes) => this.heard.push(codec.read(bytes as Buffer) as Heard));
  }

  async opened(): Promise<this> {
    await until('the socket opens', () => this.socket.readyState === WebSocket.OPEN);
    return this;
  }
  say(message: object): void {
    this.socket.send(this.#codec.write(message));
  }
  /** Says it with an `ack` of its own, and resolves with the answer. */
  async ask(message: object): Promise<Heard> {
    this.#acks += 1;
    const ack = this.#acks;
    this.say({ ...message, ack });
    return this.next((one) => one.ack === ack);
  }
  async next(wanted: (one: Heard) => boolean): Promise<Heard> {
    await until('a message', () => this.heard.some(wanted));
    return this.heard.find(wanted) ?? {};
  }
}

/**
 * A subscriber of whatever protocol, as cheap as can be: it says its greeting, and then looks for
 * numbers in what comes, `"n":<number>`, without cutting it into messages. Numbers must come in
 * order, none twice. It can stop reading and go on.
 */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

/** How a protocol begins: what is said, and how the answer that it has begun ends. */
export interface Greeting {
  readonly says: Buffer;
  readonly began: (received: Buffer) => boolean;
  /** What is said once it has. */
  readonly adds?: Buffer | undefined;
}

const HEAD_END = '\r\n\r\n';
const MARK = Buffer.from('"n":');
/** A mark and its number, cut in two by the end of a chunk, are no longer. */
const CARRY_BYTES = 24;

export const webSocket = (host: string, path: string): Greeting => ({
  says: Buffer.from(
    `GET ${path} HTTP/1.1\r\nhost: ${host}\r\nupgrade: websocket\r\nconnection: Upgrade\r\n` +
      `sec-websocket-key: ${randomBytes(16).toString('base64')}\r\n` +
      `sec-websocket-version: 13${HEAD_END}`,
  ),
  began: (received) => received.includes(HEAD_END),
});

export const eventStream = (host: string, path: string): Greeting => ({
  says: Buffer.from(
    `GET ${path} HTTP/1.1\r\nhost: ${host}\r\naccept: text/event-stream${HEAD_END}`,
  ),
  began: (received) => received.includes('retry:'),
});

/** CONNECT of MQTT 3.1.1 and one SUBSCRIBE of QoS 0; the answers are CONNACK and SUBACK. */
export const mqtt = (topic: string): Greeting => ({
  says: Buffer.concat([mqttConnect(), subscribePacket(topic)]),
  began: (received) => received.length >= 9,
});

/** The same, subscribing once it is connected: nothing that comes is taken for the greeting. */
export const mqttWaiting = (topic: string): Greeting => ({
  says: mqttConnect(),
  began: (received) => received.length >= 4,
  adds: subscribePacket(topic),
});

export const nats = (subject: string): Greeting => ({
  says: Buffer.from(`CONNECT {"verbose":false}\r\nSUB ${subject} 1\r\nPING\r\n`),
  began: (received) => received.includes('PONG'),
});

export function mqttConnect(): Buffer {
  const id = `load-${randomBytes(6).toString('hex')}`;
  const body = Buffer.concat([text('MQTT'), Buffer.from([4, 2, 0, 0]), text(id)]);
  return Buffer.concat([Buffer.from([0x10, body.length]), body]);
}

/** A PUBLISH of QoS 0; at most 16 KiB. */
export function publishPacket(topic: string, payload: string): Buffer {
  const body = Buffer.concat([text(topic), Buffer.from(payload)]);
  const length = [(body.length & 0x7f) | (body.length > 127 ? 0x80 : 0), body.length >> 7];
  return Buffer.concat([Buffer.from([0x30, ...length.slice(0, body.length > 127 ? 2 : 1)]), body]);
}

function subscribePacket(topic: string): Buffer {
  const body = Buffer.concat([Buffer.from([0, 1]), text(topic), Buffer.from([0])]);
  return Buffer.concat([Buffer.from([0x82, body.length]), body]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]);
}

export class LiveReceiver {
  received = 0;
  outOfOrder = 0;
  last = -1;
  onNumber: (number: number) => void = () => undefined;
  readonly #socket: Socket;
  readonly #greeting: Greeting;
  #rest: Buffer = Buffer.alloc(0);
  #isOpen = false;
  #opened: () => void = () => undefined;

  private constructor(socket: Socket, greeting: Greeting) {
    this.#socket = socket;
    this.#greeting = greeting;
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => this.#receive(chunk));
  }

  /** Resolves when the subscription has begun; rejects when it is refused. */
  static open(port: number, greeting: Greeting): Promise<LiveReceiver> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port });
      const receiver = new LiveReceiver(socket, greeting);
      receiver.#opened = () => resolve(receiver);
      socket.once('close', () => reject(new Error('the subscription was refused')));
      socket.write(greeting.says);
    });
  }

  stall(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    if (!this.#isOpen) {
      this.#rest = bytes;
      if (!this.#greeting.began(bytes)) return;
      this.#isOpen = true;
      if (this.#greeting.adds !== undefined) this.#socket.write(this.#greeting.adds);
      this.#rest = Buffer.alloc(0);
      this.#opened();
      return;
    }
    const read = this.#readNumbers(bytes);
    this.#rest = bytes.subarray(Math.max(read, bytes.length - CARRY_BYTES));
  }

  /** Up to where everything was seen. */
  #readNumbers(bytes: Buffer): number {
    let read = 0;
    for (;;) {
      const mark = bytes.indexOf(MARK, read);
      if (mark < 0) return read;
      let at = mark + MARK.length;
      let number = 0;
      for (let digit = digitAt(bytes, at); digit >= 0; digit = digitAt(bytes, at)) {
        number = number * 10 + digit;
        at += 1;
      }
      // The rest of the number may be still to come.
      if (at >= bytes.length) return mark;
      read = at;
      this.#see(number);
    }
  }

  #see(number: number): void {
    this.received += 1;
    if (number <= this.last) this.outOfOrder += 1;
    this.last = Math.max(this.last, number);
    this.onNumber(number);
  }
}

function digitAt(bytes: Buffer, at: number): number {
  const digit = (bytes[at] ?? 0) - 48;
  return digit >= 0 && digit <= 9 ? digit : -1;
}

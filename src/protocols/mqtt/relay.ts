/**
 * Carries the bytes of a connection from the thread whose listener has its socket to the thread
 * where the server is, and back, over a message port. Bytes on their way to a client count as not
 * taken until the socket has taken them, so that a slow client is slow across threads too.
 */
import type { MessagePort } from 'node:worker_threads';
import { LIMITS } from '../../config/limits.ts';
import type { Accept, Channel, ChannelUser } from './channel.ts';

/** Who is at the other end. */
type Opened = Pick<Channel, 'remoteAddress' | 'certificate'>;

type ToServer =
  | ({ readonly kind: 'open'; readonly id: number } & Opened)
  | { readonly kind: 'data'; readonly id: number; readonly bytes: Uint8Array }
  /** So many bytes were taken by the socket. */
  | { readonly kind: 'taken'; readonly id: number; readonly count: number }
  | { readonly kind: 'gone'; readonly id: number };

type ToSocket =
  | { readonly kind: 'write'; readonly id: number; readonly bytes: Uint8Array }
  | { readonly kind: 'pause' | 'resume' | 'end'; readonly id: number };

/** On the listener's thread: what accepts its sockets. */
export function relayTo(port: MessagePort): Accept {
  const sockets = new Map<number, RelayedSocket>();
  let lastId = 0;
  port.on('message', (message: ToSocket) => sockets.get(message.id)?.obey(message));
  return (channel) => {
    lastId += 1;
    const id = lastId;
    const say = (message: ToServer) => port.postMessage(message);
    const socket = new RelayedSocket(id, channel, say, () => sockets.delete(id));
    sockets.set(id, socket);
    const { remoteAddress, certificate } = channel;
    say({ kind: 'open', id, remoteAddress, certificate });
    return socket;
  };
}

class RelayedSocket implements ChannelUser {
  readonly #id: number;
  readonly #channel: Channel;
  readonly #say: (message: ToServer) => void;
  readonly #forget: () => void;
  /** Written and not yet taken. */
  #waiting = 0;

  constructor(id: number, channel: Channel, say: (message: ToServer) => void, forget: () => void) {
    this.#id = id;
    this.#channel = channel;
    this.#say = say;
    this.#forget = forget;
  }

  obey(message: ToSocket): void {
    if (message.kind !== 'write') {
      this.#channel[message.kind]();
      return;
    }
    this.#waiting += message.bytes.length;
    if (this.#channel.write(message.bytes)) this.drained();
  }

  received(bytes: Buffer): void {
    this.#say({ kind: 'data', id: this.#id, bytes });
  }

  drained(): void {
    if (this.#waiting === 0) return;
    this.#say({ kind: 'taken', id: this.#id, count: this.#waiting });
    this.#waiting = 0;
  }

  gone(): void {
    this.#forget();
    this.#say({ kind: 'gone', id: this.#id });
  }
}

/** On the server's thread: has it serve what the other side accepts. */
export function serveRelayed(port: MessagePort, accept: Accept): void {
  const channels = new Map<number, RemoteChannel>();
  port.on('message', (message: ToServer) => {
    const { id, kind } = message;
    if (kind === 'open') {
      channels.set(id, new RemoteChannel(id, message, port, accept));
      return;
    }
    const channel = channels.get(id);
    if (kind === 'gone') channels.delete(id);
    channel?.hear(message);
  });
  // The other thread has ended, and its sockets with it.
  port.on('close', () => {
    for (const [id, channel] of channels) channel.hear({ kind: 'gone', id });
    channels.clear();
  });
}

class RemoteChannel implements Channel {
  readonly remoteAddress: string;
  readonly certificate: Opened['certificate'];
  readonly #id: number;
  readonly #port: MessagePort;
  readonly #user: ChannelUser;
  #untaken = 0;

  constructor(id: number, opened: Opened, port: MessagePort, accept: Accept) {
    this.#id = id;
    this.remoteAddress = opened.remoteAddress;
    this.certificate = opened.certificate;
    this.#port = port;
    this.#user = accept(this);
  }

  hear(message: ToServer): void {
    const user = this.#user;
    if (message.kind === 'data') user.received(Buffer.from(message.bytes));
    else if (message.kind === 'gone') user.gone();
    else if (message.kind === 'taken') {
      const wasFull = this.#isFull;
      this.#untaken -= message.count;
      if (wasFull && !this.#isFull) user.drained();
    }
  }

  get bufferedBytes(): number {
    return this.#untaken;
  }

  get #isFull(): boolean {
    return this.#untaken >= LIMITS.socketConflateBytesMax;
  }

  write(bytes: Uint8Array): boolean {
    this.#untaken += bytes.length;
    this.#say({ kind: 'write', id: this.#id, bytes });
    return !this.#isFull;
  }

  pause(): void {
    this.#say({ kind: 'pause', id: this.#id });
  }

  resume(): void {
    this.#say({ kind: 'resume', id: this.#id });
  }

  end(): void {
    this.#say({ kind: 'end', id: this.#id });
  }

  #say(message: ToSocket): void {
    this.#port.postMessage(message);
  }
}

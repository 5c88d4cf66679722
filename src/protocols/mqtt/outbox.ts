/**
 * Packets on their way to one client: those of a turn of the event loop leave together. Says when
 * there is no room, which is what makes a session wait in the log instead of a queue.
 */
import { LIMITS } from '../../config/limits.ts';
import type { Channel } from './channel.ts';
import type { Flushed, Turn } from './turn.ts';

export class Outbox implements Flushed {
  readonly #channel: Channel;
  readonly #turn: Turn;
  readonly #onRoom: () => void;
  /** The usual turn has one packet, for which no list is made. */
  #first: Buffer | undefined;
  #others: Buffer[] | undefined;
  #bytes = 0;
  #isAwaited = false;
  #hasRoom = true;
  /** Somebody was turned away, and waits for word of room. */
  #refused = false;

  constructor(channel: Channel, turn: Turn, onRoom: () => void) {
    this.#channel = channel;
    this.#turn = turn;
    this.#onRoom = onRoom;
  }

  /** Bytes that wait for the client. */
  get bufferedBytes(): number {
    return this.#bytes + this.#channel.bufferedBytes;
  }

  ready(): boolean {
    if (this.#hasRoom && this.#bytes < LIMITS.socketConflateBytesMax) return true;
    this.#refused = true;
    return false;
  }

  push(packet: Buffer): void {
    this.#bytes += packet.length;
    if (this.#first === undefined) this.#first = packet;
    else if (this.#others === undefined) this.#others = [this.#first, packet];
    else this.#others.push(packet);
    if (this.#isAwaited) return;
    this.#isAwaited = true;
    this.#turn.add(this);
  }

  turnEnded(): void {
    this.#isAwaited = false;
    this.flush();
  }

  flush(): void {
    const first = this.#first;
    if (first === undefined) return;
    const bytes = this.#others === undefined ? first : Buffer.concat(this.#others, this.#bytes);
    this.#first = undefined;
    this.#others = undefined;
    this.#bytes = 0;
    this.#hasRoom = this.#channel.write(bytes);
    this.#tellOfRoom();
  }

  drained(): void {
    this.#hasRoom = true;
    this.#tellOfRoom();
  }

  #tellOfRoom(): void {
    if (!this.#hasRoom || !this.#refused) return;
    this.#refused = false;
    this.#onRoom();
  }
}

/**
 * Packets on their way to one client: those of a turn of the event loop leave together. Says when
 * there is no room, which is what makes a session wait in the log instead of a queue.
 */
import { LIMITS } from '../../config/limits.ts';
import type { Channel } from './channel.ts';

export class Outbox {
  readonly #channel: Channel;
  readonly #onRoom: () => void;
  #packets: Buffer[] = [];
  #bytes = 0;
  #hasRoom = true;
  /** Somebody was turned away, and waits for word of room. */
  #refused = false;

  constructor(channel: Channel, onRoom: () => void) {
    this.#channel = channel;
    this.#onRoom = onRoom;
  }

  ready(): boolean {
    if (this.#hasRoom && this.#bytes < LIMITS.socketConflateBytesMax) return true;
    this.#refused = true;
    return false;
  }

  push(packet: Buffer): void {
    if (this.#packets.length === 0) queueMicrotask(() => this.flush());
    this.#packets.push(packet);
    this.#bytes += packet.length;
  }

  flush(): void {
    const [first] = this.#packets;
    if (first === undefined) return;
    const bytes = this.#packets.length === 1 ? first : Buffer.concat(this.#packets);
    this.#packets = [];
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

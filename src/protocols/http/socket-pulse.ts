/**
 * Whether the peer of a WebSocket is there. It is pinged again and again, and one that is silent
 * from one ping to the next is ended. One that reads slowly is not silent: it sees the ping only
 * once it has read all that went before, of which megabytes may be in the kernel, where nobody sees
 * them go. So a peer that ever let something wait has longer, until it has answered a ping that
 * came after.
 */
/** How many pings may stay unanswered while something waits for the peer, here or in the kernel. */
const FULL_PINGS_MAX = 3;
const BEHIND_PINGS_MAX = 8;

export class SocketPulse {
  #unanswered = 0;
  /** Bytes have waited for it since its last pong. */
  #isBehind = false;
  /** How many did at the last ping. */
  #waited = 0;

  /** Something came from it. */
  heard(): void {
    this.#unanswered = 0;
  }

  /** It has read what was sent before the ping. */
  ponged(): void {
    this.#unanswered = 0;
    this.#isBehind = false;
  }

  /** All that waited has left. */
  drained(): void {
    this.#unanswered = 0;
    this.#isBehind = true;
  }

  /** At each ping, with the bytes that wait for it: false when it is to be ended instead. */
  mayGoOn(waiting: number): boolean {
    if (waiting < this.#waited) this.#unanswered = 0;
    if (waiting > 0) this.#isBehind = true;
    this.#waited = waiting;
    if (this.#unanswered >= this.#pingsMax()) return false;
    this.#unanswered += 1;
    return true;
  }

  #pingsMax(): number {
    if (!this.#isBehind) return 1;
    return this.#waited > 0 ? FULL_PINGS_MAX : BEHIND_PINGS_MAX;
  }
}

/**
 * What a session has sent with QoS 1 or 2 and is not yet told of having arrived, in the order in
 * which it was sent; and the packet identifiers for it [MQTT5 §4.3, §4.4, §4.9].
 */
import { SparseMap } from '../../base/sparse-map.ts';
import type { Message } from './message.ts';
import type { QoS } from './publication.ts';

/** What this subscriber gets, and how. */
export interface Delivery {
  /** All of it: what its reader may see is looked at whenever it is sent [R9]. */
  readonly message: Message;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly subscriptionIds: readonly number[];
  /** Taken for a shared group: another member may get it in its stead. */
  readonly share?: Returning | undefined;
}

/** Takes back what a member did not acknowledge before its session ended [MQTT5 §4.8.2]. */
export interface Returning {
  giveBack(messages: readonly Message[]): void;
}

/** `publish`: waits for PUBACK or PUBREC; `release`: PUBREL was sent, waits for PUBCOMP. */
export type Stage = 'publish' | 'release';

export interface InFlight {
  readonly packetId: number;
  readonly delivery: Delivery;
  stage: Stage;
}

const PACKET_ID_MAX = 65_535;

export class Outgoing {
  readonly #inFlight = new SparseMap<number, InFlight>();
  #lastId = 0;

  get size(): number {
    return this.#inFlight.size;
  }

  /** Takes a delivery under a free identifier; the caller has looked at `size`. */
  add(delivery: Delivery): InFlight {
    const packetId = this.#freeId();
    const added: InFlight = { packetId, delivery, stage: 'publish' };
    this.#inFlight.set(packetId, added);
    return added;
  }

  /** Puts back what was in flight when the node stopped. */
  restore(inFlight: InFlight): void {
    this.#inFlight.set(inFlight.packetId, inFlight);
    this.#lastId = inFlight.packetId;
  }

  get(packetId: number): InFlight | undefined {
    return this.#inFlight.get(packetId);
  }

  /** It has arrived; false when there is none of that identifier. */
  done(packetId: number): boolean {
    return this.#inFlight.delete(packetId);
  }

  /** In the order in which they were sent: so are they sent again [MQTT5-4.6.0-1]. */
  all(): Iterable<InFlight> {
    return this.#inFlight.values();
  }

  #freeId(): number {
    for (let tries = 0; tries < PACKET_ID_MAX; tries += 1) {
      this.#lastId = this.#lastId >= PACKET_ID_MAX ? 1 : this.#lastId + 1;
      if (!this.#inFlight.has(this.#lastId)) return this.#lastId;
    }
    throw new Error('every packet identifier is in flight');
  }
}

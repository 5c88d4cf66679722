/**
 * A session: what a client subscribed to, what is in flight to and from it, and where in the log
 * it stands. It outlives its connection for its expiry interval (`SPEC.md`), and takes no more than
 * its client can: without room, or with a full window, its cursor stays where it is.
 */

import type { Verified } from '../../access/identity/verified.ts';
import type { EpochMs, Sequence } from '../../base/brands.ts';
import { SparseMap } from '../../base/sparse-map.ts';
import type { Guest } from './access.ts';
import { Consumer } from './dispatch.ts';
import type { Message } from './message.ts';
import { type Delivery, type InFlight, Outgoing, type Returning } from './outgoing.ts';
import type { MessageProperties, QoS } from './publication.ts';
import {
  encodePublish,
  type ProtocolLevel,
  plainPublish,
  type TopicAlias,
} from './publish-encoder.ts';
import { REASON, type Reason } from './reasons.ts';
import type { RetainedScan } from './retained-scan.ts';
import type { ShareGroup } from './share-group.ts';
import type { Subscription } from './subscription-tree.ts';
import type { Wishes } from './wishes.ts';

/** What a session needs of the connection that serves it. */
export interface Wire {
  readonly level: ProtocolLevel;
  /** Messages of QoS 1 and 2 which the client takes at once [MQTT5 §3.1.2.11.3]. */
  readonly receiveMaximum: number;
  /** Packets which the client takes, bytes [MQTT5 §3.1.2.11.4]. */
  readonly packetBytesMax: number;
  /** Bytes that wait for the client. */
  readonly bufferedBytes: number;
  /** Whether another packet may be sent now; who is refused is told by `Session.hasRoom`. */
  ready(): boolean;
  send(bytes: Buffer): void;
  release(packetId: number): void;
  readonly wishes: Wishes;
  /** Neither aliases nor wishes: its packets are those of all others of its level. */
  readonly isPlain: boolean;
  /** Where a message stands in the log, if it is a change and the client wants to know. */
  positionOf(message: Message): string | undefined;
  /** `undefined`: the topic is sent as it is. */
  aliasFor(topic: string): TopicAlias | undefined;
  /** The client was told of an alias. */
  aliasSent(topic: string, alias: number): void;
  close(reason: Reason, text: string): void;
}

export interface Will {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly delaySeconds: number;
  readonly expirySeconds: number | undefined;
  readonly properties: MessageProperties;
  /**
   * What its sender has signed in with, 'nobody' in particular; `undefined`: it is not known, as of
   * sessions that an older version has kept, and the will is not published after a start.
   */
  readonly sender: Verified | 'nobody' | undefined;
}

/** What a session asks of those who keep it. */
export interface SessionParts {
  readonly key: string;
  readonly clientId: string;
  /** The name of its principal; '' for anonymous ones. */
  readonly owner: string;
  /** Whom it and its subscriptions count against; '' while it is nobody who could leave it here. */
  readonly holder: string;
  readonly now: () => EpochMs;
  readonly onRoom: (session: Session) => void;
  readonly onLost: (session: Session) => void;
  readonly onSent: (message: Message) => void;
}

export class Session extends Consumer {
  readonly parts: SessionParts;
  readonly outgoing = new Outgoing();
  /**
   * Identifiers of QoS 2 messages received and not yet released [MQTT5-4.3.3-9], with whether they
   * are committed: only such are kept over a restart, since others will come again.
   */
  readonly received = new SparseMap<number, boolean>();
  readonly subscriptions = new Map<string, Subscription>();
  /** Shared groups of which it is a member, by the filter as written. */
  readonly groups = new SparseMap<string, ShareGroup>();
  /** Retained messages it is still to get. */
  readonly scans: RetainedScan[] = [];
  expirySeconds = 0;
  will: Will | undefined;
  /** Who it serves; `undefined` until its client is back after a start of the node. */
  guest: Guest | undefined;
  /** From where its client came last; '' after a start of the node. */
  address = '';
  #wire: Wire | undefined;
  readonly #onSent: (message: Message) => void;

  constructor(parts: SessionParts, cursor: Sequence) {
    super(cursor);
    this.parts = parts;
    this.#onSent = parts.onSent;
  }

  get isConnected(): boolean {
    return this.#wire !== undefined;
  }

  get wire(): Wire | undefined {
    return this.#wire;
  }

  /** Serves the session over a connection; what was in flight is sent again [MQTT5-4.4.0-1]. */
  connected(wire: Wire): void {
    this.#wire = wire;
    for (const { packetId, stage, delivery } of this.outgoing.all()) {
      if (stage === 'release') wire.release(packetId);
      else if (!this.#send(wire, delivery, packetId, true)) this.outgoing.done(packetId);
    }
  }

  disconnected(): void {
    this.#wire = undefined;
  }

  take(message: Message, matched: readonly Subscription[]): boolean {
    return this.deliver(message, matched, false);
  }

  /** A retained message at the beginning of a subscription [MQTT5-3.3.1-8]. */
  takeRetained(message: Message, subscription: Subscription): boolean {
    return this.deliver(message, [subscription], true);
  }

  /** What its principal may see of a message [R9]. */
  seen(message: Message): Message | undefined {
    if (message.parts.isSystem === true) {
      return this.guest?.maySeeSystem() === true ? message : undefined;
    }
    return message.parts.isOfCode === true ? message : this.guest?.seen(message);
  }

  lost(): void {
    this.parts.onLost(this);
  }

  /** Whether a message of that QoS could be sent now. */
  hasRoomFor(qos: QoS): boolean {
    const wire = this.#wire;
    if (wire === undefined) return false;
    if (qos > 0 && this.outgoing.size >= wire.receiveMaximum) return false;
    return wire.ready();
  }

  deliver(
    message: Message,
    matched: readonly Subscription[],
    retained: boolean,
    share?: Returning,
  ): boolean {
    const wire = this.#wire;
    const [only] = matched;
    // Nearly all deliveries are alike, and many: this way allocates nothing.
    if (wire?.isPlain === true && matched.length === 1 && only !== undefined) {
      if (isPlain(only) && message.neverExpires)
        return this.#sendPlain(wire, message, only, retained);
    }
    return this.#deliverOwn(message, matched, retained, share);
  }

  #sendPlain(wire: Wire, message: Message, filter: Subscription, retained: boolean): boolean {
    const seen = this.seen(message);
    if (seen === undefined) return true;
    if (!wire.ready()) return false;
    const retain = retained || (filter.retainAsPublished && seen.parts.isState);
    const packet = plainPublish(seen, wire.level, retain);
    // [MQTT5-3.1.2-25]
    if (packet.length > wire.packetBytesMax) return true;
    wire.send(packet);
    this.#onSent(seen);
    return true;
  }

  #deliverOwn(
    message: Message,
    matched: readonly Subscription[],
    retained: boolean,
    share: Returning | undefined,
  ): boolean {
    const wanted = this.#wanted(message, matched);
    if (wanted === undefined || message.isExpired(this.parts.now())) return true;
    if (this.seen(message) === undefined) return true;
    const delivery = deliveryOf(message, wanted, retained, share);
    if (!this.hasRoomFor(delivery.qos)) return false;
    const wire = this.#wire;
    if (wire === undefined) return false;
    const packetId = delivery.qos === 0 ? 0 : this.outgoing.add(delivery).packetId;
    // [MQTT5-3.1.2-25]: what is too large for the client counts as delivered.
    if (!this.#send(wire, delivery, packetId, false) && packetId > 0) this.outgoing.done(packetId);
    return true;
  }

  /** The subscriptions for which this session is to get the message; `undefined`: for none. */
  #wanted(message: Message, matched: readonly Subscription[]): readonly Subscription[] | undefined {
    if (!matched.some(({ noLocal }) => noLocal)) return matched;
    // [MQTT5-3.8.3-3]
    if (message.facts?.publisher !== this.parts.key) return matched;
    const wanted = matched.filter(({ noLocal }) => !noLocal);
    return wanted.length === 0 ? undefined : wanted;
  }

  /** False: there is nothing of it that its client may see and takes. */
  #send(wire: Wire, delivery: Delivery, packetId: number, dup: boolean): boolean {
    const { qos, retain, subscriptionIds } = delivery;
    const message = this.seen(delivery.message);
    if (message === undefined) return false;
    const { topic } = message.parts;
    const alias = wire.aliasFor(topic);
    const { level, wishes } = wire;
    const position = wire.positionOf(message);
    // Written out: a copy by a spread costs as much again, for each delivery.
    const form = {
      level,
      qos,
      retain,
      dup: dup && qos > 0,
      packetId,
      alias,
      subscriptionIds,
      wishes,
      position,
    };
    const packet = encodePublish(message, form, this.parts.now());
    if (packet.length > wire.packetBytesMax) return false;
    wire.send(packet);
    if (alias?.isKnown === false) wire.aliasSent(topic, alias.alias);
    this.#onSent(message);
    return true;
  }

  /** PUBACK, or PUBREC with an error: it has arrived, or is not wanted. False: not in flight. */
  acknowledged(packetId: number): boolean {
    if (!this.outgoing.done(packetId)) return false;
    this.hasRoom();
    return true;
  }

  /** PUBREC: the message has arrived and is released [MQTT5-4.3.3-4]. */
  wasReceived(packetId: number): InFlight | undefined {
    const inFlight = this.outgoing.get(packetId);
    if (inFlight !== undefined) inFlight.stage = 'release';
    return inFlight;
  }

  /** There is room again, in the window or in the socket. */
  hasRoom(): void {
    this.parts.onRoom(this);
  }

  end(reason: Reason = REASON.administrativeAction, text = ''): void {
    this.#wire?.close(reason, text);
  }
}

const isPlain = ({ qos, id, noLocal }: Subscription): boolean =>
  qos === 0 && id === undefined && !noLocal;

function deliveryOf(
  message: Message,
  matched: readonly Subscription[],
  retained: boolean,
  share: Returning | undefined,
): Delivery {
  let granted: QoS = 0;
  let asPublished = false;
  let subscriptionIds: number[] | undefined;
  for (const { qos, retainAsPublished, id } of matched) {
    // [MQTT5-3.3.4-2]: one copy, of the highest QoS.
    if (qos > granted) granted = qos;
    asPublished ||= retainAsPublished;
    if (id !== undefined) {
      subscriptionIds ??= [];
      subscriptionIds.push(id);
    }
  }
  const published = message.facts?.qos ?? granted;
  return {
    message,
    qos: Math.min(granted, published) as QoS,
    retain: retained || (asPublished && message.parts.isState),
    subscriptionIds: subscriptionIds ?? NONE,
    share,
  };
}

const NONE: readonly number[] = [];

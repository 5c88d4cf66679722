/**
 * A client that has signed in, as its packets' handlers see it: its session, its principal, what it
 * may have in flight, and the ways to answer it.
 */

import type { Packet } from 'mqtt-packet';
import type { Sequence } from '../../base/brands.ts';
import { SparseMap } from '../../base/sparse-map.ts';
import { LIMITS } from '../../config/limits.ts';
import type { Guest } from './access.ts';
import { AnswerQueue } from './answer-queue.ts';
import { encodePacket } from './codec.ts';
import type { Message } from './message.ts';
import type { Outbox } from './outbox.ts';
import type { ProtocolLevel, TopicAlias } from './publish-encoder.ts';
import type { Publisher } from './publisher.ts';
import type { Reason } from './reasons.ts';
import type { Session, Wire } from './session.ts';
import type { Wishes } from './wishes.ts';

export interface ClientParts {
  readonly level: ProtocolLevel;
  readonly guest: Guest;
  readonly session: Session;
  readonly outbox: Outbox;
  readonly receiveMaximum: number;
  readonly packetBytesMax: number;
  readonly topicAliasMaximum: number;
  /** Whether reason strings may be told [MQTT5 §3.1.2.11.7]. */
  readonly wantsReasons: boolean;
  /** Expiry which CONNECT asked for: DISCONNECT may not raise it from 0. */
  readonly askedExpirySeconds: number;
  readonly wishes: Wishes;
  readonly positionOfChange: (at: Sequence) => string;
  /** Says it to the stream of application code which the client follows at that topic. */
  readonly sayToCode: (topic: string, message: unknown) => boolean;
  readonly close: (reason: Reason, text: string) => void;
}

export class Client implements Wire {
  readonly level: ProtocolLevel;
  readonly session: Session;
  readonly guest: Guest;
  readonly wishes: Wishes;
  readonly receiveMaximum: number;
  readonly packetBytesMax: number;
  readonly askedExpirySeconds: number;
  readonly isPlain: boolean;
  readonly answers = new AnswerQueue();
  /** Topics by the aliases which the client has given them [MQTT5 §3.3.2.3.4]. */
  readonly topicsByAlias = new SparseMap<number, string>();
  /** Publishes of QoS 1 under way, and bytes of all that are. */
  publishesUnderWay = 0;
  publishBytesUnderWay = 0;
  readonly #aliases = new SparseMap<string, number>();
  readonly #parts: ClientParts;
  /** Asked for each delivery. */
  readonly #outbox: Outbox;

  constructor(parts: ClientParts) {
    this.#parts = parts;
    this.#outbox = parts.outbox;
    this.level = parts.level;
    this.session = parts.session;
    this.guest = parts.guest;
    this.wishes = parts.wishes;
    this.receiveMaximum = Math.min(parts.receiveMaximum, LIMITS.mqttSendMaximum);
    this.packetBytesMax = parts.packetBytesMax;
    this.askedExpirySeconds = parts.askedExpirySeconds;
    this.isPlain =
      this.wishes.format === undefined && !this.wishes.position && parts.topicAliasMaximum === 0;
  }

  get publisher(): Publisher {
    const { sayToCode } = this.#parts;
    return { guest: this.guest, sessionKey: this.session.parts.key, sayToCode };
  }

  positionOf({ parts: { sequence } }: Message): string | undefined {
    if (!this.wishes.position || sequence === undefined) return undefined;
    return this.#parts.positionOfChange(sequence);
  }

  get bufferedBytes(): number {
    return this.#outbox.bufferedBytes;
  }

  ready(): boolean {
    return this.#outbox.ready();
  }

  send(bytes: Buffer): void {
    this.#outbox.push(bytes);
  }

  answer(packet: Packet): void {
    this.send(encodePacket(packet, this.level));
  }

  release(packetId: number): void {
    this.answer({ cmd: 'pubrel', messageId: packetId, reasonCode: 0 });
  }

  close(reason: Reason, text: string): void {
    this.#parts.close(reason, text);
  }

  /** The reason string of an answer, where the client wants to know. */
  reasonString(text: string): { readonly properties?: { readonly reasonString: string } } {
    const isTold = this.level === 5 && this.#parts.wantsReasons && text !== '';
    return isTold ? { properties: { reasonString: text } } : {};
  }

  aliasFor(topic: string): TopicAlias | undefined {
    const max = Math.min(this.#parts.topicAliasMaximum, LIMITS.mqttTopicAliasMaximum);
    if (max === 0) return undefined;
    const known = this.#aliases.get(topic);
    if (known !== undefined) return { alias: known, isKnown: true };
    if (this.#aliases.size >= max) return undefined;
    return { alias: this.#aliases.size + 1, isKnown: false };
  }

  aliasSent(topic: string, alias: number): void {
    this.#aliases.set(topic, alias);
  }
}

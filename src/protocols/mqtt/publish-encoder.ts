/**
 * PUBLISH packets for subscribers. A packet that many get alike is encoded once; for QoS 1 and 2
 * the packet identifier is written into a copy, since nothing else differs. What is one
 * subscriber's own (identifiers of subscriptions, topic aliases, what is left of an expiry) is
 * encoded for it.
 */
import { generate, type IPublishPacket } from 'mqtt-packet';
import type { EpochMs } from '../../base/brands.ts';
import type { Message } from './message.ts';
import { inFormat } from './payload-format.ts';
import type { QoS } from './publication.ts';
import { withUserProperties } from './user-properties.ts';
import { NO_WISHES, POSITION_PROPERTY, type Wishes } from './wishes.ts';

export type ProtocolLevel = 3 | 4 | 5;

/** A topic alias for the receiver: `isKnown` when the topic itself need not be sent again. */
export interface TopicAlias {
  readonly alias: number;
  readonly isKnown: boolean;
}

export interface PublishForm {
  readonly level: ProtocolLevel;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly dup: boolean;
  /** 0 for QoS 0. */
  readonly packetId: number;
  readonly alias: TopicAlias | undefined;
  readonly subscriptionIds: readonly number[];
  readonly wishes: Wishes;
  /** Where the change stands, if the client wants to know and it is one. */
  readonly position: string | undefined;
}

/** Of QoS 0, as every subscriber of that level without wishes of its own gets it. */
export function plainPublish(message: Message, level: ProtocolLevel, retain: boolean): Buffer {
  const known = message.encoded.get((retain ? RETAIN_BIT : 0) | (level === 5 ? LEVEL_5_BIT : 0));
  if (known !== undefined) return known;
  const common = { level, qos: 0, retain, dup: false, packetId: 0 } as const;
  const own = { alias: undefined, subscriptionIds: [], wishes: NO_WISHES, position: undefined };
  return encodePublish(message, { ...common, ...own }, message.parts.at);
}

const RETAIN_BIT = 4;
const LEVEL_5_BIT = 16;

export function encodePublish(message: Message, form: PublishForm, now: EpochMs): Buffer {
  if (isOwn(message, form)) return generated(message, form, now);
  const { level, qos, retain, dup, position, wishes } = form;
  // A number in all but the rare case: this is asked for each delivery.
  const bits =
    qos |
    (retain ? RETAIN_BIT : 0) |
    (dup ? 8 : 0) |
    (level === 5 ? LEVEL_5_BIT : 0) |
    (position ? 32 : 0);
  const { format } = wishes;
  const key = format === undefined ? bits : `${bits} ${format.contentType}`;
  let shared = message.encoded.get(key);
  if (shared === undefined) {
    shared = generated(message, { ...form, packetId: 1 }, now);
    message.encoded.set(key, shared);
  }
  return qos === 0 ? shared : withPacketId(shared, form.packetId);
}

function generated(message: Message, form: PublishForm, now: EpochMs): Buffer {
  const { level, position } = form;
  const packet = generate(packetOf(message, form, now), { protocolVersion: level });
  const given = message.facts?.properties.userProperties ?? [];
  // Behind those of its publisher, which go on as they are [MQTT5-3.3.2-17, 3.3.2-18].
  const all = position === undefined ? given : [...given, POSITION_PROPERTY, position];
  return level < 5 || all.length === 0 ? packet : withUserProperties(packet, all);
}

/** Whether the packet differs from that of other subscribers by more than its identifier. */
const isOwn = (message: Message, { level, alias, subscriptionIds }: PublishForm): boolean =>
  level === 5 &&
  (alias !== undefined || subscriptionIds.length > 0 || message.facts?.expiresAt !== undefined);

function packetOf(message: Message, form: PublishForm, now: EpochMs): IPublishPacket {
  const { topic, payload } = message.parts;
  const { alias, level, qos, retain, dup, packetId, wishes } = form;
  const formed = wishes.format && inFormat(message, wishes.format);
  const bytes = formed ?? Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  const contentType = formed && wishes.format?.contentType;
  const packet = {
    ...{ cmd: 'publish' as const, qos, retain, dup, payload: bytes },
    topic: alias?.isKnown === true ? '' : topic,
    ...(qos === 0 ? {} : { messageId: packetId }),
  };
  if (level < 5) return packet;
  const properties = propertiesOf(message, form, now);
  return { ...packet, properties: contentType ? { ...properties, contentType } : properties };
}

function propertiesOf(
  message: Message,
  { alias, subscriptionIds }: PublishForm,
  now: EpochMs,
): NonNullable<IPublishPacket['properties']> {
  const { facts } = message;
  const { userProperties: _, ...properties } = facts?.properties ?? {};
  const left = facts?.expiresAt === undefined ? undefined : facts.expiresAt - now;
  return {
    ...properties,
    // [MQTT5-3.3.2-6]
    ...(left === undefined ? {} : { messageExpiryInterval: Math.max(1, Math.ceil(left / 1000)) }),
    ...(alias === undefined ? {} : { topicAlias: alias.alias }),
    ...(subscriptionIds.length === 0 ? {} : { subscriptionIdentifier: [...subscriptionIds] }),
  } as NonNullable<IPublishPacket['properties']>;
}

/** A copy with the identifier in its place: behind the fixed header and the topic. */
function withPacketId(shared: Buffer, packetId: number): Buffer {
  const copy = Buffer.from(shared);
  let at = 1;
  while ((copy[at] ?? 0) & 0x80) at += 1;
  at += 1;
  at += 2 + copy.readUInt16BE(at);
  copy.writeUInt16BE(packetId, at);
  return copy;
}

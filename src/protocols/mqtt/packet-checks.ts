/**
 * What the decoder lets through and the specification does not: text that is no UTF-8 or holds NUL,
 * names with wildcards, identifiers of 0, empty lists, properties that do not belong to a packet or
 * come twice. A packet that passes is what its type says.
 */
import type { Packet } from 'mqtt-packet';
import { isTopicName, topicFilterFault } from '../../base/topic-filter.ts';
import { LIMITS, type LimitName } from '../../config/limits.ts';
import { REASON, type Reason } from './reasons.ts';
import { sharedFilter } from './topics.ts';

export interface PacketFault {
  readonly reason: Reason;
  /** For the client of 5.0 and the log. */
  readonly text: string;
  /** The limit that refuses it. */
  readonly limit?: LimitName | undefined;
}

type Properties = Readonly<Record<string, unknown>>;

/** Properties by packet [MQTT5 §2.2.2.2]; those of a will stand in CONNECT's payload. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  connect: [
    'sessionExpiryInterval',
    'receiveMaximum',
    'maximumPacketSize',
    'topicAliasMaximum',
    'requestResponseInformation',
    'requestProblemInformation',
    'userProperties',
    'authenticationMethod',
    'authenticationData',
  ],
  publish: [
    'payloadFormatIndicator',
    'messageExpiryInterval',
    'topicAlias',
    'responseTopic',
    'correlationData',
    'userProperties',
    'contentType',
  ],
  subscribe: ['subscriptionIdentifier', 'userProperties'],
  unsubscribe: ['userProperties'],
  disconnect: ['sessionExpiryInterval', 'reasonString', 'userProperties'],
  auth: ['authenticationMethod', 'authenticationData', 'reasonString', 'userProperties'],
};
const WILL_PROPERTIES = [
  'willDelayInterval',
  'payloadFormatIndicator',
  'messageExpiryInterval',
  'contentType',
  'responseTopic',
  'correlationData',
  'userProperties',
];
const ANSWERS = ['reasonString', 'userProperties'];
/** Properties which 0 is no value of. */
const POSITIVE = ['receiveMaximum', 'maximumPacketSize', 'subscriptionIdentifier'];

/** What is wrong with a decoded packet; `bytes` are those it was decoded from. */
export function packetFault(packet: Packet, bytes: Buffer): PacketFault | undefined {
  const properties = (packet as { properties?: Properties | boolean }).properties;
  const fault = propertiesFault(ALLOWED[packet.cmd] ?? ANSWERS, properties, bytes);
  return fault ?? ownFault(packet, bytes);
}

function ownFault(packet: Packet, bytes: Buffer): PacketFault | undefined {
  switch (packet.cmd) {
    case 'connect':
      return connectFault(packet, bytes);
    case 'publish':
      return publishFault(packet, bytes);
    case 'subscribe':
      if (packet.subscriptions.length === 0) return protocolError('SUBSCRIBE names no filter');
      return identifierFault(packet) ?? firstFilterFault(packet.subscriptions, bytes);
    case 'unsubscribe':
      if (packet.unsubscriptions.length === 0) return protocolError('UNSUBSCRIBE names no filter');
      return (
        identifierFault(packet) ??
        firstFilterFault(
          packet.unsubscriptions.map((topic) => ({ topic })),
          bytes,
        )
      );
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      return identifierFault(packet);
    case 'pingreq':
    case 'disconnect':
    case 'auth':
      return undefined;
    default:
      return protocolError(`a client does not send ${packet.cmd.toUpperCase()}`);
  }
}

function connectFault(
  packet: Extract<Packet, { cmd: 'connect' }>,
  bytes: Buffer,
): PacketFault | undefined {
  const { clientId, username, will, protocolVersion } = packet;
  for (const text of [clientId, username]) {
    if (text !== undefined && !isText(text, bytes)) return malformed('text that is no UTF-8');
  }
  // [MQTT-3.1.2-22]: no password without a name, in 3.1.1.
  if (protocolVersion !== 5 && packet.password !== undefined && username === undefined) {
    return malformed('a password without a user name');
  }
  if (will === undefined) return undefined;
  if (!isText(will.topic, bytes) || !isTopicName(will.topic)) {
    return { reason: REASON.topicNameInvalid, text: 'the topic of the will is no topic name' };
  }
  return propertiesFault(WILL_PROPERTIES, will.properties as Properties | undefined, bytes);
}

function publishFault(
  packet: Extract<Packet, { cmd: 'publish' }>,
  bytes: Buffer,
): PacketFault | undefined {
  const { topic, qos, dup, properties } = packet;
  if (qos === 0 && dup) return malformed('DUP with QoS 0'); // [MQTT5-3.3.1-2]
  const cut = qos > 0 ? identifierFault(packet) : undefined;
  if (cut !== undefined) return cut;
  if (topic === '' && properties?.topicAlias !== undefined) return undefined;
  if (topic.length > LIMITS.mqttTopicCharsMax) {
    const text = `a topic has at most ${LIMITS.mqttTopicCharsMax} characters`;
    return { ...invalidName(text), limit: 'mqttTopicCharsMax' };
  }
  if (!isText(topic, bytes)) return malformed('the topic is no UTF-8');
  if (!isTopicName(topic)) {
    return invalidName('the topic is empty, too deep, or holds a wildcard or NUL');
  }
  const { responseTopic } = properties ?? {};
  if (responseTopic !== undefined && !isTopicName(responseTopic)) {
    return protocolError('the response topic is no topic name'); // [MQTT5-3.3.2-14]
  }
  return undefined;
}

function firstFilterFault(
  filters: readonly { readonly topic: string }[],
  bytes: Buffer,
): PacketFault | undefined {
  if (filters.length > LIMITS.mqttFiltersPerPacketMax) {
    const text = `one packet names at most ${LIMITS.mqttFiltersPerPacketMax} filters`;
    return { reason: REASON.quotaExceeded, text, limit: 'mqttFiltersPerPacketMax' };
  }
  for (const { topic } of filters) {
    if (!isText(topic, bytes)) return malformed('a topic filter is no UTF-8');
    const filter = sharedFilter(topic)?.filter ?? topic;
    const fault = topicFilterFault(filter);
    if (fault !== undefined) {
      return malformed(`the topic filter ${JSON.stringify(topic)} is none: ${fault}`);
    }
  }
  return undefined;
}

function propertiesFault(
  allowed: readonly string[],
  properties: Properties | boolean | undefined,
  bytes: Buffer,
): PacketFault | undefined {
  if (properties === undefined) return undefined;
  if (typeof properties === 'boolean') return malformed('properties that cannot be read');
  for (const [name, value] of Object.entries(properties)) {
    if (!allowed.includes(name)) return protocolError(`the property ${name} has no place here`);
    if (name === 'userProperties') {
      if (!areUserProperties(value, bytes)) return malformed('user properties that are no text');
      continue;
    }
    if (Array.isArray(value)) return protocolError(`the property ${name} comes twice`);
    if (value === null || value === false || value === undefined || value === -1) {
      if (value === false && isFlag(name)) continue;
      return malformed(`the property ${name} cannot be read`);
    }
    if (value === 0 && POSITIVE.includes(name)) return protocolError(`${name} is 0`);
    if (typeof value === 'string' && !isText(value, bytes)) {
      return malformed(`the property ${name} is no UTF-8`);
    }
  }
  return undefined;
}

/** One byte, 0 or 1. */
const isFlag = (name: string): boolean =>
  name === 'payloadFormatIndicator' || name.startsWith('request');

function areUserProperties(value: unknown, bytes: Buffer): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const pairs = Object.entries(value);
  return pairs.every(([name, texts]) =>
    [name, ...(Array.isArray(texts) ? texts : [texts])].every(
      (text) => typeof text === 'string' && isText(text, bytes),
    ),
  );
}

/** Text as it must be: without NUL, and decoded without loss [MQTT5-1.5.4-1, 1.5.4-2]. */
function isText(text: string, bytes: Buffer): boolean {
  if (text.includes('\u0000')) return false;
  // The decoder puts U+FFFD for what is no UTF-8: then the packet does not hold these bytes.
  return !text.includes('\uFFFD') || bytes.includes(Buffer.from(text));
}

/** The decoder gives -1 for an identifier that the packet is too short for. */
function identifierFault({ messageId = -1 }: { readonly messageId?: number | undefined }) {
  if (messageId < 0) return malformed('the packet ends before its identifier');
  return messageId === 0 ? protocolError('packet identifier 0') : undefined; // [MQTT5-2.2.1-3]
}

const malformed = (text: string): PacketFault => ({ reason: REASON.malformedPacket, text });
const protocolError = (text: string): PacketFault => ({ reason: REASON.protocolError, text });
const invalidName = (text: string): PacketFault => ({ reason: REASON.topicNameInvalid, text });

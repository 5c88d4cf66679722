/**
 * PUBLISH from a client [MQTT5 §3.3, §4.3]: committed without waiting for the one before it, and
 * answered in its turn. A message of QoS 2 that comes again is answered again and not committed.
 */
import { LIMITS } from '../../../config/limits.ts';
import type { Client } from '../client.ts';
import { limitHit } from '../counts.ts';
import type { MessageProperties } from '../publication.ts';
import { type PublishOutcome, type PublishRequest, publish } from '../publisher.ts';
import { ackReason, REASON, REASONS } from '../reasons.ts';
import type { PacketOf, Serving } from './handler.ts';

type Publish = PacketOf<'publish'>;

export function handlePublish(serving: Serving, client: Client, packet: Publish): void {
  const topic = topicOf(client, packet);
  if (topic === undefined) {
    client.close(REASON.topicAliasInvalid, 'this topic alias stands for no topic');
    return;
  }
  if (exceedsReceiveMaximum(client, packet)) {
    const text = `at most ${LIMITS.mqttReceiveMaximum} messages may be under way`;
    client.close(REASON.receiveMaximumExceeded, text);
    return;
  }
  serving.counts.messagesReceived += 1;
  const { messageId = 0, qos } = packet;
  if (qos === 2 && client.session.received.has(messageId)) {
    const again = Promise.resolve({ reason: REASON.success, text: '' } as const);
    client.answers.add(again, (outcome) => answer(client, packet, outcome));
    return;
  }
  if (qos === 2) client.session.received.set(messageId, false);
  commit(serving, client, packet, topic);
}

function commit(serving: Serving, client: Client, packet: Publish, topic: string): void {
  const request = requestOf(packet, topic);
  const bytes = request.payload.length;
  client.publishBytesUnderWay += bytes;
  if (packet.qos === 1) client.publishesUnderWay += 1;
  const work = publishPaced(serving, client, request).finally(() => {
    client.publishBytesUnderWay -= bytes;
  });
  client.answers.add(work, (outcome) => {
    if (packet.qos === 1) client.publishesUnderWay -= 1;
    if (packet.qos === 2) client.session.received.set(packet.messageId ?? 0, true);
    if (outcome.reason !== REASON.success) serving.counts.refused += 1;
    if (outcome.reason === REASON.notAuthorized) client.guest.denied(`publish to ${topic}`);
    if (outcome.limit !== undefined) limitHit(serving.counts, outcome.limit);
    answer(client, packet, outcome);
  });
  serving.keeper.changed(client.session);
}

/** Each is a request, within the rates that requests have. */
function publishPaced(
  { publishing }: Serving,
  { guest, publisher }: Client,
  request: PublishRequest,
): Promise<PublishOutcome> {
  const paced = guest.pace('publish');
  if (paced === undefined) return publish(publishing, publisher, request);
  return Promise.resolve({ reason: REASONS[paced.code], text: paced.message });
}

function requestOf({ payload, qos, retain, properties }: Publish, topic: string): PublishRequest {
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
  const expirySeconds = properties?.messageExpiryInterval;
  return { topic, payload: bytes, qos, retain, expirySeconds, properties: kept(properties) };
}

/** The properties that go on to subscribers [MQTT5-3.3.2-4, 3.3.2-15, 3.3.2-16, 3.3.2-17]. */
export function kept(given: NonNullable<Publish['properties']> | undefined): MessageProperties {
  if (given === undefined) return {};
  const { payloadFormatIndicator, contentType, responseTopic, correlationData, userProperties } =
    given;
  return {
    payloadFormatIndicator,
    contentType,
    responseTopic,
    correlationData,
    userProperties: userProperties as MessageProperties['userProperties'],
  };
}

/** `undefined`: the alias is out of range, or not known on this connection [MQTT5-3.3.2-8 ff]. */
function topicOf({ topicsByAlias }: Client, { topic, properties }: Publish): string | undefined {
  const alias = properties?.topicAlias;
  if (alias === undefined) return topic;
  if (alias < 1 || alias > LIMITS.mqttTopicAliasMaximum) return undefined;
  if (topic === '') return topicsByAlias.get(alias);
  topicsByAlias.set(alias, topic);
  return topic;
}

/** [MQTT5-3.3.4-8]; a client of 3.1.1 is held back instead, by not being read. */
function exceedsReceiveMaximum(client: Client, { qos, messageId = 0 }: Publish): boolean {
  if (client.level !== 5 || qos === 0 || client.session.received.has(messageId)) return false;
  const underWay = client.publishesUnderWay + client.session.received.size;
  return underWay >= LIMITS.mqttReceiveMaximum;
}

function answer(client: Client, { qos, messageId = 0 }: Publish, outcome: PublishOutcome): void {
  if (qos === 0) return;
  const failed = outcome.reason >= REASON.unspecified;
  if (client.level !== 5) {
    // It cannot be refused, only not be answered: the client tries again when that may help.
    if (failed && isPassing(outcome)) {
      client.close(outcome.reason, outcome.text);
      return;
    }
    client.answer({ cmd: qos === 1 ? 'puback' : 'pubrec', messageId });
    return;
  }
  // [MQTT5-4.3.3-9]: a refused identifier is free again.
  if (qos === 2 && failed) client.session.received.delete(messageId);
  client.answer({
    cmd: qos === 1 ? 'puback' : 'pubrec',
    messageId,
    reasonCode: ackReason(outcome.reason),
    ...client.reasonString(outcome.text),
  });
}

const PASSING: readonly number[] = [REASON.serverBusy, REASON.quotaExceeded, REASON.unspecified];
const isPassing = ({ reason }: PublishOutcome): boolean => PASSING.includes(reason);

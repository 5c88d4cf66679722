/**
 * Origin kind `mqtt`: records that are told on the topics of an MQTT broker (3.1.1 or 5).
 *
 *   kind: mqtt
 *   url: mqtts://broker.example.com:8883
 *   topic: sensors/{id}/state
 *   clientId: edge-${env.NODE}         # the broker keeps what is sent while this node is away
 *   publish: sensors/{id}/set          # where writes of a table with write: through go
 *
 * A message is the record's new state, an empty one its end; the retained ones come at first. A
 * message is acknowledged after it was handed on. When the broker has no session to go on with,
 * what is held becomes stale, since nobody can tell what was missed.
 */
import {
  defineOriginKind,
  type FeedContext,
  type FeedEvent,
  type KindServices,
  type KindSettings,
  NodeError,
  type OriginDefinition,
} from 'millrace';
import type { IPublishPacket } from 'mqtt-packet';
import { MqttConnection } from './mqtt-connection.ts';
import { type MqttSettings, mqttSettings } from './mqtt-settings.ts';
import { inDoubt, topicEvent } from './topic-events.ts';
import { topicOrigin } from './topic-origin.ts';
import { MQTT_TOPICS } from './topic-patterns.ts';

export const kind = defineOriginKind({ name: 'mqtt', open: openMqtt });

/** The one packet identifier of a connection that sends one packet. */
const PACKET_ID = 1;

function openMqtt(written: KindSettings, services: KindServices): OriginDefinition {
  const settings = mqttSettings(written);
  const { name, publish } = settings;
  return topicOrigin({
    ...{ name, publish, syntax: MQTT_TOPICS },
    send: (topic, text, signal) => publishOne(settings, services, topic, text, signal),
    follow: (context) => follow(settings, services, context),
  });
}

async function* follow(
  settings: MqttSettings,
  services: KindServices,
  context: FeedContext,
): AsyncGenerator<FeedEvent> {
  const { topics, qos } = settings;
  const connection = new MqttConnection(settings, services, context.signal, true);
  /** Identifiers of messages of QoS 2 that were handed on and not yet released. */
  const received = new Set<number>();
  try {
    const goesOn = await connection.accepted();
    if (goesOn) context.connected();
    else yield inDoubt(context);
    const subscriptions = topics.map(({ filter }) => ({ topic: filter, qos }));
    connection.send({ cmd: 'subscribe', messageId: PACKET_ID, subscriptions });
    for (;;) {
      const packet = await connection.next();
      if (packet === undefined) return;
      if (packet.cmd === 'suback') {
        refused(settings, packet.granted);
        context.connected();
      } else if (packet.cmd === 'publish') {
        const messageId = packet.messageId ?? 0;
        if (packet.qos < 2 || !received.has(messageId)) {
          const event = eventOf(settings, packet, context);
          if (event !== undefined) yield event;
        }
        // Only now: what was not handed on comes again. [MQTT-4.3.2-4]
        if (packet.qos === 1) connection.send({ cmd: 'puback', messageId });
        if (packet.qos === 2) {
          received.add(messageId);
          connection.send({ cmd: 'pubrec', messageId });
        }
      } else if (packet.cmd === 'pubrel') {
        const messageId = packet.messageId ?? 0;
        received.delete(messageId);
        connection.send({ cmd: 'pubcomp', messageId });
      }
    }
  } finally {
    connection.close();
  }
}

function refused({ name, topics }: MqttSettings, granted: unknown): void {
  if (!Array.isArray(granted)) return;
  const at = granted.findIndex((code) => Number(code) >= 128);
  if (at < 0) return;
  throw new Error(`the broker of origin ${name} refused the topic ${topics[at]?.filter}`);
}

/** The name under which a session that goes on is known to the feed's runner. */
const SESSION = 'session';

function eventOf(
  { topics, mapping, clientId }: MqttSettings,
  { topic, payload }: IPublishPacket,
  context: FeedContext,
): FeedEvent | undefined {
  const position = clientId === undefined ? undefined : SESSION;
  return topicEvent(topics, mapping, context, { name: topic, text: payload.toString(), position });
}

/** Resolves when the broker has taken the message. */
async function publishOne(
  settings: MqttSettings,
  services: KindServices,
  topic: string,
  payload: string,
  signal: AbortSignal,
): Promise<undefined> {
  const { name, retain } = settings;
  const connection = new MqttConnection(settings, services, signal, false);
  try {
    await connection.accepted();
    connection.send({
      cmd: 'publish',
      messageId: PACKET_ID,
      qos: 1,
      dup: false,
      ...{ retain, topic, payload },
    });
    for (;;) {
      const packet = await connection.next();
      if (packet === undefined) throw new Error(`the broker of origin ${name} ended the write`);
      if (packet.cmd !== 'puback') continue;
      const code = packet.reasonCode ?? 0;
      if (code < 128) return undefined;
      const message = `the broker of origin ${name} refused ${topic} with reason code ${code}`;
      throw new NodeError('ORIGIN_STATUS', message, { blame: 'origin', details: { status: 409 } });
    }
  } finally {
    connection.close();
  }
}

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
  type FeedWrite,
  feedEventOf,
  type JsonRecord,
  type KindServices,
  type KindSettings,
  NodeError,
  type OriginDefinition,
  type RecordId,
} from 'millrace';
import type { IPublishPacket } from 'mqtt-packet';
import { jsonOr, nothingToFetch } from './feed-only.ts';
import { MqttConnection } from './mqtt-connection.ts';
import { type MqttSettings, mqttSettings } from './mqtt-settings.ts';
import { topicOf } from './mqtt-topics.ts';

export const kind = defineOriginKind({ name: 'mqtt', open: openMqtt });

/** The one packet identifier of a connection that sends one packet. */
const PACKET_ID = 1;

function openMqtt(written: KindSettings, services: KindServices): OriginDefinition {
  const settings = mqttSettings(written);
  const { name, publish } = settings;
  const send = async (template: string, id: RecordId, record: string, signal: AbortSignal) =>
    publishOne(settings, services, topicOf(name, template, id), record, signal);
  return {
    get: (_, context) => nothingToFetch(name, context),
    ...(publish === undefined
      ? {}
      : {
          put: (id: RecordId, record: JsonRecord, { signal }: { signal: AbortSignal }) =>
            send(publish, id, JSON.stringify(record), signal),
          delete: (id: RecordId, { signal }: { signal: AbortSignal }) =>
            send(publish, id, '', signal),
        }),
    subscribe: (context) => follow(settings, services, context),
  };
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

const inDoubt = ({ tables }: FeedContext): FeedEvent => ({
  type: 'transaction',
  writes: tables.map(({ table }) => ({ type: 'invalidate', table, soft: true })),
});

/** The name under which a session that goes on is known to the feed's runner. */
const SESSION = 'session';

function eventOf(
  settings: MqttSettings,
  { topic, payload }: IPublishPacket,
  { tables }: FeedContext,
): FeedEvent | undefined {
  const { topics, mapping, clientId } = settings;
  const named = topics.map((pattern) => pattern.idIn(topic)).find((id) => id !== undefined);
  if (named === undefined) return undefined;
  const position = clientId === undefined ? undefined : SESSION;
  const id = named === '' ? undefined : named;
  const text = payload.toString();
  const writes =
    text === ''
      ? [{ type: 'delete', id } as FeedWrite]
      : writesOf(mapping, topic, jsonOr(text)).map((write) => ({
          ...write,
          ...(id === undefined ? {} : { id }),
        }));
  const all = tables.flatMap(({ table }) => writes.map((write) => ({ ...write, table })));
  return { type: 'transaction', writes: all as readonly FeedWrite[], position };
}

function writesOf(
  mapping: MqttSettings['mapping'],
  name: string,
  content: unknown,
): readonly FeedWrite[] {
  // A bare number or text is the one value of its record.
  const isRecord = typeof content === 'object' && content !== null;
  const record = isRecord ? content : { value: content };
  if (mapping === undefined) return [{ type: 'put', id: '', value: record as JsonRecord }];
  const event = feedEventOf(mapping, { name, content: record, position: undefined });
  if (event === undefined) return [];
  return event.type === 'transaction' ? event.writes : [event];
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

/** An MQTT client for tests: MQTT.js, with what it received kept in order. */
import mqtt, { type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt';
import { until } from './node-process.ts';

export interface Received {
  readonly topic: string;
  readonly payload: string;
  readonly qos: number;
  readonly retain: boolean;
  readonly dup: boolean;
  readonly properties: NonNullable<IPublishPacket['properties']>;
}

export interface TestClient {
  readonly client: MqttClient;
  readonly received: Received[];
  /** Whether CONNACK said that the session was still there. */
  readonly sessionPresent: boolean;
  /** Waits until so many messages were received. */
  count(messages: number): Promise<readonly Received[]>;
  close(): Promise<void>;
}

/** Connects once; rejects when it is refused. */
export async function connectMqtt(url: string, options: IClientOptions = {}): Promise<TestClient> {
  const client = mqtt.connect(url, {
    protocolVersion: 5,
    reconnectPeriod: 0,
    connectTimeout: 10_000,
    ...options,
  });
  const received: Received[] = [];
  client.on('message', (topic, payload, packet) => {
    const { qos, retain, dup, properties = {} } = packet;
    received.push({ topic, payload: payload.toString(), qos, retain, dup, properties });
  });
  const sessionPresent = await new Promise<boolean>((resolve, reject) => {
    client.once('connect', (packet) => resolve(packet.sessionPresent));
    client.once('error', reject);
    client.once('close', () => reject(new Error('closed before CONNACK')));
  });
  client.on('error', () => {});
  return {
    client,
    received,
    sessionPresent,
    async count(messages) {
      await until(`${messages} messages`, () => received.length >= messages);
      return received;
    },
    close: () => client.endAsync(),
  };
}

/**
 * What `origins/NAME.yaml` says of an MQTT broker, as the kind uses it. Throws with the key at
 * fault and what to write.
 */
import type { FeedMapping, KindSettings, SocketTarget } from 'millrace';
import {
  MQTT_TOPICS,
  publishTemplate,
  type TopicPattern,
  templatesOf,
  topicPattern,
} from './topic-patterns.ts';

export interface MqttSettings {
  readonly name: string;
  readonly target: SocketTarget;
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** 4 is MQTT 3.1.1. */
  readonly protocolVersion: 4 | 5;
  /** Given: the broker keeps the session, and what was sent meanwhile, under this name. */
  readonly clientId: string | undefined;
  readonly topics: readonly TopicPattern[];
  readonly qos: 0 | 1 | 2;
  /** Topic template of writes. */
  readonly publish: string | undefined;
  readonly retain: boolean;
  readonly mapping: FeedMapping | undefined;
  readonly packetMax: number;
  readonly keepAliveMs: number;
}

const KEEP_ALIVE_MS = 30_000;
const QOS = [0, 1, 2] as const;

export function mqttSettings(settings: KindSettings): MqttSettings {
  const { name, feed, bodyMax } = settings;
  const options: Readonly<Record<string, unknown>> = { ...settings.options, ...feed?.options };
  const url = urlOf(settings);
  const isTls = url.protocol === 'mqtts:' || url.protocol === 'ssl:';
  const port = url.port === '' ? (isTls ? 8883 : 1883) : Number(url.port);
  return {
    name,
    target: { host: url.hostname, port, ...(isTls ? { tls: {} } : {}) },
    username: textOf(options.username) ?? partOf(url.username),
    password: textOf(options.password) ?? partOf(url.password),
    protocolVersion: options.protocol === '3.1.1' ? 4 : 5,
    clientId: textOf(options.clientId),
    topics: templatesOf(MQTT_TOPICS, name, options, (feed?.id.length ?? 0) > 0).map((template) =>
      topicPattern(MQTT_TOPICS, name, template),
    ),
    qos: QOS.find((level) => level === options.qos) ?? 1,
    publish: publishTemplate(MQTT_TOPICS, name, options.publish),
    retain: options.retain === true,
    mapping: feed,
    packetMax: bodyMax,
    keepAliveMs: typeof options.keepAlive === 'number' ? options.keepAlive : KEEP_ALIVE_MS,
  };
}

const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' ? value : undefined;

const partOf = (part: string): string | undefined =>
  part === '' ? undefined : decodeURIComponent(part);

function urlOf({ name, url, feed }: KindSettings): URL {
  const written = feed?.path ?? url ?? '';
  if (URL.canParse(written) && /^(mqtts?|tcp|ssl):\/\/./.test(written)) {
    // As an URL of a scheme with hosts, so that its parts are read as such.
    return new URL(written);
  }
  throw new Error(`origin ${name}: url must be like mqtts://broker.example.com:8883`);
}

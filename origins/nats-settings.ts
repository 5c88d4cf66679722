/**
 * What `origins/NAME.yaml` says of a NATS server, as the kind uses it. Throws with the key at fault
 * and what to write.
 */
import type { FeedMapping, KindSettings } from 'millrace';
import {
  NATS_SUBJECTS,
  publishTemplate,
  type TopicPattern,
  templatesOf,
  topicPattern,
} from './topic-patterns.ts';

export interface NatsSettings {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly isTls: boolean;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly subjects: readonly TopicPattern[];
  /** The JetStream stream that keeps what is said; without one nothing of the past is known. */
  readonly stream: string | undefined;
  /** Subject template of writes. */
  readonly publish: string | undefined;
  readonly mapping: FeedMapping | undefined;
  readonly messageMax: number;
  readonly timeoutMs: number;
}

const PORT = 4222;

export function natsSettings(settings: KindSettings): NatsSettings {
  const { name, feed, bodyMax, timeoutMs } = settings;
  const options: Readonly<Record<string, unknown>> = { ...settings.options, ...feed?.options };
  const url = urlOf(settings);
  const namesId = (feed?.id.length ?? 0) > 0;
  return {
    name,
    host: url.hostname,
    port: url.port === '' ? PORT : Number(url.port),
    isTls: url.protocol === 'tls:',
    username: textOf(options.username) ?? partOf(url.username),
    password: textOf(options.password) ?? partOf(url.password),
    subjects: templatesOf(NATS_SUBJECTS, name, options, namesId).map((template) =>
      topicPattern(NATS_SUBJECTS, name, template),
    ),
    stream: textOf(options.stream),
    publish: publishTemplate(NATS_SUBJECTS, name, options.publish),
    mapping: feed,
    messageMax: bodyMax,
    timeoutMs,
  };
}

const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' ? value : undefined;

const partOf = (part: string): string | undefined =>
  part === '' ? undefined : decodeURIComponent(part);

function urlOf({ name, url, feed }: KindSettings): URL {
  const written = feed?.path ?? url ?? '';
  if (URL.canParse(written) && /^(nats|tls):\/\/./.test(written)) return new URL(written);
  throw new Error(`origin ${name}: url must be like nats://nats.example.com:4222`);
}

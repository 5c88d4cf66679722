/**
 * Origin kind `nats`: records that are told on the subjects of a NATS server.
 *
 *   kind: nats
 *   url: nats://nats.example.com:4222
 *   subject: flights.{id}
 *   stream: FLIGHTS                    # JetStream keeps what is said while this node is away
 *   publish: flights.{id}.set          # where writes of a table with write: through go
 *
 * A message is the record's new state, an empty one its end. With `stream` the newest message of
 * each subject comes at first, and later all from the last place on; when the stream no longer
 * reaches back to it, or is another one, what is held becomes stale and the newest ones come again.
 * Without `stream` nobody can tell what was missed. The buckets of the key-value store are streams
 * too: `stream: KV_flights` with `subject: $KV.flights.{id}`.
 */
import { DeliverPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { headers, type NatsConnection } from '@nats-io/transport-node';
import {
  defineOriginKind,
  type FeedContext,
  type FeedEvent,
  type KindServices,
  type KindSettings,
  type OriginDefinition,
} from 'millrace';
import { connectNats, reasonOf } from './nats-connection.ts';
import { type NatsSettings, natsSettings } from './nats-settings.ts';
import { inDoubt, topicEvent } from './topic-events.ts';
import { topicOrigin } from './topic-origin.ts';
import { NATS_SUBJECTS } from './topic-patterns.ts';

export const kind = defineOriginKind({ name: 'nats', open: openNats });

/** Messages that may be on their way here. */
const AHEAD_MAX = 256;
/** Messages of a plain subscription that wait for the store; with more the feed begins again. */
const WAITING_MAX = 10_000;

function openNats(written: KindSettings, services: KindServices): OriginDefinition {
  const settings = natsSettings(written);
  const { name, publish } = settings;
  return topicOrigin({
    ...{ name, publish, syntax: NATS_SUBJECTS },
    send: (topic, text, signal) => publishOne(settings, services, topic, text, signal),
    follow: (context) => follow(settings, services, context),
  });
}

async function* follow(
  settings: NatsSettings,
  services: KindServices,
  context: FeedContext,
): AsyncGenerator<FeedEvent> {
  const connection = await connectNats(settings, services, context.signal);
  const leave = () => void connection.close();
  context.signal.addEventListener('abort', leave, { once: true });
  try {
    if (settings.stream === undefined) yield* heard(settings, connection, context);
    else yield* kept(settings, settings.stream, connection, context);
  } finally {
    context.signal.removeEventListener('abort', leave);
    await connection.close();
  }
}

/** What is said from now on. */
async function* heard(
  settings: NatsSettings,
  connection: NatsConnection,
  context: FeedContext,
): AsyncGenerator<FeedEvent> {
  const { subjects, mapping, name } = settings;
  const waiting: { readonly subject: string; readonly text: string }[] = [];
  let failure: Error | undefined;
  let wake = (): void => undefined;
  for (const { filter } of subjects) {
    connection.subscribe(filter, {
      callback(error, message) {
        if (error !== null && error !== undefined) failure = error;
        else if (waiting.length >= WAITING_MAX) failure ??= new Error(`${name} is told too much`);
        else waiting.push({ subject: message.subject, text: textOf(settings, message) });
        wake();
      },
    });
  }
  void connection.closed().then((error) => {
    failure ??= error instanceof Error ? error : new Error('the NATS server ended the connection');
    wake();
  });
  // The server has the subscriptions when it has answered.
  await connection.flush();
  yield inDoubt(context);
  context.connected();
  while (failure === undefined) {
    for (const { subject, text } of waiting.splice(0)) {
      const said = { name: subject, text, position: undefined };
      const event = topicEvent(subjects, mapping, context, said);
      if (event !== undefined) yield event;
    }
    if (waiting.length > 0 || failure !== undefined) continue;
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
  throw failure;
}

/** What a stream keeps, from the place of the last message that was applied. */
async function* kept(
  settings: NatsSettings,
  stream: string,
  connection: NatsConnection,
  context: FeedContext,
): AsyncGenerator<FeedEvent> {
  const { subjects, mapping, name } = settings;
  const filters = subjects.map(({ filter }) => filter);
  const manager = await jetstreamManager(connection);
  const { created, state } = await manager.streams.info(stream).catch((thrown: unknown) => {
    throw new Error(`stream ${stream} of origin ${name}: ${reasonOf(thrown)}`);
  });
  const place = placeOf(context.resumeFrom, created);
  const goesOn =
    place !== undefined && place + 1 >= state.first_seq && place <= Number(state.last_seq);
  if (!goesOn) yield inDoubt(context);
  const consumer = await jetstream(connection).consumers.get(stream, {
    // A list is understood by servers from 2.10 on; one filter by all.
    filter_subjects: filters.length === 1 ? (filters[0] ?? '') : filters,
    ...(goesOn
      ? { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: place + 1 }
      : { deliver_policy: DeliverPolicy.LastPerSubject }),
  });
  const messages = await consumer.consume({ max_messages: AHEAD_MAX });
  context.connected();
  void connection.closed().then(() => messages.stop());
  for await (const message of messages) {
    const position = `${created} ${message.seq}`;
    const text = textOf(settings, { ...message, data: message.data, headers: message.headers });
    const said = { name: message.subject, text, position };
    const event = topicEvent(subjects, mapping, context, said);
    if (event !== undefined) yield event;
  }
}

/** The sequence of a position, when it is one of this very stream. */
function placeOf(position: string | undefined, created: string): number | undefined {
  const [stream, sequence] = position?.split(' ') ?? [];
  return stream === created && sequence !== undefined ? Number(sequence) : undefined;
}

interface Said {
  readonly data: Uint8Array;
  readonly headers?: { get(name: string): string } | undefined;
}

/** Empty for what the key-value store calls deleted or purged. */
function textOf({ name, messageMax }: NatsSettings, { data, headers: said }: Said): string {
  if (data.length > messageMax) {
    throw new Error(`origin ${name} was sent a message above ${messageMax} bytes (bodyMax)`);
  }
  if (['DEL', 'PURGE'].includes(said?.get('KV-Operation') ?? '')) return '';
  return Buffer.from(data.buffer, data.byteOffset, data.length).toString();
}

/** Resolves when the server has taken the message; the stream, when the subject is one of one. */
async function publishOne(
  settings: NatsSettings,
  services: KindServices,
  subject: string,
  record: string,
  signal: AbortSignal,
): Promise<undefined> {
  const connection = await connectNats(settings, services, signal);
  try {
    if (settings.stream === undefined) {
      connection.publish(subject, record);
      await connection.flush();
    } else {
      const marks = headers();
      if (record === '') marks.set('KV-Operation', 'DEL');
      await jetstream(connection).publish(subject, record, { headers: marks });
    }
    return undefined;
  } finally {
    await connection.close();
  }
}

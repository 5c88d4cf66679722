/**
 * The backbone over JetStream: one stream a cluster, made when it is missing, that every node
 * writes its own changes to and reads those of all others from (SPEC §13). Messages are sealed with
 * the cluster's token (`sealed-news.ts`); what is wrong with one is told to the core, and counted.
 *
 *   stream    MILLRACE_<cluster>
 *   subjects  millrace.<cluster>.log.<author>.<database>.<table>, or …<author>.several
 *   id        <author>:<epoch>:<sequence>, by which the server drops what it was given twice
 *
 * It is read by an ordered consumer, from the place that this node keeps with its rows: the server
 * keeps nothing of a reader, so that nothing of it can be lost, and no reader is left behind there.
 */
import {
  type ConsumerMessages,
  DeliverPolicy,
  type JetStreamClient,
  type JetStreamManager,
  type JsMsg,
  jetstream,
  jetstreamManager,
  type StreamInfo,
} from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { NodeId } from '../../base/brands.ts';
import type { Backbone, BackboneUser, News } from '../../replication/backbone-port.ts';
import type { ReplicatedTable } from '../../replication/ports.ts';
import { decodeFrame, encodeFrame } from './frame-codec.ts';
import { ensureStream, problemOf, type StreamSettings } from './nats-stream.ts';
import { type NewsSeal, SEALED_HEAD_BYTES } from './sealed-news.ts';

export interface BackboneOptions {
  readonly cluster: string;
  readonly seal: NewsSeal;
  readonly settings: StreamSettings;
  readonly told: (state: 'attached' | 'detached', detail: string) => void;
}

const ACK_MS = 5_000;
/** What a message takes beside its bytes: its subject and header. */
const ENVELOPE_BYTES = 2_048;
const MESSAGE_BYTES_MAX = 8 * 1024 * 1024;
/** Messages that are on their way here, and those that wait for the store. */
const AHEAD_MAX = 32;
const APPLYING_MAX = 32;
/** The stream may be deleted and made anew while the connection is well. */
const LOOK_MS = 5_000;
const SEVERAL = 'several';

export class BackboneStream implements Backbone {
  readonly #options: BackboneOptions;
  readonly #name: string;
  readonly #prefix: string;
  #user: BackboneUser | undefined;
  #connection: NatsConnection | undefined;
  #client: JetStreamClient | undefined;
  #stream: string | undefined;
  #messages: ConsumerMessages | undefined;
  #look: NodeJS.Timeout | undefined;
  #problem: string | undefined;
  #author: NodeId | undefined;

  constructor(options: BackboneOptions) {
    this.#options = options;
    this.#name = `MILLRACE_${options.cluster}`;
    this.#prefix = `millrace.${options.cluster}.log`;
  }

  use(user: BackboneUser, author: NodeId): void {
    this.#user = user;
    this.#author = author;
  }

  /** Resolves when the stream is used over this connection, or cannot be for now. */
  async attach(connection: NatsConnection): Promise<void> {
    this.#connection = connection;
    await this.#begin(connection);
    this.#lookLater(connection);
  }

  /** The connection is gone. */
  detach(why: string): void {
    this.#connection = undefined;
    clearTimeout(this.#look);
    // Who lost the connection has said so.
    this.#problem = undefined;
    this.#end(why);
  }

  publish(news: News, about: ReplicatedTable | undefined): Promise<void> | undefined {
    const client = this.#client;
    const room = this.#connection?.info?.max_payload ?? 0;
    const bytesMax = Math.min(room, MESSAGE_BYTES_MAX) - ENVELOPE_BYTES - SEALED_HEAD_BYTES;
    const bytes = encodeFrame({ ...news });
    if (client === undefined) return Promise.reject(new Error('there is no stream'));
    if (bytes.length > bytesMax) return undefined;
    const { author, since, upTo } = news;
    const subject = `${this.#prefix}.${author}.${topicOf(about)}`;
    const msgID = `${author}:${since}:${upTo}`;
    const sealed = this.#options.seal.seal(`${subject} ${msgID}`, bytes);
    const expect = { streamName: this.#name };
    return client
      .publish(subject, sealed, { msgID, timeout: ACK_MS, expect })
      .then(() => undefined);
  }

  async #begin(connection: NatsConnection): Promise<void> {
    const user = this.#user;
    const { settings } = this.#options;
    const options = settings.domain === undefined ? {} : { domain: settings.domain };
    try {
      const manager = await jetstreamManager(connection, options);
      const info = await ensureStream(manager, this.#name, `${this.#prefix}.>`, settings);
      const ownLast = await this.#ownLast(manager);
      if (user === undefined || this.#connection !== connection) return;
      this.#client = jetstream(connection, options);
      this.#stream = info.created;
      this.#told('attached', this.#name);
      await this.#read(this.#client, user.attached({ ...foundOf(info), ownLast }));
    } catch (thrown) {
      if (this.#connection === connection) this.#leave(problemOf(thrown));
    }
  }

  async #read(client: JetStreamClient, after: number): Promise<void> {
    const consumer = await client.consumers.get(this.#name, {
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: after + 1,
    });
    const messages = await consumer.consume({ max_messages: AHEAD_MAX });
    if (client !== this.#client) {
      await messages.close();
      return;
    }
    this.#messages = messages;
    void this.#follow(messages, this.#stream ?? '');
  }

  /** Hands on what comes, in order, a few at a time. */
  async #follow(messages: ConsumerMessages, stream: string): Promise<void> {
    const applying = new Set<Promise<void>>();
    try {
      for await (const message of messages) {
        if (messages !== this.#messages) return;
        const done = this.#take(message, stream).finally(() => applying.delete(done));
        applying.add(done);
        if (applying.size >= APPLYING_MAX) await Promise.race(applying);
      }
      // It is begun anew at the next look around.
      if (messages === this.#messages) this.#leave('the server reads the stream out no more');
    } catch (thrown) {
      if (messages === this.#messages) this.#leave(problemOf(thrown));
    }
  }

  async #take(message: JsMsg, stream: string): Promise<void> {
    const place = { stream, sequence: message.seq };
    const { pending } = message.info;
    const news = this.#opened(message.subject, message.headers?.get('Nats-Msg-Id'), message.data);
    if (news === undefined) this.#user?.refused(place, pending);
    else await this.#user?.heard(news, place, pending);
  }

  #opened(subject: string, id: string | undefined, sealed: Uint8Array): unknown {
    const bytes = this.#options.seal.open(`${subject} ${id ?? ''}`, sealed);
    if (bytes === undefined) return undefined;
    try {
      return decodeFrame(bytes);
    } catch {
      return undefined;
    }
  }

  async #ownLast(manager: JetStreamManager): Promise<unknown> {
    if (this.#author === undefined) return undefined;
    const own = `${this.#prefix}.${this.#author}.>`;
    const message = await manager.streams
      .getMessage(this.#name, { last_by_subj: own })
      .catch(() => null);
    if (message === null) return undefined;
    return this.#opened(message.subject, message.header.get('Nats-Msg-Id'), message.data);
  }

  #lookLater(connection: NatsConnection): void {
    this.#look = setTimeout(() => {
      void this.#lookAround(connection).finally(() => {
        if (this.#connection === connection) this.#lookLater(connection);
      });
    }, LOOK_MS);
  }

  /** Whether it is still the stream that is read; made anew when it is gone. */
  async #lookAround(connection: NatsConnection): Promise<void> {
    if (this.#client === undefined) return await this.#begin(connection);
    try {
      const manager = await this.#client.jetstreamManager(false);
      const { created } = await manager.streams.info(this.#name);
      if (created === this.#stream) return;
      this.#leave('the stream was made anew');
    } catch (thrown) {
      this.#leave(problemOf(thrown));
    }
    if (this.#connection === connection) await this.#begin(connection);
  }

  #leave(why: string): void {
    this.#told('detached', why);
    this.#end(why);
  }

  #end(why: string): void {
    this.#client = undefined;
    this.#stream = undefined;
    const messages = this.#messages;
    this.#messages = undefined;
    void messages?.close().catch(() => undefined);
    this.#user?.detached(why);
  }

  /** Says a thing once, until there is something else to say. */
  #told(state: 'attached' | 'detached', detail: string): void {
    const news = `${state} ${detail}`;
    if (news === this.#problem) return;
    this.#problem = news;
    this.#options.told(state, detail);
  }
}

const foundOf = ({ created, state }: StreamInfo) => {
  const { first_seq: first, last_seq: last } = state;
  // An empty stream says 0 at first.
  return { stream: created, first: Math.max(first, 1), last };
};

/** Letters that part the tokens of a subject are not taken as they are. */
const token = (name: string): string =>
  /^[\w-]+$/.test(name) ? name : `x${Buffer.from(name).toString('hex')}`;

const topicOf = (about: ReplicatedTable | undefined): string =>
  about === undefined ? SEVERAL : `${token(about.database)}.${token(about.name)}`;

/**
 * Readers over the wire that can stall, drop and come back, one class a protocol: each keeps the
 * picture that a client has of what it follows. Dropping loses whatever was on its way.
 */
import { once } from 'node:events';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { createParser } from 'eventsource-parser';
import mqtt, { type IConnackPacket, type MqttClient } from 'mqtt';
import WebSocket from 'ws';
import type { FeedEvent } from './fake-sink.ts';
import { Picture, type PictureRow } from './picture.ts';

export interface LiveReader {
  readonly name: string;
  readonly picture: Picture;
  /** The node ended a connection that was silent for too long, as it does. */
  readonly isLost: boolean;
  /** Set when an event could not be applied or the reader was refused. */
  readonly failure: Error | undefined;
  connect(): Promise<void>;
  /** Stops reading; the connection stays. */
  stall(): void;
  resume(): void;
  /** The connection is lost. */
  drop(): void;
}

/** Applies events; the first failure stays. */
class Applying {
  readonly picture = new Picture();
  failure: Error | undefined;
  isLost = false;
  protected isStalled = false;

  /** Only who did not read may be ended. */
  protected ended(what: string): void {
    if (this.isStalled) this.isLost = true;
    else this.failure ??= new Error(what);
  }

  protected take(event: FeedEvent & { readonly code?: string }): void {
    try {
      if (event.type === 'error') throw new Error(`refused: ${event.code}`);
      this.picture.apply(event);
    } catch (error) {
      this.failure ??= error as Error;
    }
  }

  /** Where to go on from; without a position everything begins anew. */
  protected resumption(): string | undefined {
    const { position } = this.picture;
    if (position === undefined) this.picture.forget();
    return position;
  }
}

/** A socket at the path of a resource, or a subscription on `/live` with more wishes. */
export class SocketReader extends Applying implements LiveReader {
  readonly name: string;
  readonly #base: string;
  readonly #path: string;
  readonly #wishes: object | undefined;
  #socket: WebSocket | undefined;

  constructor(base: string, path: string, wishes?: object) {
    super();
    this.name = `${wishes === undefined ? 'socket' : `live ${JSON.stringify(wishes)}`} ${path}`;
    this.#base = base;
    this.#path = path;
    this.#wishes = wishes;
  }

  async connect(): Promise<void> {
    this.isLost = false;
    this.isStalled = false;
    const from = this.resumption();
    const mark = this.#path.includes('?') ? '&' : '?';
    const query = from === undefined ? '' : `${mark}lastEventId=${encodeURIComponent(from)}`;
    const target = this.#wishes === undefined ? `${this.#path}${query}` : '/live';
    const socket = new WebSocket(`${this.#base}${target}`);
    this.#socket = socket;
    socket.on('message', (bytes) => {
      if (socket === this.#socket) this.take(JSON.parse(String(bytes)));
    });
    socket.on('close', (code) => {
      if (socket === this.#socket) this.ended(`closed with ${code}`);
    });
    await once(socket, 'open');
    if (this.#wishes === undefined) return;
    socket.send(JSON.stringify({ subscribe: this.#path, as: 1, from, ...this.#wishes }));
    // Nothing that follows is to be missed: the first event says that it is subscribed.
    if (from === undefined) await once(socket, 'message');
  }

  stall(): void {
    this.isStalled = true;
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.terminate();
  }
}

export class StreamReader extends Applying implements LiveReader {
  readonly name: string;
  /** Takes the events instead of the picture. */
  onEvent: ((event: FeedEvent) => void) | undefined;
  readonly #url: string;
  #request: ClientRequest | undefined;
  #response: IncomingMessage | undefined;

  constructor(base: string, path: string) {
    super();
    this.name = `stream ${path}`;
    this.#url = `${base}${path}`;
  }

  async connect(): Promise<void> {
    this.isLost = false;
    this.isStalled = false;
    const from = this.resumption();
    const headers = {
      accept: 'text/event-stream',
      ...(from === undefined ? {} : { 'last-event-id': from }),
    };
    const request = httpRequest(this.#url, { headers, agent: false });
    this.#request = request;
    request.on('error', (error) => {
      if (request === this.#request) this.ended(error.message);
    });
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    this.#response = response;
    const parser = createParser({
      onEvent: ({ data, id }) => {
        if (request !== this.#request) return;
        if (this.onEvent === undefined) this.take(JSON.parse(data));
        else this.onEvent(JSON.parse(data));
        // The stream itself says where to go on from.
        if (id !== undefined) this.picture.position = id === '' ? undefined : id;
      },
    });
    response.setEncoding('utf8').on('data', (text: string) => parser.feed(text));
    response.on('error', () => undefined);
    response.on('close', () => {
      if (request === this.#request) this.ended('the stream ended');
    });
  }

  stall(): void {
    this.isStalled = true;
    this.#response?.pause();
  }

  resume(): void {
    this.#response?.resume();
  }

  drop(): void {
    const request = this.#request;
    this.#request = undefined;
    request?.destroy();
  }
}

/** [MQTT5 §3.14.2.1] */
const QUOTA_EXCEEDED = 0x97;

/** A client with a session, which tells it what it missed; the topics are those of a table. */
export class MqttReader implements LiveReader {
  readonly name: string;
  readonly picture = new Picture();
  failure: Error | undefined;
  isLost = false;
  #isStalled = false;
  readonly #url: string;
  readonly #filter: string;
  readonly #clientId: string;
  readonly #qos: 0 | 1 | 2;
  #client: MqttClient | undefined;
  #isSubscribed = false;

  constructor(url: string, filter: string, clientId: string, qos: 0 | 1 | 2 = 1) {
    this.name = `mqtt ${filter}`;
    this.#url = url;
    this.#qos = qos;
    this.#filter = filter;
    this.#clientId = clientId;
  }

  async connect(): Promise<void> {
    this.isLost = false;
    this.#isStalled = false;
    const client = mqtt.connect(this.#url, {
      ...{ protocolVersion: 5, clientId: this.#clientId, clean: false, reconnectPeriod: 0 },
      properties: { sessionExpiryInterval: 300 },
    });
    this.#client = client;
    let last = 'nothing was said';
    let isBehind = false;
    client.on('error', (error) => {
      last = error.message;
    });
    client.on('disconnect', ({ reasonCode, properties }) => {
      // It did not keep up with the log: its session begins anew, and that counts as a reset.
      isBehind = reasonCode === QUOTA_EXCEEDED;
      last = `DISCONNECT ${reasonCode} ${properties?.reasonString ?? ''}`;
    });
    client.on('message', (topic, payload, { dup }) => {
      if (client === this.#client) this.#take(topic, payload.toString(), dup);
    });
    const { sessionPresent } = await new Promise<IConnackPacket>((resolve, reject) => {
      client.once('connect', resolve);
      client.once('close', () => reject(new Error(`closed before CONNACK: ${last}`)));
    });
    client.on('close', () => {
      if (client !== this.#client) return;
      if (this.#isStalled || isBehind) this.isLost = true;
      else this.failure ??= new Error(`the connection was closed: ${last}`);
    });
    if (sessionPresent) return;
    if (this.#isSubscribed) this.picture.resets += 1;
    this.picture.forget();
    this.#isSubscribed = true;
    await client.subscribeAsync(this.#filter, { qos: this.#qos });
    // The session stands for a position.
    this.picture.position = 'session';
  }

  stall(): void {
    this.#isStalled = true;
    this.#client?.stream.pause();
  }

  resume(): void {
    this.#client?.stream.resume();
  }

  drop(): void {
    const client = this.#client;
    this.#client = undefined;
    client?.stream.destroy();
    client?.end(true);
  }

  #take(topic: string, payload: string, isDup: boolean): void {
    const id = topic.slice(topic.lastIndexOf('/') + 1);
    const value = payload === '' ? undefined : (JSON.parse(payload) as PictureRow & { m?: number });
    // What was in flight is sent again, and was perhaps seen already.
    if (isDup && this.#wasSeen(id, value)) return;
    try {
      if (value === undefined) this.picture.rows.delete(id);
      else if (value.m === undefined) this.picture.put(id, value);
      else this.picture.heard(value);
    } catch (error) {
      this.failure ??= error as Error;
    }
  }

  #wasSeen(id: string, value: (PictureRow & { m?: number }) | undefined): boolean {
    if (value === undefined) return false;
    if (value.m !== undefined) return this.picture.messages.includes(value.m);
    return value.n < this.picture.newest(id);
  }
}

/**
 * One connection to an MQTT broker, from CONNECT to its end, as an iterable of packets: nothing is
 * read while nobody asks for the next packet, so a slow store slows the broker. A packet above the
 * limit ends it, and so does a broker that is silent for one and a half keep-alives.
 */
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import type { KindServices } from 'millrace';
import { generate, type IConnackPacket, type Packet, parser } from 'mqtt-packet';
import type { MqttSettings } from './mqtt-settings.ts';

/** How long a broker keeps the session of a client that is away. */
const SESSION_SECONDS = 24 * 60 * 60;
const RECEIVE_MAXIMUM = 256;
/** What a socket may hand over at a time, on top of one packet. */
const CHUNK_BYTES = 64 * 1024;

export class MqttConnection {
  readonly #settings: MqttSettings;
  readonly #services: KindServices;
  readonly #socket: Socket;
  readonly #packets: AsyncGenerator<Packet>;

  /** `isLasting`: of the named session, rather than of one of its own. */
  constructor(
    settings: MqttSettings,
    services: KindServices,
    signal: AbortSignal,
    isLasting: boolean,
  ) {
    this.#settings = settings;
    this.#services = services;
    this.#socket = services.connectSocket(settings.target);
    // Told by the packets that do not come; also after nobody reads them any more.
    this.#socket.on('error', () => undefined);
    const leave = () => this.#socket.destroy();
    signal.addEventListener('abort', leave, { once: true });
    this.#socket.once('close', () => signal.removeEventListener('abort', leave));
    this.#packets = this.#read();
    this.#connect(isLasting ? settings.clientId : undefined);
  }

  /** Resolves when the broker let this client in; whether it still had the session. */
  async accepted(): Promise<boolean> {
    const packet = await this.next();
    if (packet?.cmd !== 'connack') throw this.#broken('answered CONNECT with no CONNACK');
    const code = codeOf(packet);
    if (code !== 0) throw this.#broken(`refused the connection with reason code ${code}`);
    return packet.sessionPresent;
  }

  /** `undefined` when the broker ended the connection. */
  async next(): Promise<Packet | undefined> {
    const step = await this.#packets.next();
    return step.done === true ? undefined : step.value;
  }

  send(packet: Packet): void {
    this.#socket.write(generate(packet, { protocolVersion: this.#settings.protocolVersion }));
  }

  close(): void {
    if (!this.#socket.destroyed) this.send({ cmd: 'disconnect' });
    this.#socket.end();
    this.#socket.destroySoon();
  }

  #connect(clientId: string | undefined): void {
    const { protocolVersion, username, password, keepAliveMs, packetMax } = this.#settings;
    this.send({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion,
      clientId: clientId ?? `millrace-${randomUUID().slice(0, 13)}`,
      clean: clientId === undefined,
      keepalive: Math.max(1, Math.round(keepAliveMs / 1000)),
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password: Buffer.from(password) }),
      ...(protocolVersion === 5
        ? {
            properties: {
              receiveMaximum: RECEIVE_MAXIMUM,
              maximumPacketSize: packetMax,
              ...(clientId === undefined ? {} : { sessionExpiryInterval: SESSION_SECONDS }),
            },
          }
        : {}),
    });
  }

  async *#read(): AsyncGenerator<Packet> {
    const { protocolVersion, packetMax, keepAliveMs } = this.#settings;
    const parsing = parser({ protocolVersion });
    let arrived: Packet[] = [];
    let failure: unknown;
    parsing.on('packet', (packet) => arrived.push(packet));
    parsing.on('error', (error) => {
      failure = error;
    });
    let unfinished = 0;
    let stop = this.#watch(keepAliveMs);
    try {
      for await (const chunk of this.#socket) {
        stop();
        parsing.parse(chunk as Buffer);
        if (failure !== undefined) throw this.#broken(`broke the protocol: ${String(failure)}`);
        unfinished = arrived.length > 0 ? 0 : unfinished + (chunk as Buffer).length;
        if (unfinished > packetMax + CHUNK_BYTES) {
          throw this.#broken(`sent a packet above ${packetMax} bytes (bodyMax)`);
        }
        const packets = arrived;
        arrived = [];
        yield* packets.filter(({ cmd }) => cmd !== 'pingresp');
        stop = this.#watch(keepAliveMs);
      }
    } finally {
      stop();
      this.#socket.destroy();
    }
  }

  /** Asks for a sign of life after a keep-alive, and gives up half of one later. */
  #watch(ms: number): () => void {
    let stop = this.#services.after(ms, () => {
      this.send({ cmd: 'pingreq' });
      stop = this.#services.after(ms / 2, () => {
        this.#socket.destroy(this.#broken('gave no sign of life'));
      });
    });
    return () => stop();
  }

  #broken(how: string): Error {
    const { host, port } = this.#settings.target;
    return new Error(`the MQTT broker at ${host}:${port} of ${this.#settings.name} ${how}`);
  }
}

const codeOf = ({ reasonCode, returnCode }: IConnackPacket): number =>
  reasonCode ?? returnCode ?? 0;

/**
 * MQTT over WebSocket [MQTT5 §6]: packets in binary messages, cut as it pleases the client, at any
 * path. What a paused connection is sent meanwhile is held, bounded: a WebSocket cannot be told to
 * wait.
 */
import type { ClientCertificate } from '../../access/asking.ts';
import { LIMITS } from '../../config/limits.ts';
import type { HttpRequest, Socket, UpgradeVerdict, WebSocketHandler } from '../http/port.ts';
import { offeredProtocols } from '../http/upgrade-checks.ts';
import type { Accept, Channel, ChannelUser } from './channel.ts';

/** Close codes of RFC 6455 §7.4.1. */
const UNSUPPORTED_DATA = 1003;
const POLICY = 1008;
const NORMAL = 1000;

const SUBPROTOCOLS = ['mqtt', 'mqttv3.1'];

/** The sub-protocol to speak, when the client offers MQTT. */
export const offeredMqtt = (request: HttpRequest): string | undefined =>
  offeredProtocols(request.header('sec-websocket-protocol')).find((name) =>
    SUBPROTOCOLS.includes(name),
  );

/** A class, so that a socket is known to be MQTT's by its state. */
export class MqttSocketState {
  user: ChannelUser | undefined;
  readonly certificate: ClientCertificate | undefined;

  constructor(certificate: ClientCertificate | undefined) {
    this.certificate = certificate;
  }
}

export class MqttWebSockets implements WebSocketHandler<MqttSocketState> {
  readonly #accept: Accept;

  constructor(accept: Accept) {
    this.#accept = accept;
  }

  upgrade(request: HttpRequest): UpgradeVerdict<MqttSocketState> {
    const state = new MqttSocketState(request.certificate);
    return { kind: 'accept', protocol: offeredMqtt(request), state };
  }

  open(socket: Socket<MqttSocketState>): void {
    socket.state.user = new SocketChannel(socket, this.#accept);
  }

  message(socket: Socket<MqttSocketState>, data: Uint8Array, binary: boolean): void {
    // [MQTT-6.0.0-1]
    if (!binary) socket.close(UNSUPPORTED_DATA, 'MQTT speaks in binary messages');
    else socket.state.user?.received(Buffer.from(data));
  }

  drain(socket: Socket<MqttSocketState>): void {
    socket.state.user?.drained();
  }

  closed(socket: Socket<MqttSocketState>): void {
    socket.state.user?.gone();
  }
}

class SocketChannel implements Channel, ChannelUser {
  readonly #socket: Socket<MqttSocketState>;
  readonly #user: ChannelUser;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #isPaused = false;

  constructor(socket: Socket<MqttSocketState>, accept: Accept) {
    this.#socket = socket;
    this.#user = accept(this);
  }

  get remoteAddress(): string {
    return this.#socket.remoteAddress;
  }

  get certificate(): ClientCertificate | undefined {
    return this.#socket.state.certificate;
  }

  get bufferedBytes(): number {
    return this.#socket.closed ? 0 : this.#socket.bufferedBytes;
  }

  write(bytes: Uint8Array): boolean {
    if (this.#socket.closed) return false;
    const result = this.#socket.send(bytes, true);
    // Never silently: a client that lost a packet must come back.
    if (result === 'dropped') this.#socket.close(POLICY, 'too slow');
    return result === 'sent';
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    while (!this.#isPaused) {
      const next = this.#held.shift();
      if (next === undefined) return;
      this.#heldBytes -= next.length;
      this.#user.received(next);
    }
  }

  end(): void {
    if (!this.#socket.closed) this.#socket.close(NORMAL, '');
  }

  received(chunk: Buffer): void {
    if (!this.#isPaused) {
      this.#user.received(chunk);
      return;
    }
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    if (this.#heldBytes > LIMITS.mqttPublishBytesUnderWayMax) {
      this.#socket.close(POLICY, 'more was sent than could be worked on');
    }
  }

  drained(): void {
    this.#user.drained();
  }

  gone(): void {
    this.#held = [];
    this.#user.gone();
  }
}

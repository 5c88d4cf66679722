/**
 * MQTT packet by packet, for tests that send what no client library would, from an address of
 * their choice: what is sent is generated or given as bytes, what comes is parsed.
 */
import { generate, type Packet, parser } from 'mqtt-packet';
import { until } from './node-process.ts';
import { RawConnection } from './raw-connection.ts';

const ANSWER_MS = 20_000;

export class MqttPackets {
  readonly #connection: RawConnection;
  #read = 0;
  readonly #parser = parser({ protocolVersion: 5 });
  readonly received: Packet[] = [];

  /** `url`: as `node.mqtt` says it. */
  constructor(url: string, from?: string) {
    this.#connection = new RawConnection(url, from);
    this.#parser.on('packet', (packet) => this.received.push(packet));
  }

  /** All that came, byte for byte. */
  get bytes(): string {
    return this.#connection.text;
  }

  get ended(): boolean {
    this.#take();
    return this.#connection.ended;
  }

  send(...packets: readonly (Packet | Buffer)[]): void {
    for (const packet of packets) {
      const bytes = Buffer.isBuffer(packet) ? packet : generate(packet, { protocolVersion: 5 });
      this.#connection.send(bytes);
    }
  }

  /** The next packet of this kind that came, or the end of the connection: `undefined`. */
  async next<Command extends Packet['cmd']>(
    command: Command,
  ): Promise<Extract<Packet, { cmd: Command }> | undefined> {
    const found = () => this.received.findIndex(({ cmd }) => cmd === command);
    await until(`${command} or the end`, () => this.ended || found() >= 0, ANSWER_MS);
    const at = found();
    if (at < 0) return undefined;
    return this.received.splice(at, 1)[0] as Extract<Packet, { cmd: Command }>;
  }

  /** Signs in; the reason code of CONNACK, `closed` when there was none. */
  async connect(options: Partial<Extract<Packet, { cmd: 'connect' }>> = {}) {
    this.send({ ...CONNECT, ...options });
    return (await this.next('connack'))?.reasonCode ?? 'closed';
  }

  destroy(): void {
    this.#connection.destroy();
  }

  #take(): void {
    const { text } = this.#connection;
    if (text.length === this.#read) return;
    this.#parser.parse(Buffer.from(text.slice(this.#read), 'latin1'));
    this.#read = text.length;
  }
}

export const CONNECT: Extract<Packet, { cmd: 'connect' }> = {
  cmd: 'connect',
  protocolId: 'MQTT',
  protocolVersion: 5,
  clientId: '',
  clean: true,
  keepalive: 60,
};

/**
 * Connections between nodes over a NATS server, for fleets whose nodes cannot dial one another. It
 * carries bytes and nothing else: what the nodes say over them, and how they prove who they are, is
 * the same as on the replication port. The server keeps nothing, so nothing is lost with it; while
 * it is away there are no connections, and they are made anew when it is back.
 *
 *   millrace.CLUSTER.here         every node tells its name, at first and then now and then
 *   millrace.CLUSTER.node.NAME    somebody opens a connection to this node
 *   millrace.CLUSTER.way.ID.a|b   the pieces of a connection, to who opened it and to the other
 */
import { randomUUID } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { NodeError } from '../../base/errors.ts';
import { LIMITS } from '../../config/limits.ts';
import { isNodeName, switchedAddress } from './link-options.ts';
import { Tunnel } from './tunnel.ts';

export interface SwitchboardOptions {
  /** `nats://user:password@host:port`, or `tls://`. */
  readonly url: string;
  readonly name: string;
  /** Tells clusters on one server apart; letters and digits. */
  readonly cluster: string;
  readonly accept: (stream: Duplex) => void;
  /** A node is there, under an address that `dial` takes; told again as long as it is. */
  readonly heard: (address: string) => void;
  /** What else uses the connection: `attach` resolves when it does, or cannot. */
  readonly backbone?: ConnectionUser | undefined;
  readonly told: (state: 'connected' | 'lost', detail: string) => void;
}

export interface ConnectionUser {
  attach(connection: NatsConnection): Promise<void>;
  detach(why: string): void;
}

export interface Switchboard {
  /** A stream to a node; that nobody answers shows by silence. Throws `PEER_UNREACHABLE`. */
  dial(name: string): Duplex;
  close(): Promise<void>;
}

const HERE_MS = 2_000;
const AGAIN_MS = 500;
/** As long is waited for the backbone, which may come later. */
const ATTACH_MS = 3_000;
/** A server that answers nothing for some seconds is connected to anew: TCP would wait longer. */
const PING_MS = 1_000;
const PINGS_UNANSWERED_MAX = 4;
/** Time for a connection to the server to be made. */
const CONNECT_MS = 3_000;
/** A name may hold dots, which part the tokens of a subject. */
const token = (name: string): string => Buffer.from(name).toString('hex');

/** Returns at once; the server may come later. */
export function openSwitchboard(options: SwitchboardOptions): Switchboard {
  return new NatsSwitchboard(options);
}

class NatsSwitchboard implements Switchboard {
  readonly #options: SwitchboardOptions;
  readonly #tunnels = new Set<Tunnel>();
  #connection: NatsConnection | undefined;
  #isClosed = false;
  #again: NodeJS.Timeout | undefined;

  constructor(options: SwitchboardOptions) {
    this.#options = options;
    void this.#connect();
  }

  dial(name: string): Duplex {
    const connection = this.#connection;
    if (connection === undefined) {
      const message = `${name} cannot be reached: there is no connection to the NATS server`;
      throw new NodeError('PEER_UNREACHABLE', message, { blame: 'peer', retry: 'later' });
    }
    const id = randomUUID();
    const way = this.#subject('way', id);
    const stream = this.#open(connection, name, `${way}.a`, `${way}.b`, false);
    connection.publish(this.#subject('node', token(name)), `${id} ${this.#options.name}`);
    return stream;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#again);
    this.#endAll();
    await this.#connection?.close();
  }

  async #connect(): Promise<void> {
    const { told, url } = this.#options;
    const { protocol, host, username, password } = new URL(url);
    try {
      const connection = await connect({
        servers: host,
        name: `millrace ${this.#options.name}`,
        reconnect: false,
        ignoreClusterUpdates: true,
        timeout: CONNECT_MS,
        pingInterval: PING_MS,
        maxPingOut: PINGS_UNANSWERED_MAX,
        ...(protocol === 'tls:' && { tls: {} }),
        ...credentials(decodeURIComponent(username), decodeURIComponent(password)),
      });
      if (this.#isClosed) return await connection.close();
      told('connected', host);
      await this.#attach(connection);
      this.#connection = connection;
      this.#listen(connection);
      const error = await connection.closed();
      const why = error instanceof Error ? error.message : 'the connection ended';
      if (!this.#isClosed) told('lost', why);
    } catch (thrown) {
      told('lost', thrown instanceof Error ? thrown.message : String(thrown));
    }
    this.#connection = undefined;
    this.#options.backbone?.detach('there is no connection to the NATS server');
    this.#endAll();
    if (this.#isClosed) return;
    this.#again = setTimeout(() => void this.#connect(), AGAIN_MS);
  }

  /** Before there are connections to others: what the backbone brings need not come over them. */
  async #attach(connection: NatsConnection): Promise<void> {
    const attached = this.#options.backbone?.attach(connection);
    if (attached === undefined) return;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ATTACH_MS);
    });
    await Promise.race([attached, late]);
    clearTimeout(timer);
  }

  #listen(connection: NatsConnection): void {
    const { name, heard } = this.#options;
    const here = this.#subject('here');
    const known = new Set<string>();
    const say = () => connection.publish(here, name);
    connection.subscribe(here, {
      callback: (_, message) => {
        const other = message.string();
        if (other === name || !isNodeName(other)) return;
        // Who has just come has not heard of this node either.
        if (!known.has(other)) say();
        if (known.size < LIMITS.replicationConnectionsMax) known.add(other);
        heard(switchedAddress(other));
      },
    });
    connection.subscribe(this.#subject('node', token(name)), {
      callback: (_, message) => {
        const [id, other] = message.string().split(' ');
        if (id !== undefined && UUID.test(id)) this.#accept(connection, id, other ?? '');
      },
    });
    const saying = setInterval(say, HERE_MS);
    void connection.closed().then(() => clearInterval(saying));
    say();
  }

  #accept(connection: NatsConnection, id: string, name: string): void {
    if (this.#tunnels.size >= LIMITS.replicationConnectionsMax) return;
    const way = this.#subject('way', id);
    this.#options.accept(this.#open(connection, name, `${way}.b`, `${way}.a`, true));
  }

  #open(
    connection: NatsConnection,
    name: string,
    incoming: string,
    outgoing: string,
    isOpen: boolean,
  ): Tunnel {
    const carry = (piece: Uint8Array) => {
      if (!connection.isClosed()) connection.publish(outgoing, piece);
    };
    // Before anything is sent: the server takes what one connection says in order.
    const subscription = connection.subscribe(incoming, {
      callback: (_, message) => tunnel.arrived(message.data),
    });
    const tunnel: Tunnel = new Tunnel(name, isOpen, carry, () => {
      subscription.unsubscribe();
      this.#tunnels.delete(tunnel);
    });
    tunnel.on('error', () => undefined);
    this.#tunnels.add(tunnel);
    return tunnel;
  }

  #endAll(): void {
    for (const tunnel of [...this.#tunnels]) {
      tunnel.destroy(new Error('the connection to the NATS server was lost'));
    }
  }

  #subject(...parts: readonly string[]): string {
    return ['millrace', this.#options.cluster, ...parts].join('.');
  }
}

const UUID = /^[0-9a-f-]{36}$/;

/** A name alone is a token. */
function credentials(username: string, password: string) {
  if (username === '') return {};
  return password === '' ? { token: username } : { user: username, pass: password };
}

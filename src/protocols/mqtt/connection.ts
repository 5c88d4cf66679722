/**
 * One connection, from its first byte to its last: cuts packets out of the stream, has them handled
 * in their order, and ends with a reason its client can read. `SPEC.md` has its states.
 *
 *   opening ─ CONNECT ─► signing in ─► connected ─► closed
 *
 * Each of them ends at a fault, a deadline, or when the peer goes.
 */
import type { Packet } from 'mqtt-packet';
import { durationMs } from '../../base/brands.ts';
import type { Cancel } from '../../base/clock.ts';
import type { ErrorCode } from '../../base/errors.ts';
import { LIMITS, type LimitName } from '../../config/limits.ts';
import type { Channel, ChannelUser } from './channel.ts';
import type { Client } from './client.ts';
import { encodePacket } from './codec.ts';
import { limitHit } from './counts.ts';
import { type ConnectContext, handleConnect } from './handlers/connect.ts';
import { handleDisconnect } from './handlers/disconnect.ts';
import type { PacketOf, Serving } from './handlers/handler.ts';
import { handlePuback } from './handlers/puback.ts';
import { handlePubcomp } from './handlers/pubcomp.ts';
import { handlePublish } from './handlers/publish.ts';
import { handlePubrec } from './handlers/pubrec.ts';
import { handlePubrel } from './handlers/pubrel.ts';
import { handleSubscribe } from './handlers/subscribe.ts';
import { handleUnsubscribe } from './handlers/unsubscribe.ts';
import { type Arrived, Inbox } from './inbox.ts';
import { Outbox } from './outbox.ts';
import { REASON, REASONS, type Reason } from './reasons.ts';

type State = 'opening' | 'signing in' | 'connected' | 'closed';

/** Others have a turn after so many packets; what was answered meanwhile is sent then. */
const PACKETS_PER_TURN = 256;
const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

const PINGRESP = Buffer.from([0xd0, 0]);

/** Deliveries take up to the first of these; answers may take as much again. */
const answerBytesMax = () => 2 * LIMITS.socketConflateBytesMax;

/** [MQTT5-3.1.2-22] */
const KEEP_ALIVE_GRACE = 1.5;

export class Connection implements ChannelUser {
  readonly #serving: Serving;
  readonly #channel: Channel;
  readonly #outbox: Outbox;
  readonly #inbox = new Inbox();
  readonly #onClosed: (connection: Connection) => void;
  #state: State = 'opening';
  #client: Client | undefined;
  #isBusy = false;
  #isPaused = false;
  /** It goes on when what is under way has been answered. */
  #isAwaited = false;
  #heardAt: number;
  #timer: Cancel | undefined;
  #stopWatching: (() => void) | undefined;

  constructor(serving: Serving, channel: Channel, onClosed: (connection: Connection) => void) {
    this.#serving = serving;
    this.#channel = channel;
    this.#onClosed = onClosed;
    this.#outbox = new Outbox(channel, serving.turn, () => this.#client?.session.hasRoom());
    this.#heardAt = serving.clock.monotonic();
    this.#timer = serving.clock.after(durationMs(LIMITS.mqttConnectMsMax), () => {
      // On a thread that was busy for as long, CONNECT may have come and not been read yet.
      void nextTurn().then(() => this.#endUnlessOpened());
    });
  }

  #endUnlessOpened(): void {
    if (this.#state !== 'opening') return;
    limitHit(this.#serving.counts, 'mqttConnectMsMax');
    this.#finish();
  }

  received(chunk: Buffer): void {
    if (this.#state === 'closed') return;
    this.#heardAt = this.#serving.clock.monotonic();
    this.#inbox.receive(chunk);
    this.#work();
  }

  drained(): void {
    // A client that is not read, since it takes answers slowly, is alive while it takes any.
    if (this.#isPaused) this.#heardAt = this.#serving.clock.monotonic();
    this.#outbox.drained();
    this.#work();
  }

  gone(): void {
    this.#finish();
  }

  /** Ends the connection with a reason; a client of 3.1.1 is only cut off [MQTT5 §3.14]. */
  close(reason: Reason, text: string): void {
    if (this.#state === 'closed') return;
    if (this.#client?.level === 5) {
      const reasonCode = reason;
      this.#client.answer({ cmd: 'disconnect', reasonCode, ...this.#client.reasonString(text) });
    }
    this.#finish();
  }

  /** The node goes down: clients come back elsewhere. */
  stop(): void {
    this.close(REASON.serverShuttingDown, 'this node is stopping');
  }

  #fault(reason: Reason, text: string, limit?: LimitName): void {
    const { counts } = this.#serving;
    counts.faults += 1;
    if (limit !== undefined) limitHit(counts, limit);
    this.close(reason, text);
  }

  /** Handles what has come in, one packet after the other; stops reading while it cannot go on. */
  #work(): void {
    for (let handled = 1; !this.#isFull && this.#state !== 'closed'; handled += 1) {
      const arrived = this.#inbox.take();
      if (arrived === undefined) break;
      const work = this.#attempt(arrived) ?? (handled < PACKETS_PER_TURN ? undefined : nextTurn());
      if (work === undefined) continue;
      this.#outbox.flush();
      this.#isBusy = true;
      work.then(
        () => this.#goOn(),
        (error) => this.#broke(error),
      );
    }
    this.#readOn();
  }

  #goOn(): void {
    this.#isBusy = false;
    this.#work();
  }

  #broke(error: unknown): void {
    this.#isBusy = false;
    this.#serving.faulted(error);
    this.close(REASON.unspecified, 'the node failed to do this; its log says why');
  }

  /**
   * Whether what is under way must end before there is more: a client that sends faster than is
   * committed is held back, and so never exceeds what it may have under way at QoS 1.
   */
  get #isFull(): boolean {
    const client = this.#client;
    if (this.#isBusy || client === undefined) return this.#isBusy;
    // A client which takes no answers is not read: each packet may want one.
    if (this.#channel.bufferedBytes >= answerBytesMax()) return true;
    return (
      client.answers.size >= LIMITS.mqttPublishesUnderWayMax ||
      client.publishBytesUnderWay >= LIMITS.mqttPublishBytesUnderWayMax
    );
  }

  #readOn(): void {
    const isFull = this.#isFull;
    if (this.#state === 'closed') return;
    if (isFull) this.#goOnWhenIdle();
    if (isFull === this.#isPaused) return;
    this.#isPaused = isFull;
    if (isFull) {
      this.#channel.pause();
      return;
    }
    // While it was not read its PINGREQ waited: the silence was ours.
    this.#heardAt = this.#serving.clock.monotonic();
    this.#channel.resume();
  }

  /** What it is busy with goes on by itself; what is under way must have been answered. */
  #goOnWhenIdle(): void {
    const client = this.#client;
    if (this.#isBusy || this.#isAwaited || client === undefined || client.answers.size === 0)
      return;
    this.#isAwaited = true;
    void client.answers.idle().then(() => {
      this.#isAwaited = false;
      this.#work();
    });
  }

  /** An exception is the end of one connection: what it was sent must not end the process. */
  #attempt(arrived: Arrived): Promise<void> | undefined {
    try {
      return this.#handle(arrived);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #handle(arrived: Arrived): Promise<void> | undefined {
    if (arrived.kind === 'fault') {
      this.#refuse(arrived);
      return undefined;
    }
    const { packet } = arrived;
    if (packet.cmd === 'connect') return this.#connect(packet);
    const client = this.#client;
    if (client === undefined) {
      // [MQTT5-3.1.0-1]
      this.#fault(REASON.protocolError, 'the first packet must be CONNECT');
      return undefined;
    }
    return this.#handleFor(client, packet);
  }

  /** A CONNECT that cannot be read may be of another version, and is told so [MQTT-3.1.2-2]. */
  #refuse({ fault, isConnect }: Extract<Arrived, { kind: 'fault' }>): void {
    if (isConnect && this.#state === 'opening') {
      this.#outbox.push(encodePacket({ cmd: 'connack', sessionPresent: false, returnCode: 1 }, 4));
    }
    this.#fault(fault.reason, fault.text, fault.limit);
  }

  #handleFor(client: Client, packet: Packet): Promise<void> | undefined {
    const serving = this.#serving;
    switch (packet.cmd) {
      case 'publish':
        handlePublish(serving, client, packet);
        return undefined;
      case 'puback':
        handlePuback(serving, client, packet);
        return undefined;
      case 'pubrec':
        handlePubrec(serving, client, packet);
        return undefined;
      case 'pubcomp':
        handlePubcomp(serving, client, packet);
        return undefined;
      case 'pubrel':
        handlePubrel(serving, client, packet);
        return undefined;
      case 'pingreq':
        client.send(PINGRESP);
        return undefined;
      case 'subscribe':
        return inTurn(client, () => handleSubscribe(serving, client, packet));
      case 'unsubscribe':
        return inTurn(client, () => handleUnsubscribe(serving, client, packet));
      case 'disconnect':
        return inTurn(client, async () => this.#leave(client, packet));
      default:
        this.#fault(REASON.protocolError, `${packet.cmd.toUpperCase()} has no place here`);
        return undefined;
    }
  }

  #connect(packet: PacketOf<'connect'>): Promise<void> | undefined {
    if (this.#state !== 'opening') {
      // [MQTT5-3.1.0-2]
      this.#fault(REASON.protocolError, 'a connection is opened once');
      return undefined;
    }
    this.#state = 'signing in';
    // What takes its time from here on is the node, not the client.
    this.#timer?.();
    this.#timer = undefined;
    const context: ConnectContext = {
      serving: this.#serving,
      outbox: this.#outbox,
      remoteAddress: this.#channel.remoteAddress,
      certificate: this.#channel.certificate,
      isOpen: () => this.#state !== 'closed',
      close: (reason, text) => this.close(reason, text),
    };
    return handleConnect(context, packet).then((connected) => {
      if (connected === undefined) {
        this.#finish();
        return;
      }
      this.#connected(connected.client, connected.keepAliveSeconds);
    });
  }

  #connected(client: Client, keepAliveSeconds: number): void {
    if (this.#state === 'closed') {
      // It went while its session was being written.
      this.#release(client);
      return;
    }
    this.#state = 'connected';
    this.#client = client;
    this.#inbox.opened();
    this.#stopWatching = client.guest.watch({
      close: (code: ErrorCode) => this.close(REASONS[code], 'your credentials hold no more'),
    });
    this.#timer?.();
    this.#timer = undefined;
    if (keepAliveSeconds > 0) this.#expectLife(keepAliveSeconds * 1000 * KEEP_ALIVE_GRACE);
  }

  /** Looks again when the client could next be overdue, not at each packet. */
  #expectLife(silenceMsMax: number, waitMs = silenceMsMax): void {
    const { clock } = this.#serving;
    this.#timer = clock.after(durationMs(waitMs), () => {
      const left = silenceMsMax - (clock.monotonic() - this.#heardAt);
      // Held back for work of ours it cannot be heard; if it takes no answers it may be dead.
      const isHeldBack = this.#isPaused && this.#channel.bufferedBytes < answerBytesMax();
      if (left <= 0 && isHeldBack) this.#expectLife(silenceMsMax);
      else if (left <= 0) this.close(REASON.keepAliveTimeout, 'nothing was heard of you');
      else this.#expectLife(silenceMsMax, Math.max(left, 1));
    });
  }

  #leave(client: Client, packet: PacketOf<'disconnect'>): void {
    if (handleDisconnect(this.#serving, client, packet)) this.#finish();
  }

  #finish(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#inbox.clear();
    this.#timer?.();
    this.#stopWatching?.();
    this.#outbox.flush();
    this.#channel.end();
    const client = this.#client;
    this.#client = undefined;
    if (client !== undefined) this.#release(client);
    this.#onClosed(this);
  }

  #release(client: Client): void {
    const { session } = client;
    client.answers.close();
    // A later connection may have taken it over.
    if (session.wire !== client) return;
    const { wills, sessions, keeper } = this.#serving;
    wills.due(session, session.expirySeconds);
    sessions.away(session);
    if (sessions.find(session.parts.key) === session) void keeper.keep(session);
  }
}

/** When everything before has been answered; at once when it has. */
function inTurn(client: Client, work: () => Promise<void>): Promise<void> {
  return client.answers.size === 0 ? work() : client.answers.idle().then(work);
}

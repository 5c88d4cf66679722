/**
 * MQTT of one node: accepts connections from whatever carries them, and brings back the sessions
 * which an earlier run has kept. One server a node, on the thread that owns the store, so that a
 * client identifier means one session whatever way its client comes in.
 */
import type { DurationMs, TableName } from '../../base/brands.ts';
import type { Clock } from '../../base/clock.ts';
import { LIMITS } from '../../config/limits.ts';
import type { ChangeSource, Soon } from '../../feed/change-source.ts';
import type { Followed } from '../../feed/presence.ts';
import type { ReadRecord } from '../../feed/record-state.ts';
import type { TableDefinition } from '../../schema/definition.ts';
import type { StoreReader, StoreWriter } from '../../table/store-port.ts';
import type { Table } from '../../table/table.ts';
import type { Guest, RecallGuest, SignIn } from './access.ts';
import type { Channel, ChannelUser } from './channel.ts';
import { CodeFeeds } from './code-feeds.ts';
import { Connection } from './connection.ts';
import { type Counts, createCounts, limitHit } from './counts.ts';
import { Dispatch } from './dispatch.ts';
import { followedBy } from './followed.ts';
import type { Serving } from './handlers/handler.ts';
import { publish } from './publisher.ts';
import { REASON } from './reasons.ts';
import { restoreSession } from './restore.ts';
import type { Session, Will } from './session.ts';
import { SessionKeeper } from './session-keeper.ts';
import { type Holdings, Sessions } from './sessions.ts';
import { Snapshots } from './snapshots.ts';
import { SystemTopics } from './system-topics.ts';
import { Topics } from './topics.ts';
import { Turn } from './turn.ts';
import { Wills } from './wills.ts';

export interface MqttServerParts {
  readonly tables: Iterable<TableDefinition>;
  readonly tableNamed: (name: TableName) => Table | undefined;
  readonly reader: StoreReader & ChangeSource;
  readonly writer: StoreWriter;
  readonly clock: Clock;
  readonly readRecord: ReadRecord;
  readonly signIn: SignIn;
  /** For the wills of sessions whose client did not come back after a start. */
  readonly recallGuest: RecallGuest;
  readonly holdings: Holdings;
  /** Whether a filter is served by application code, whoever asks. */
  readonly isOfCode: (filter: string) => boolean;
  /** Told when somebody begins to follow a record or, without an id, a table; and when it ends. */
  readonly onFollow: (followed: Followed, by: 1 | -1) => void;
  readonly requireAuthentication: boolean;
  readonly failed: (error: unknown) => void;
  readonly faulted: Serving['faulted'];
  readonly observeLag: (lag: DurationMs) => void;
  readonly soon?: Soon | undefined;
}

export class MqttServer {
  readonly counts: Counts = createCounts();
  readonly #parts: MqttServerParts;
  readonly #serving: Serving;
  readonly #connections = new Set<Connection>();
  /** Wills on their way. */
  readonly #wills = new Set<Promise<void>>();
  #stopping = false;

  constructor(parts: MqttServerParts) {
    this.#parts = parts;
    const { reader, writer, clock, readRecord, soon } = parts;
    const topics = new Topics(parts.tables);
    const dispatch = new Dispatch({ source: reader, topics, clock, soon });
    const wills = new Wills(clock, (session, will) => this.#publishWill(session, will));
    const keeper = new SessionKeeper({
      ...{ reader, writer, clock, failed: parts.failed },
      positionOf: (session) => dispatch.positionOf(session),
    });
    const codeFeeds = new CodeFeeds(clock);
    const sessions = new Sessions({
      dispatch,
      clock,
      counts: this.counts,
      holdings: parts.holdings,
      isOfCode: parts.isOfCode,
      followed: (session, subscription, by) => {
        if (by < 0) codeFeeds.end(session, subscription.written);
        for (const followed of followedBy(subscription.filter, topics, parts.isOfCode)) {
          parts.onFollow(followed, by);
        }
      },
      ended: (session) => this.#ended(session),
    });
    this.#serving = {
      ...{ clock, topics, dispatch, sessions, wills, keeper, codeFeeds, counts: this.counts },
      system: new SystemTopics({
        ...{ clock, counts: this.counts, sessions: () => sessions.all() },
        sessionCount: () => sessions.size,
        subscriptionCount: () => dispatch.subscriptionCount,
      }),
      snapshots: new Snapshots({ source: reader, topics, dispatch, readRecord, soon }),
      publishing: { topics, tableNamed: parts.tableNamed, now: () => clock.now() },
      turn: new Turn(),
      signIn: parts.signIn,
      requireAuthentication: parts.requireAuthentication,
      ...{ observeLag: parts.observeLag, faulted: parts.faulted },
    };
  }

  get subscriptionCount(): number {
    return this.#serving.dispatch.subscriptionCount;
  }

  get sessionCount(): number {
    return this.#serving.sessions.size;
  }

  /** With their clients and without. */
  sessions(): Iterable<Session> {
    return this.#serving.sessions.all();
  }

  start(): void {
    const { dispatch, keeper } = this.#serving;
    dispatch.start();
    for (const row of keeper.rows()) restoreSession(this.#serving, this.#parts.reader, row);
  }

  /** Begins to serve a peer; its channel is closed at once when there are too many. */
  accept(channel: Channel): ChannelUser {
    if (this.#stopping || this.#connections.size >= LIMITS.mqttConnectionsMax) {
      if (!this.#stopping) limitHit(this.counts, 'mqttConnectionsMax');
      channel.end();
      return { received() {}, drained() {}, gone() {} };
    }
    const connection = new Connection(this.#serving, channel, (one) => this.#closed(one));
    this.#connections.add(connection);
    this.counts.connections += 1;
    return connection;
  }

  /** Tells clients to come back elsewhere, and writes what their sessions are. */
  async stop(): Promise<void> {
    this.#stopping = true;
    for (const connection of [...this.#connections]) connection.stop();
    this.#serving.dispatch.stop();
    this.#serving.system.stop();
    await Promise.all([...this.#wills, this.#serving.keeper.flush()]);
  }

  #closed(connection: Connection): void {
    if (this.#connections.delete(connection)) this.counts.connections -= 1;
  }

  #ended(session: Session): void {
    this.#serving.wills.now(session);
    this.#serving.keeper.forget(session);
  }

  #publishWill(session: Session, will: Will): void {
    const guest = this.#senderOf(session, will);
    if (guest === undefined) {
      this.counts.refused += 1;
      return;
    }
    const publisher = { guest, sessionKey: session.parts.key };
    const publishing = publish(this.#serving.publishing, publisher, will).then(({ reason }) => {
      this.#wills.delete(publishing);
      if (reason !== REASON.success) this.counts.refused += 1;
    });
    this.#wills.add(publishing);
  }

  /** With what it may do by now; `undefined`: nobody is there to say what that is. */
  #senderOf({ guest }: Session, { sender }: Will): Guest | undefined {
    if (guest !== undefined) return guest.asOfNow();
    if (sender === undefined) return undefined;
    return this.#parts.recallGuest(sender === 'nobody' ? undefined : sender);
  }
}

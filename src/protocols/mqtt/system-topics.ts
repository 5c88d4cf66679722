/**
 * What the server says of itself under `$SYS/`, for administrators: counts as other brokers name
 * them, sent when they are subscribed to and then every few seconds as far as they changed. They
 * are no records: nothing is stored, nothing is told later to a client that had no room.
 */
import type { DurationMs, EpochMs, RecordVersion } from '../../base/brands.ts';
import { durationMs } from '../../base/brands.ts';
import type { Cancel, Clock } from '../../base/clock.ts';
import type { Counts } from './counts.ts';
import { Message } from './message.ts';
import type { Session } from './session.ts';
import { MQTT_SESSIONS } from './session-table.ts';

export const SYSTEM_ROOT = '$SYS';

const EVERY = durationMs(10_000);

/** Whether a filter asks for the server's own topics: no wildcard at its beginning matches them. */
export const isSystemFilter = (filter: string): boolean =>
  filter === SYSTEM_ROOT || filter.startsWith(`${SYSTEM_ROOT}/`);

export interface SystemParts {
  readonly clock: Clock;
  readonly counts: Counts;
  readonly sessions: () => Iterable<Session>;
  readonly sessionCount: () => number;
  readonly subscriptionCount: () => number;
}

export class SystemTopics {
  readonly #parts: SystemParts;
  readonly #startedAt: DurationMs;
  readonly #followers = new Set<Session>();
  #told = new Map<string, string>();
  #timer: Cancel | undefined;

  constructor(parts: SystemParts) {
    this.#parts = parts;
    this.#startedAt = parts.clock.monotonic() as DurationMs;
  }

  /** Somebody subscribed to some of it: the present values, and then what changes. */
  follow(session: Session): void {
    this.#followers.add(session);
    for (const [topic, value] of this.#values()) this.#tell(session, topic, value, true);
    this.#tickLater();
  }

  stop(): void {
    this.#timer?.();
    this.#timer = undefined;
  }

  #tickLater(): void {
    this.#timer ??= this.#parts.clock.after(EVERY, () => {
      this.#timer = undefined;
      this.#tick();
      if (this.#followers.size > 0) this.#tickLater();
    });
  }

  #tick(): void {
    const kept = new Set(this.#parts.sessions());
    const values = this.#values();
    for (const session of this.#followers) {
      const follows = [...session.held()].some(({ filter }) => isSystemFilter(filter));
      if (!kept.has(session) || !follows) this.#followers.delete(session);
    }
    for (const [topic, value] of values) {
      if (this.#told.get(topic) === value) continue;
      for (const session of this.#followers) this.#tell(session, topic, value, false);
    }
    this.#told = values;
  }

  #tell(session: Session, topic: string, value: string, isFirst: boolean): void {
    const matched = session.matching(topic);
    if (matched.length === 0 || !session.isConnected) return;
    session.deliver(systemMessage(topic, value, this.#parts.clock.now()), matched, isFirst);
  }

  #values(): Map<string, string> {
    const { clock, counts, sessionCount, subscriptionCount } = this.#parts;
    const seconds = Math.floor((clock.monotonic() - this.#startedAt) / 1000);
    const values = {
      uptime: `${seconds} seconds`,
      'clients/connected': counts.connections,
      'clients/total': sessionCount(),
      'subscriptions/count': subscriptionCount(),
      'messages/received': counts.messagesReceived,
      'messages/sent': counts.messagesSent,
      'messages/refused': counts.refused,
      'sessions/reset': counts.resets,
    };
    return new Map(
      Object.entries(values).map(([name, value]) => [
        `${SYSTEM_ROOT}/broker/${name}`,
        String(value),
      ]),
    );
  }
}

/** Of no table that anybody reaches: whether it may be seen is asked by itself. */
const systemMessage = (topic: string, value: string, at: EpochMs): Message =>
  new Message({
    ...{ topic, table: MQTT_SESSIONS, id: topic, payload: Buffer.from(value), at },
    ...{ isState: true, isSystem: true, version: 0 as RecordVersion },
    ...{ sequence: undefined, publication: undefined },
  });

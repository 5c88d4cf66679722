/**
 * Keeps sessions in the store: when they change what a client relies on (a subscription, a will) it
 * is told after that is on disk; what moves with every packet (cursor, what is in flight) is
 * written at most once a second and when the client leaves, so that after a crash messages may come
 * again and none is missing [MQTT5 §4.1].
 */
import { createHash } from 'node:crypto';
import {
  type DurationMs,
  durationMs,
  type EpochMs,
  type RecordId,
  type Sequence,
} from '../../base/brands.ts';
import type { Cancel, Clock } from '../../base/clock.ts';
import { FOREVER, NEVER } from '../../cache/entry.ts';
import type { StoreReader, StoreWriter, WriteOp } from '../../table/store-port.ts';
import { packPublication, unpackPublication } from './publication.ts';
import type { Session, Will } from './session.ts';
import {
  type KeptInFlight,
  type KeptWill,
  MQTT_SESSIONS,
  type SessionRow,
} from './session-table.ts';

const WRITE_EVERY = durationMs(1_000);
const PAGE_ROWS = 500;

export interface KeeperParts {
  readonly reader: StoreReader;
  readonly writer: StoreWriter;
  readonly clock: Clock;
  /** Up to where a session has been told of everything. */
  readonly positionOf: (session: Session) => Sequence;
  /** Told of a write that failed: the session goes on without it. */
  readonly failed: (error: unknown) => void;
}

export class SessionKeeper {
  readonly #parts: KeeperParts;
  readonly #dirty = new Set<Session>();
  #timer: Cancel | undefined;

  constructor(parts: KeeperParts) {
    this.#parts = parts;
  }

  /** Something moved that may be written later. */
  changed(session: Session): void {
    if (!isKept(session)) return;
    this.#dirty.add(session);
    this.#timer ??= this.#parts.clock.after(WRITE_EVERY, () => void this.flush());
  }

  /** Resolves when the session is on disk, if it is one that is kept. */
  async keep(session: Session): Promise<void> {
    if (!isKept(session)) return;
    this.#dirty.delete(session);
    await this.#commit([this.#put(session)], 'flushed');
  }

  forget(session: Session): void {
    this.#dirty.delete(session);
    const id = rowId(session.parts.key);
    if (!this.#parts.reader.withEntry(MQTT_SESSIONS.name, id, '', isRecord)) return;
    const op = { kind: 'delete', table: MQTT_SESSIONS.name, id, reason: 'feed' } as const;
    void this.#commit([op], 'process');
  }

  /** Writes what has moved. */
  async flush(): Promise<void> {
    this.#timer?.();
    this.#timer = undefined;
    const ops = [...this.#dirty].map((session) => this.#put(session));
    this.#dirty.clear();
    if (ops.length > 0) await this.#commit(ops, 'process');
  }

  /** What an earlier run has kept. */
  *rows(): Generator<SessionRow> {
    let after: RecordId | undefined;
    do {
      const rows: SessionRow[] = [];
      const page = this.#parts.reader.scan(
        MQTT_SESSIONS.name,
        { after, limit: PAGE_ROWS },
        (entry) => {
          if (entry.kind === 'record') rows.push(JSON.parse(Buffer.from(entry.body).toString()));
          return true;
        },
      );
      yield* rows;
      after = page.next;
    } while (after !== undefined);
  }

  async #commit(ops: readonly WriteOp[], durability: 'flushed' | 'process'): Promise<void> {
    try {
      await this.#parts.writer.commit(ops, durability);
    } catch (error) {
      this.#parts.failed(error);
    }
  }

  #put(session: Session): WriteOp {
    const now = this.#parts.clock.now();
    const body = Buffer.from(JSON.stringify(this.#rowOf(session, now)));
    return {
      ...{ kind: 'put', table: MQTT_SESSIONS.name, id: rowId(session.parts.key), variant: '' },
      ...{ entryKind: 'record', status: 200, body, meta: {}, storedAt: now },
      times: {
        freshUntil: FOREVER,
        staleWhileRevalidateUntil: NEVER,
        staleIfErrorUntil: NEVER,
        evictAt: FOREVER,
      },
      initialAge: 0 as DurationMs,
      mustValidate: false,
      staleForbidden: false,
      reason: 'feed',
    };
  }

  #rowOf(session: Session, seenAt: EpochMs): SessionRow {
    const { parts, expirySeconds, will } = session;
    return {
      ...{ key: parts.key, clientId: parts.clientId, owner: parts.owner },
      holder: parts.holder,
      epoch: this.#parts.reader.epoch,
      cursor: this.#parts.positionOf(session),
      expirySeconds,
      seenAt,
      subscriptions: [...session.subscriptions.values()],
      received: [...session.received].flatMap(([id, isCommitted]) => (isCommitted ? [id] : [])),
      inFlight: inFlightOf(session),
      ...(will === undefined ? {} : { will: keptWill(will) }),
    };
  }
}

/** One that is to outlive its connection, or whose will does. */
const isKept = ({ expirySeconds, will }: Session): boolean =>
  expirySeconds > 0 || will !== undefined;

const isRecord = (entry: { readonly kind: string } | undefined): boolean =>
  entry?.kind === 'record';

/** Keys may hold anything a client identifier may. */
const rowId = (key: string): RecordId => createHash('sha256').update(key).digest('base64url');

const inFlightOf = (session: Session): KeptInFlight[] =>
  [...session.outgoing.all()].map(({ packetId, stage, delivery }) => {
    const { message, qos, retain, subscriptionIds } = delivery;
    const { topic, sequence } = message.parts;
    return { packetId, stage, qos, retain, subscriptionIds, topic, sequence };
  });

const keptWill = ({ payload, properties, ...will }: Will): KeptWill => ({
  ...will,
  payload: Buffer.from(payload).toString('base64'),
  publication: Buffer.from(packPublication({ qos: will.qos, publisher: '', properties })).toString(
    'base64',
  ),
});

export function willOf({ payload, publication, ...will }: KeptWill): Will {
  const { properties } = unpackPublication(Buffer.from(publication, 'base64'));
  const { expirySeconds, sender } = will;
  const bytes = Buffer.from(payload, 'base64');
  return { ...will, expirySeconds, sender, payload: bytes, properties };
}

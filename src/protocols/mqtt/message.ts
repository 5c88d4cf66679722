/**
 * One message on its way to subscribers: a change of the log, or a record as a retained message.
 * What its publisher said is unpacked, and its packet encoded, once for all who get it alike.
 */
import type { EpochMs, RecordId, RecordVersion, Sequence } from '../../base/brands.ts';
import type { TableDefinition } from '../../schema/definition.ts';
import type { PublicationFacts } from './publication.ts';
import { unpackPublication } from './publication.ts';

export interface MessageParts {
  readonly topic: string;
  readonly table: TableDefinition;
  readonly id: RecordId;
  /** Empty: the record was deleted, or the message is. */
  readonly payload: Uint8Array;
  /** About what the record is (and so conflated), not a message which passes. */
  readonly isState: boolean;
  readonly version: RecordVersion;
  /** The change it tells of; `undefined` for a retained message at a subscription's beginning. */
  readonly sequence: Sequence | undefined;
  readonly at: EpochMs;
  readonly publication: Uint8Array | undefined;
  /** Said by the server of itself, under `$SYS/`. */
  readonly isSystem?: boolean | undefined;
  /** Yielded by application code, for the one client that follows it. */
  readonly isOfCode?: boolean | undefined;
  /** The record before; `null`: there was none; `undefined`: not known. */
  readonly before?: Uint8Array | null | undefined;
}

export class Message {
  readonly parts: MessageParts;
  /** Encoded packets of this message by what they have in common; see `publish-encoder.ts`. */
  readonly encoded = new Map<number | string, Buffer>();
  #facts: PublicationFacts | undefined;
  #views: Map<string, Message | undefined> | undefined;

  constructor(parts: MessageParts) {
    this.parts = parts;
  }

  /** What its publisher said; `undefined` when it was not published over MQTT. */
  get facts(): PublicationFacts | undefined {
    const { publication } = this.parts;
    if (publication !== undefined) this.#facts ??= unpackPublication(publication);
    return this.#facts;
  }

  /** What those see of it who have the view `key`; made once for all of them. */
  view(key: string, make: () => Message | undefined): Message | undefined {
    this.#views ??= new Map();
    if (!this.#views.has(key)) this.#views.set(key, make());
    return this.#views.get(key);
  }

  /** The same message with another payload. */
  withPayload(payload: Uint8Array): Message {
    return new Message({ ...this.parts, payload });
  }

  /** Whether nothing of it is left to run out, which is so for nearly all. */
  get neverExpires(): boolean {
    return this.parts.publication === undefined || this.facts?.expiresAt === undefined;
  }

  /** Whether it is not to be delivered any more [MQTT5-3.3.2-5]. */
  isExpired(now: EpochMs): boolean {
    const expiresAt = this.facts?.expiresAt;
    return expiresAt !== undefined && expiresAt <= now;
  }
}

/**
 * The table in which sessions are kept, and what a row holds. Declared to the store and to nothing
 * else, so that no protocol reaches it. A message in flight is kept as its place in the log, or as
 * its topic when it is what a record is now; never its bytes.
 */
import type { Verified } from '../../access/identity/verified.ts';
import type { EpochMs, Sequence, TableName } from '../../base/brands.ts';
import type { TableDefinition } from '../../schema/definition.ts';
import type { Stage } from './outgoing.ts';
import type { QoS } from './publication.ts';
import type { Subscription } from './subscription-tree.ts';

const NAME = 'system.mqtt_session' as TableName;

export const MQTT_SESSIONS: TableDefinition = {
  name: NAME,
  typeName: NAME,
  database: 'system',
  attributes: [],
  primaryKey: 'id',
  primaryKeyType: 'string',
  sealed: false,
  hidden: true,
  // Packet identifiers and cursors mean something on this node only.
  replicate: false,
  history: false,
  place: { file: 'system', line: 0, column: 0 },
};

export interface KeptInFlight {
  readonly packetId: number;
  readonly stage: Stage;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly subscriptionIds: readonly number[];
  readonly topic: string;
  /** A change of the log; absent: the record as it is. */
  readonly sequence?: Sequence | undefined;
}

/** The payload and properties in base64 and plain JSON. */
export interface KeptWill {
  readonly topic: string;
  readonly payload: string;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly delaySeconds: number;
  readonly expirySeconds?: number | undefined;
  readonly sender?: Verified | 'nobody' | undefined;
  /** As `packPublication` makes it. */
  readonly publication: string;
}

export interface SessionRow {
  readonly key: string;
  readonly clientId: string;
  readonly owner: string;
  /** As in `SessionParts`; absent from rows of older versions. */
  readonly holder?: string | undefined;
  readonly epoch: string;
  readonly cursor: Sequence;
  readonly expirySeconds: number;
  /** When its client was last known to be there. */
  readonly seenAt: EpochMs;
  readonly subscriptions: readonly Subscription[];
  readonly received: readonly number[];
  readonly inFlight: readonly KeptInFlight[];
  readonly will?: KeptWill | undefined;
}

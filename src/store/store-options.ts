/**
 * What a store is made from and what it is to the node beyond reading and writing: limits, events,
 * figures, sweeping, closing. The same for every engine.
 */

import type { Epoch, RecordId, Sequence, TableName } from '../base/brands.ts';
import type { Clock } from '../base/clock.ts';
import type { Limits } from '../config/limits.ts';
import type { ReplicaStore } from '../replication/ports.ts';
import type { TableDefinition } from '../schema/definition.ts';
import type { BodyStore } from '../table/body-store.ts';
import type { StoreReader, StoreWriter } from '../table/store-port.ts';
import type { EvictionReason, RecordRules } from './commit/batch.ts';
import type { SweepResult } from './expiry.ts';
import type { SharedMemory } from './shared-state.ts';
import type { QueueShed } from './write-queue.ts';

/** The limits which the store obeys, by their names in `config/limits.ts`. */
export type StoreLimits = {
  readonly [Name in keyof Pick<
    Limits,
    | 'changeRingBytes'
    | 'logDaysMax'
    | 'logBytesMax'
    | 'logEntriesMax'
    | 'scopesMax'
    | 'writeQueueAgeMsMax'
    | 'writeQueueBytesMax'
    | 'commitOpsMax'
    | 'inlineBodyBytesMax'
    | 'diskSoftFreeBytes'
    | 'diskHardFreeBytes'
    | 'expiryBatchMax'
    | 'expiryBudgetMs'
  >]: number;
};

/** What the store tells the node; for metrics and the log. */
export interface StoreEvents {
  /** Bytes which are no entry; the read or write went on as if there were none. */
  readonly undecodable?: ((table: TableName, id: RecordId) => void) | undefined;
  readonly committed?: ((seconds: number, operations: number) => void) | undefined;
  readonly evicted?:
    | ((table: TableName, reason: EvictionReason, count: number) => void)
    | undefined;
  /** A file of a body that is not what was written; it is not served whole. */
  readonly bodyDamaged?: ((name: string) => void) | undefined;
  /** Looking for files that an earlier run left behind failed; the next start tries again. */
  readonly orphanSearchFailed?: ((error: unknown) => void) | undefined;
  /** Making the digests of tables failed; rows are compared by pages until the next start. */
  readonly digestsFailed?: ((error: unknown) => void) | undefined;
  /** Building an index failed; the index stays incomplete until the next start. */
  readonly indexBuildFailed?: ((error: unknown) => void) | undefined;
}

export interface StoreOptions extends RecordRules {
  readonly definitions: readonly TableDefinition[];
  readonly clock: Clock;
  /** Whether there are other nodes; without, nothing is kept for them and nothing costs. */
  readonly isReplicated?: boolean | undefined;
  /** Tables whose changes `watchedVersion` counts. */
  readonly watched?: ReadonlySet<TableName> | undefined;
  readonly events?: StoreEvents | undefined;
  readonly limits?: Partial<StoreLimits> | undefined;
  /** Free bytes of the disk; looked at now and then. */
  readonly freeBytes?: (() => number) | undefined;
  /** High-water mark of a table in bytes; only caches over an origin are evicted from. */
  readonly tableBytesMax?: ((table: TableName) => number | undefined) | undefined;
}

export interface StoreStats {
  readonly logEntries: number;
  readonly logBytes: number;
  /** Bytes of the engine and of all files of bodies. */
  readonly storeBytes: number;
  readonly queueDepth: number;
  readonly queueBytes: number;
  readonly scopes: number;
  /** Operations refused so far. */
  readonly shed: Readonly<QueueShed>;
  /** Entries removed other than by clients, by reason. */
  readonly evictions: Readonly<Record<string, number>>;
}

/** What is in a backup. */
export interface BackupReport {
  readonly folder: string;
  readonly madeAt: string;
  readonly epoch: Epoch;
  /** The newest change in it. */
  readonly sequence: Sequence;
  readonly files: number;
  readonly bytes: number;
}

export interface Store extends StoreReader, StoreWriter, AsyncDisposable {
  /** For workers: see `connectStore`. */
  readonly shared: SharedMemory;
  /** The mark of this run in the names of bodies. */
  readonly run: string;
  readonly bodies: BodyStore;
  /** Resolves, with their number, when the files that earlier runs left behind are gone. */
  readonly orphansRemoved: Promise<number>;
  /** Resolves when every declared index is complete; until then it holds a part of the rows. */
  readonly indexesReady: Promise<void>;
  /** What replication needs; `undefined` unless `isReplicated`. Only on the store's own thread. */
  readonly replica: ReplicaStore | undefined;
  /** Resolves when the digests of all tables are made, if there are other nodes. */
  readonly digestsReady: Promise<void>;
  /** Removes what is due and evicts for room, within the budget; call again soon on `more`. */
  sweep(): Promise<SweepResult>;
  stats(): StoreStats;
  /**
   * Writes a backup into a new or empty folder while the store goes on; one at a time. See
   * `lmdb/backup.ts` for what to do with it. Rejects with `USAGE` (the folder, or another backup
   * under way, or a store in memory) or `STORE_FAILED`.
   */
  backupTo(folder: string): Promise<BackupReport>;
  /** Finishes what was taken and marks the folder as cleanly closed. */
  close(): Promise<void>;
}

/**
 * One subscription as the fan-out keeps it: what it asked for, how far it was served, and what
 * it still owes. Memory is O(1) while it is live; a subscriber which is behind holds at most
 * `conflatedRecordsMax` record ids.
 *
 *   registered ─► (history) ─► reading | snapshot ─► behind ─► live
 *                                    ▲              │  ▲        │
 *                                    └─── reset ────┘  └─ no room ┘      any ─► closed
 */

import type { RecordId, RecordVersion, Sequence, TableName } from '../base/brands.ts';
import type { TableDefinition } from '../schema/definition.ts';
import { type RowFilter, seenFilter } from '../table/query/row-filter.ts';
import type { RowView } from '../table/query/row-view.ts';
import type { RowWindow } from '../table/query/row-window.ts';
import type { Crowd } from './crowd.ts';
import { DeltaBase } from './delta-base.ts';
import type { HistoryProgress, HistoryWish } from './history.ts';
import type { Pending } from './pending.ts';
import { type ShownBudget, ShownRecords } from './shown.ts';
import type { FeedProtocol, Sink } from './sink.ts';

interface RequestBase {
  readonly table: TableDefinition;
  readonly protocol: FeedProtocol;
  /** Position to resume from. */
  readonly from?: string | undefined;
  /** What of the table whoever subscribes may see; absent: everything. */
  readonly view?: RowView | undefined;
  /** Changes of rows it was sent are told as merge patches where that is shorter. */
  readonly delta?: boolean | undefined;
  /** Changes of the past, before the present state. */
  readonly history?: HistoryWish | undefined;
  /** Changes only, without the present state first. */
  readonly omitCurrent?: boolean | undefined;
  /** Who holds it, where that is limited. */
  readonly owner?: string | undefined;
}

export type SubscriptionRequest =
  | (RequestBase & { readonly kind: 'record'; readonly id: RecordId })
  | (RequestBase & {
      readonly kind: 'collection';
      readonly filter?: RowFilter | undefined;
      /** The part of the rows that is shown, in its order. */
      readonly window?: RowWindow | undefined;
    });

export type Stage =
  | 'registered'
  | 'history'
  | 'reading'
  | 'snapshot'
  | 'behind'
  | 'live'
  | 'closed';

/** What a protocol holds of its subscription. */
export interface Subscription {
  readonly stage: Stage;
  /** Whether it goes on from the position that it named; `undefined`: it named none. */
  readonly recovered: boolean | undefined;
  /** Sends the present state, or resumes, and goes on with the changes since registration. */
  begin(): void;
  /** The sink has room again. */
  drained(): void;
  /** Ends it from the client's side; the sink is not told. */
  close(): void;
  /** The sink has no room: whatever comes next is for it to be asked about. */
  leaveCrowd?(): void;
}

/** Where a snapshot in pages stands. */
export interface SnapshotProgress {
  readonly at: Sequence;
  after: RecordId | undefined;
  /**
   * Ids an index gave, when the filter has an indexed condition; otherwise the table is scanned.
   */
  readonly ids: readonly RecordId[] | undefined;
  /** Which list of ids; 0 for a scan. */
  readonly list: number;
  next: number;
}

export interface Drive {
  begin(subscriber: Subscriber): void;
  drained(subscriber: Subscriber): void;
  close(subscriber: Subscriber): void;
}

export class Subscriber implements Subscription {
  readonly table: TableName;
  readonly typeName: string;
  readonly protocol: FeedProtocol;
  /** `undefined` for a collection. */
  readonly id: RecordId | undefined;
  readonly filter: RowFilter | undefined;
  readonly view: RowView | undefined;
  /** Present where there is a view. */
  readonly shown: ShownRecords | undefined;
  /** Present where patches were asked for. */
  readonly delta: DeltaBase | undefined;
  /** Whether it has missed what could not be decided: the present state is to follow. */
  mustReset = false;
  readonly request: SubscriptionRequest;
  readonly sink: Sink;
  stage: Stage = 'registered';
  /** Everything up to here was handed over, or needs not be. */
  cursor: Sequence;
  /** Record subscriptions: the newest version handed over outside the live stream. */
  seenVersion = 0 as RecordVersion;
  pending: Pending | undefined;
  snapshot: SnapshotProgress | undefined;
  history: HistoryProgress | undefined;
  /** Those with whom it is handed events. */
  crowd: Crowd | undefined;
  recovered: boolean | undefined;
  /** Times in a row that the log was trimmed past it. */
  restarts = 0;
  readonly #drive: Drive;

  constructor(
    request: SubscriptionRequest,
    sink: Sink,
    cursor: Sequence,
    { drive, shownBudget }: { readonly drive: Drive; readonly shownBudget: ShownBudget },
  ) {
    this.request = request;
    this.table = request.table.name;
    this.typeName = request.table.typeName;
    this.protocol = request.protocol;
    this.id = request.kind === 'record' ? request.id : undefined;
    const { view, table } = request;
    const asked = request.kind === 'collection' ? request.filter : undefined;
    this.view = view;
    this.filter = view === undefined ? asked : seenFilter(view, asked, table);
    this.shown = view && new ShownRecords(shownBudget);
    this.delta = request.delta === true ? new DeltaBase() : undefined;
    this.sink = sink;
    this.cursor = cursor;
    this.#drive = drive;
  }

  begin(): void {
    this.#drive.begin(this);
  }

  drained(): void {
    const { stage } = this;
    if (stage === 'behind' || stage === 'snapshot' || stage === 'history')
      this.#drive.drained(this);
  }

  close(): void {
    this.#drive.close(this);
  }

  leaveCrowd(): void {
    this.crowd?.leave(this);
  }
}

/**
 * The queries with `sort()` and `limit()` of a thread, each kept once for all who follow it: reads
 * the log for them, lets each look at what changed, and serves those who have room. A list is made
 * of rows as they are, so versions never go back; what changed several times in a turn is looked at
 * once.
 */
import type { Sequence, TableName } from '../base/brands.ts';
import type { Clock } from '../base/clock.ts';
import { seenFilter } from '../table/query/row-filter.ts';
import type { RowWindow } from '../table/query/row-window.ts';
import { formatPosition } from '../table/store-port.ts';
import type { ChangeSource } from './change-source.ts';
import type { FeedCounters } from './counters.ts';
import type { FeedLimits } from './limits.ts';
import { LiveWindow } from './live-window.ts';
import type { FeedProtocol, Sink } from './sink.ts';
import type { SubscriptionRequest } from './subscriber.ts';
import { WindowEvents } from './window-events.ts';
import { type MemberDrive, WindowMember } from './window-member.ts';

export interface WindowsParts {
  readonly source: ChangeSource;
  readonly clock: Clock;
  readonly limits: FeedLimits;
  readonly counters: FeedCounters;
  readonly schedule: () => void;
  /** A member was closed, by its client or for want of room. */
  readonly closed: (member: WindowMember) => void;
}

interface Kept {
  readonly window: LiveWindow;
  readonly events: WindowEvents;
  readonly members: Set<WindowMember>;
}

export type WindowRequest = SubscriptionRequest & {
  readonly kind: 'collection';
  readonly window: RowWindow;
};

export const isWindowRequest = (request: SubscriptionRequest): request is WindowRequest =>
  request.kind === 'collection' && request.window !== undefined;

export class Windows {
  readonly #parts: WindowsParts;
  readonly #byKey = new Map<string, Kept>();
  readonly #byTable = new Map<TableName, Set<Kept>>();
  /** Those who came, or have room again. */
  readonly #waiting = new Set<WindowMember>();
  readonly #drive: MemberDrive;
  #head: Sequence;

  constructor(parts: WindowsParts) {
    this.#parts = parts;
    this.#head = parts.source.lastSequence();
    this.#drive = {
      begin: (member) => this.#begin(member),
      drained: (member) => this.#serveSoon(member),
      close: (member) => this.#close(member),
    };
  }

  subscribe(request: WindowRequest, sink: Sink): WindowMember {
    const kept = this.#keptFor(request);
    const member = new WindowMember(request, kept.window, sink, this.#drive);
    kept.members.add(member);
    return member;
  }

  /** Adds those who are behind. */
  countSlow(slow: Record<FeedProtocol, number>): void {
    for (const { members } of this.#byKey.values()) {
      for (const { stage, request } of members) {
        if (stage === 'behind') slow[request.protocol] += 1;
      }
    }
  }

  /** One turn; true: there is more. */
  pump(): boolean {
    const { source } = this.#parts;
    if (this.#byKey.size === 0) {
      this.#head = source.lastSequence();
      return false;
    }
    this.#readLog();
    let hasMore = this.#head < source.lastSequence();
    for (const kept of [...this.#byKey.values()]) {
      if (kept.window.hasWork && kept.window.advance()) this.#serveAll(kept);
      if (kept.window.isTooLarge) this.#endAll(kept);
      hasMore ||= kept.window.hasWork;
    }
    for (const member of [...this.#waiting]) {
      if (member.window.visible === undefined) continue;
      this.#waiting.delete(member);
      this.#serve(member);
    }
    return hasMore;
  }

  #readLog(): void {
    const { source, limits } = this.#parts;
    const { changes, truncated, next } = source.changesAfter(this.#head, limits.changeBatchMax);
    if (truncated) for (const { window } of this.#byKey.values()) window.readAnew();
    for (const { table, id, op } of changes) {
      if (op === 'message') continue;
      for (const { window } of this.#byTable.get(table) ?? []) window.note(id);
    }
    if (next > this.#head) this.#head = next;
  }

  #keptFor(request: WindowRequest): Kept {
    const { table, view, window } = request;
    const filter = view === undefined ? request.filter : seenFilter(view, request.filter, table);
    const key = `${table.name}\n${filter?.key ?? ''}\n${window.key}`;
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    const { source, limits, clock } = this.#parts;
    // Without any, the log is not read: the head stands where the last one left.
    if (this.#byKey.size === 0) this.#head = source.lastSequence();
    const events = new WindowEvents({
      ...{ table: table.typeName, chunkBytesMax: limits.snapshotChunkBytesMax },
      position: () => formatPosition(source.epoch, this.#head),
      now: () => clock.now(),
    });
    const live = new LiveWindow(key, { table, filter, window }, source, limits);
    const kept: Kept = { window: live, events, members: new Set() };
    this.#byKey.set(key, kept);
    const ofTable = this.#byTable.get(table.name) ?? new Set();
    this.#byTable.set(table.name, ofTable.add(kept));
    return kept;
  }

  #begin(member: WindowMember): void {
    if (member.stage !== 'registered') return;
    if (this.#byKey.size > this.#parts.limits.windowsOfThreadMax) {
      member.end('SUBSCRIPTION_LIMIT');
      return;
    }
    member.stage = 'snapshot';
    this.#parts.counters.snapshots[member.request.protocol] += 1;
    this.#serveSoon(member);
  }

  #serveSoon(member: WindowMember): void {
    this.#waiting.add(member);
    this.#parts.schedule();
  }

  #serveAll({ members }: Kept): void {
    for (const member of members) if (member.stage === 'live') this.#serve(member);
  }

  #serve(member: WindowMember): void {
    const kept = this.#byKey.get(member.window.key);
    if (kept === undefined || member.stage === 'closed') return;
    const wasLive = member.stage === 'live';
    const sent = member.serve(kept.events);
    const { counters } = this.#parts;
    const { protocol } = member.request;
    counters.messagesSent[protocol] += sent;
    if (wasLive && member.stage !== 'live') counters.stalls[protocol] += 1;
  }

  #endAll({ members }: Kept): void {
    for (const member of [...members]) member.end('QUERY_TOO_EXPENSIVE');
  }

  #close(member: WindowMember): void {
    if (member.stage === 'closed') return;
    member.stage = 'closed';
    this.#waiting.delete(member);
    const kept = this.#byKey.get(member.window.key);
    kept?.members.delete(member);
    if (kept?.members.size === 0) this.#forget(kept);
    this.#parts.closed(member);
  }

  #forget(kept: Kept): void {
    this.#byKey.delete(kept.window.key);
    const ofTable = this.#byTable.get(kept.window.table.name);
    ofTable?.delete(kept);
    if (ofTable?.size === 0) this.#byTable.delete(kept.window.table.name);
  }
}

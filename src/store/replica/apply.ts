/**
 * What another node sent, inside one commit: rows, invalidations, messages, cursors and notes. What
 * is at or below the cursor of its author was there before and is passed over. See
 * `replication/SPEC.md` §3 and §9.
 */
import {
  type EpochMs,
  type NodeId,
  type Sequence,
  sequence,
  type TableName,
} from '../../base/brands.ts';
import { newestStamp } from '../../cache/row-state.ts';
import type {
  ApplyReport,
  EntryItem,
  InvalidationItem,
  Item,
  MessageItem,
  RemoteBatch,
} from '../../replication/ports.ts';
import type { Relay } from '../../table/store-port.ts';
import type { Batch } from '../commit/batch.ts';
import { applyEntry, type InvalidationsOf } from '../commit/entry.ts';
import { applyRow } from '../commit/merge.ts';
import { outdateReaders } from '../commit/named-records.ts';
import { evictRecord, publicationOf } from '../commit/others.ts';
import type { TableTrees } from '../tables.ts';
import type { Knowledge } from './knowledge.ts';

type Origin = NonNullable<Relay['origin']>;

export interface ApplyParts {
  readonly knowledge: Knowledge;
  /** Cache tables that are dropped when their invalidations were missed. */
  readonly caches: readonly TableTrees[];
  /** The steady clock. */
  readonly now: () => EpochMs;
  readonly invalidations: InvalidationsOf;
  /** A row came that met another change. */
  readonly conflicted: (table: TableName) => void;
}

/** Gives the next of what others sent that is to be part of the commit. */
export type NextRemote = () => RemoteBatch | undefined;

/** Applies one after the other, and raises the cursors to what all of them say. */
export function applyRemotes(batch: Batch, next: NextRemote, parts: ApplyParts): ApplyReport[] {
  const known = new Map(parts.knowledge.cursors);
  const from = batch.changes.length;
  const reports: ApplyReport[] = [];
  for (let remote = next(); remote !== undefined; remote = next()) {
    reports.push(applyRemote(batch, remote, known, parts));
  }
  parts.knowledge.raise(batch, known);
  outdateReaders(batch, from);
  return reports;
}

function applyRemote(
  batch: Batch,
  remote: RemoteBatch,
  known: Map<NodeId, Sequence>,
  parts: ApplyParts,
): ApplyReport {
  const report = { merged: 0, unchanged: 0, unknown: 0 };
  for (const item of remote.items) {
    const origin = placeOf(item, known, remote.isAhead === true);
    if (origin === 'known') continue;
    if (!batch.trees.tables.has(item.table)) report.unknown += 1;
    else applyItem(batch, item, origin, { parts, report, entries: remote.entries });
  }
  if (remote.invalidateCaches === true) {
    for (const table of parts.caches) dropAll(batch, table);
    parts.knowledge.obeyed.dropped(remote.cursors);
  }
  // A place that was passed counts without being named in the batch's cursors, too.
  if (remote.isAhead !== true) for (const [author, at] of remote.cursors) raise(known, author, at);
  if (remote.notes !== undefined) parts.knowledge.setNotes(batch, remote.notes);
  return report;
}

function raise(known: Map<NodeId, Sequence>, author: NodeId, at: Sequence): void {
  if (at > (known.get(author) ?? 0)) known.set(author, at);
}

/** Where the item stands in its author's log, as this log is to say; raises the cursor to it. */
function placeOf(
  { origin }: Item,
  known: Map<NodeId, Sequence>,
  isAhead: boolean,
): Origin | null | 'known' {
  if (origin === undefined || isAhead) return null;
  const after = known.get(origin.author) ?? sequence(0);
  if (origin.sequence <= after) return 'known';
  known.set(origin.author, origin.sequence);
  return { sequence: origin.sequence, after };
}

interface Applying {
  readonly parts: ApplyParts;
  readonly report: { merged: number; unchanged: number };
  readonly entries: RemoteBatch['entries'];
}

function applyItem(
  batch: Batch,
  item: Item,
  origin: Origin | null,
  { parts, report, entries }: Applying,
): void {
  if (item.kind === 'entry') {
    report[isEntryTaken(batch, item, origin, { parts, entries }) ? 'merged' : 'unchanged'] += 1;
    return;
  }
  if (item.kind === 'invalidation') {
    const at = applyInvalidation(batch, item, origin);
    const { author, sequence: place } = item.origin;
    if (item.isKnown !== true) parts.knowledge.obeyed.note(at, author, place);
    return;
  }
  if (item.kind === 'message') {
    applyRemoteMessage(batch, item, origin);
    return;
  }
  const { table, id, state, isJoined } = item;
  const author = item.origin?.author ?? newestStamp(state)?.author ?? batch.parts.author;
  const outcome = applyRow(batch, { table, id, state, author, origin, isJoined });
  report[outcome.kind] += 1;
  if (outcome.isConflict) parts.conflicted(table);
}

/** [SPEC §14] Whether an entry of a cache was stored. */
function isEntryTaken(
  batch: Batch,
  item: EntryItem,
  origin: Origin | null,
  { parts, entries }: Pick<Applying, 'parts' | 'entries'>,
): boolean {
  if (entries === undefined || origin === null) return false;
  const { knowledge, now, invalidations } = parts;
  const place = knowledge.obeyed.upTo(entries.obeyed, batch.state.sequence);
  if (place === undefined || batch.parts.replica?.sharesEntries(item.table) !== true) return false;
  const elapsed = Math.max(0, now() - entries.sentAt);
  const cameFrom = { author: item.origin.author, relay: { origin } };
  const { doubtMs } = entries;
  return applyEntry(batch, item, { place, elapsed, doubtMs, cameFrom, invalidations });
}

/** Takes effect on arrival whatever its clock says: a fetch that began before must not store. */
function applyInvalidation(batch: Batch, item: InvalidationItem, origin: Origin | null): Sequence {
  const { table, scope, soft, reason, version } = item;
  const isKnown = item.isKnown === true;
  const { author } = item.origin;
  const id = scope.kind === 'key' ? scope.id : undefined;
  batch.observe(version);
  const relay: Relay = { origin, scope, soft, reason, ...(isKnown && { isQuiet: true }) };
  const at = batch.append({ version, table, op: 'invalidate', id, author, relay });
  if (!isKnown) bump(batch, batch.table(table), scope, soft, at);
  return at;
}

function bump(
  batch: Batch,
  table: TableTrees,
  scope: InvalidationItem['scope'],
  soft: boolean,
  at: Sequence,
): void {
  const { scopes } = batch.parts;
  for (const held of scopes.fold(batch.now)) evictRecord(batch, held.table, held.id, 'scope');
  scopes.bump(table, scope, soft, at, batch.now);
}

function dropAll(batch: Batch, table: TableTrees): void {
  const version = batch.nextVersion();
  const relay = { origin: null };
  const change = { version, table: table.name, op: 'invalidate', id: undefined, relay } as const;
  bump(batch, table, { kind: 'table' }, false, batch.append(change));
}

function applyRemoteMessage(batch: Batch, item: MessageItem, origin: Origin | null): void {
  const { table, id, body, version } = item;
  batch.observe(version);
  const publication = publicationOf(item);
  const { author } = item.origin;
  const relay = { origin };
  batch.append({ version, table, op: 'message', id, after: body, publication, author, relay });
}

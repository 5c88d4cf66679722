/**
 * Puts right what a clock that ran ahead has stamped: of rows, the parts with stamps that lie ahead
 * of the clock by more than nodes take get stamps of now, whoever made them, and the clock of
 * versions begins from now. Nobody whose clock is right could take those stamps; whoever made them
 * may be gone for good.
 *
 * It begins above every stamp that stays: a later write of such a row would have no effect on other
 * nodes, and this one would show what they do not. What is written and what comes meanwhile does
 * not move it ahead again, though rows bear such stamps still.
 */
import { type EpochMs, epochMs, type RecordVersion } from '../../base/brands.ts';
import { versionAt } from '../../base/hlc.ts';
import { restampRow, stampsOf } from '../../cache/restamp-row.ts';
import { mergingMeta, stateOfEntry } from '../../cache/row-entry.ts';
import { newestStamp, type Stamp } from '../../cache/row-state.ts';
import { LIMITS } from '../../config/limits.ts';
import type { Batch } from '../commit/batch.ts';
import { copyOf, sharedRow } from '../commit/local-rows.ts';
import { loggedBody, placedBodyOf, type Row, readRow, rowAt, writeRow } from '../commit/rows.ts';
import type { Committer } from '../committer.ts';
import { HIGH, type Key } from '../engine.ts';
import { idOfKey, isBeneath } from '../keys.ts';
import type { TableTrees } from '../tables.ts';

/** Rows of one commit, so that others come between. */
const COMMIT_ROWS = 500;

export async function restampRows(
  committer: Committer,
  tables: readonly TableTrees[],
  now: () => EpochMs,
): Promise<void> {
  const isDue = (stamp: Stamp) => stamp.version > latestTaken(now());
  let least = versionAt(now());
  const look = (_: Batch, __: TableTrees, row: Row) => {
    const newest = stampOf(row);
    if (newest !== undefined && !isDue(newest) && newest.version > least) least = newest.version;
  };
  await eachRow(committer, tables, look, (batch) => batch.resetClock(least));
  const anew = (batch: Batch, table: TableTrees, row: Row) => {
    if (row.entry?.isLocal === true) {
      if (isDue(row.entry) && isNothing(sharedRow(batch, row))) restampLocal(batch, row);
      return;
    }
    const newest = stampOf(row);
    if (newest === undefined) return;
    if (isDue(newest)) restamp(batch, table, row, isDue);
    // It may have come since the first look.
    else batch.observe(newest.version);
    if (!isBeneath(row.key)) return;
    // Behind what lies beneath it, so that it goes on being the later one.
    const above = readRow(batch, table, row.entry?.meta.fullKey ?? row.id, '');
    if (above.entry !== undefined && isDue(above.entry)) restampLocal(batch, above);
  };
  await eachRow(committer, tables, anew, () => undefined);
  await committer.chore((batch) => batch.settleClock(), 'flushed');
}

const latestTaken = (now: EpochMs): RecordVersion =>
  versionAt(epochMs(now + LIMITS.clockAheadMsMax));

const stampOf = ({ entry }: Row): Stamp | undefined =>
  entry === undefined ? undefined : newestStamp(stateOfEntry(entry));

type Visit = (batch: Batch, table: TableTrees, row: Row) => void;

/** Page by page; `end` runs in the commit that sees the last row. */
async function eachRow(
  committer: Committer,
  tables: readonly TableTrees[],
  visit: Visit,
  end: (batch: Batch) => void,
): Promise<void> {
  let left = tables;
  let after: Key | undefined;
  const step = (batch: Batch) => {
    let room = COMMIT_ROWS;
    for (let table = left[0]; table !== undefined && room > 0; table = left[0]) {
      const page = pageOf(table, after, room);
      for (const [key, value] of page) {
        visit(batch, table, rowAt(batch, table, key, idOfKey(key) ?? '', value));
      }
      const isLast = page.length < room;
      after = isLast ? undefined : page.at(-1)?.[0];
      if (isLast) left = left.slice(1);
      room -= page.length;
    }
    if (left.length === 0) end(batch);
  };
  do await committer.chore(step);
  while (left.length > 0);
}

function pageOf(
  table: TableTrees,
  after: Key | undefined,
  limit: number,
): readonly (readonly [Key, Uint8Array])[] {
  const range = { start: after ?? false, exclusiveStart: after !== undefined, end: HIGH };
  const page: [Key, Uint8Array][] = [];
  table.entries.range({ ...range, limit }, (key, value) => {
    page.push([key, value]);
    return true;
  });
  return page;
}

const isNothing = ({ entry }: Row): boolean => entry === undefined;

/** Nobody else hears of it. */
function restampLocal(batch: Batch, row: Row): void {
  if (row.entry === undefined) return;
  const id = row.entry.meta.fullKey ?? row.id;
  writeRow(
    batch,
    { ...row, id },
    { ...copyOf(row.entry), isLocal: true, version: batch.nextVersion() },
  );
}

function restamp(
  batch: Batch,
  table: TableTrees,
  row: Row,
  isDue: (stamp: Stamp) => boolean,
): void {
  const { entry } = row;
  if (entry === undefined) return;
  const held = stateOfEntry(entry);
  for (const stamp of stampsOf(held)) if (!isDue(stamp)) batch.observe(stamp.version);
  const id = entry.meta.fullKey ?? row.id;
  const version = batch.nextVersion();
  const { author } = batch.parts;
  const state = restampRow(held, { version, author }, isDue);
  const isDelete = entry.kind === 'tombstone';
  const op = isDelete ? 'delete' : 'put';
  const body = loggedBody(entry);
  const bodies = isDelete ? { before: body } : { before: body, after: body };
  const change = { version, table: table.name, id, op, ...bodies } as const;
  const stamp = batch.append({ ...change, relay: { isQuiet: true } });
  const { kind, status, storedAt, initialAge, freshUntil, staleWhileRevalidateUntil } = entry;
  const { staleIfErrorUntil, evictAt, mustValidate, staleForbidden, entityTag } = entry;
  writeRow(
    batch,
    { ...row, id },
    {
      ...{ kind, status, version, author, stamp, storedAt, initialAge, freshUntil },
      ...{ staleWhileRevalidateUntil, staleIfErrorUntil, evictAt },
      ...{ mustValidate, staleForbidden },
      entityTag: isDelete ? undefined : entityTag,
      meta: { ...entry.meta, merging: mergingMeta(state, { version, author }) },
      body: placedBodyOf(entry),
    },
  );
}

/**
 * Puts right what a clock that ran ahead has stamped: of rows, the parts with own stamps that lie
 * ahead of the clock, or with stamps of others beyond the bound, get stamps of now, and the clock
 * of versions begins from now. Nobody whose clock is right could take those stamps.
 *
 * It begins above every stamp that stays: a later write of such a row would have no effect on other
 * nodes, and this one would show what they do not.
 */
import { type EpochMs, epochMs, type NodeId } from '../../base/brands.ts';
import { versionAt } from '../../base/hlc.ts';
import { restampRow, stampsOf } from '../../cache/restamp-row.ts';
import { mergingMeta, stateOfEntry } from '../../cache/row-entry.ts';
import { newestStamp, type Stamp } from '../../cache/row-state.ts';
import { LIMITS } from '../../config/limits.ts';
import type { Durability } from '../../table/store-port.ts';
import type { Batch } from '../commit/batch.ts';
import { loggedBody, placedBodyOf, type Row, rowAt, writeRow } from '../commit/rows.ts';
import type { Committer } from '../committer.ts';
import { HIGH, type Key } from '../engine.ts';
import { idOfKey } from '../keys.ts';
import type { TableTrees } from '../tables.ts';

const PAGE_ROWS = 500;

export interface Restamping {
  readonly now: () => EpochMs;
  readonly authors: ReadonlySet<NodeId>;
}

export async function restampRows(
  committer: Committer,
  tables: readonly TableTrees[],
  restamping: Restamping,
): Promise<void> {
  const ahead = versionAt(restamping.now()) + 1;
  const isDue = (stamp: Stamp) => isAhead(stamp, ahead, restamping);
  let least = versionAt(restamping.now());
  await eachRow(committer, tables, 'process', (_, __, row) => {
    const newest = stampOf(row);
    if (newest !== undefined && !isDue(newest) && newest.version > least) least = newest.version;
  });
  await committer.chore((batch) => batch.resetClock(least));
  await eachRow(committer, tables, 'flushed', (batch, table, row) => {
    const newest = stampOf(row);
    if (newest === undefined) return;
    if (isDue(newest)) restamp(batch, table, row, isDue);
    // It may have come since the first look.
    else batch.observe(newest.version);
  });
}

const stampOf = ({ entry }: Row): Stamp | undefined =>
  entry === undefined ? undefined : newestStamp(stateOfEntry(entry));

/** Page by page, each in a commit of its own, so that others come between. */
async function eachRow(
  committer: Committer,
  tables: readonly TableTrees[],
  durability: Durability,
  visit: (batch: Batch, table: TableTrees, row: Row) => void,
): Promise<void> {
  for (const table of tables) {
    let after: Key | undefined;
    let isDone = false;
    while (!isDone) {
      await committer.chore((batch) => {
        after = visitPage(batch, table, after, visit);
        isDone = after === undefined;
      }, durability);
    }
  }
}

/**
 * Own stamps, and those of others that nobody whose clock is right could take: whoever made them
 * may be gone for good.
 */
function isAhead(stamp: Stamp, ahead: number, { authors, now }: Restamping): boolean {
  if (stamp.version <= ahead) return false;
  const taken = versionAt(epochMs(now() + LIMITS.clockAheadMsMax));
  return authors.has(stamp.author) || stamp.version > taken;
}

function visitPage(
  batch: Batch,
  table: TableTrees,
  after: Key | undefined,
  visit: (batch: Batch, table: TableTrees, row: Row) => void,
): Key | undefined {
  const range = { start: after ?? false, exclusiveStart: after !== undefined, end: HIGH };
  const page: [Key, Uint8Array][] = [];
  table.entries.range({ ...range, limit: PAGE_ROWS }, (key, value) => {
    page.push([key, value]);
    return true;
  });
  for (const [key, value] of page) {
    visit(batch, table, rowAt(batch, table, key, idOfKey(key) ?? '', value));
  }
  return page.length < PAGE_ROWS ? undefined : page.at(-1)?.[0];
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

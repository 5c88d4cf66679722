/**
 * Taking rows of another node page by page: all of a table or the buckets in which it differs. Used
 * by snapshots and by repairs. One page is under way while another is stored, so that the pace is
 * the receiver's; a page that holds a stamp too far ahead waits for the clock.
 */
import type { EpochMs, RecordId } from '../base/brands.ts';
import { durationMs } from '../base/brands.ts';
import type { Clock } from '../base/clock.ts';
import type { ApplyQueue } from './apply-queue.ts';
import { BOUNDS } from './bounds.ts';
import { NO_CURSORS } from './cursors.ts';
import type { PageFrame, PageRow } from './frames.ts';
import type { ApplyReport, Item, ReplicaStore, ReplicatedTable } from './ports.ts';
import { isStateAhead, wantedRows } from './received.ts';
import type { Holdings } from './selection.ts';
import { type Session, SessionGone } from './session.ts';
import { differingBuckets, digestFrom } from './table-digest.ts';

export interface PageParts {
  readonly store: ReplicaStore;
  readonly queue: ApplyQueue;
  readonly clock: Clock;
  readonly own: () => Holdings;
  /** The latest stamp that is taken now. */
  readonly stampLimit: () => EpochMs;
  /** Something came and was taken. */
  readonly moved: () => void;
  /** Begins and ends a time for which this node itself is the one to wait for. */
  readonly busy: (isBusy: boolean) => void;
  readonly heldBack: () => void;
  /** Runs what raises cursors for which the log has no entries. */
  readonly raising: <T>(run: () => Promise<T>) => Promise<T>;
}

/** Where to go on after a page; `undefined` at the end. */
export type PagePlace = RecordId | undefined;

export interface PageWork {
  readonly table: ReplicatedTable;
  readonly after: PagePlace;
  readonly buckets: readonly number[] | undefined;
  /** Notes to set with a page. */
  readonly notes: (next: PagePlace) => Readonly<Record<string, unknown>> | undefined;
  readonly report?: ((report: ApplyReport) => void) | undefined;
}

export function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(durationMs(ms), resolve);
  });
}

const gone = (): SessionGone => new SessionGone('the connection has ended');

/** Takes all pages of a table; rejects with `SessionGone` when the connection ends. */
export async function takePages(session: Session, parts: PageParts, work: PageWork): Promise<void> {
  const { table } = work;
  let after = work.after;
  let asked = askPage(session, work, after);
  do {
    const { rows, next } = await asked;
    const wanted = wantedRows(rows, table, parts.own());
    if (wanted.some(({ state }) => isStateAhead(state, parts.stampLimit()))) {
      await holdBack(session, parts);
      asked = askPage(session, work, after);
      continue;
    }
    // The next page is on its way while this one is stored.
    if (next !== undefined) asked = askAhead(session, work, next);
    const report = await applyPage(parts, { ...work, rows: wanted, next });
    work.report?.(report);
    parts.moved();
    after = next;
    if (next === undefined) return;
  } while (session.isReady);
  throw gone();
}

function askAhead(session: Session, work: PageWork, after: PagePlace): Promise<PageFrame> {
  const asked = askPage(session, work, after);
  // What goes wrong is told to who waits for the page, later.
  asked.catch(() => undefined);
  return asked;
}

/** One page of a table, or of some of its buckets. */
export async function askPage(
  session: Session,
  work: Pick<PageWork, 'table' | 'buckets'>,
  after: PagePlace,
): Promise<PageFrame> {
  const { table, buckets } = work;
  const reply = await session.request((request) => ({
    ...{ kind: 'pageRequest', request, table: table.name },
    ...(after !== undefined && { after }),
    ...(buckets !== undefined && { buckets }),
  }));
  return pageOf(reply);
}

/** The clock comes closer, or the peer stamps its rows anew: the page is asked for again. */
async function holdBack(session: Session, parts: PageParts): Promise<void> {
  parts.heldBack();
  parts.busy(true);
  await pause(parts.clock, BOUNDS.heldPageMs);
  parts.busy(false);
  if (!session.isReady) throw gone();
}

function pageOf(reply: { readonly kind: string }): PageFrame {
  if (reply.kind !== 'page') throw new SessionGone('another answer came than was asked for');
  return reply as PageFrame;
}

interface TakenPage extends PageWork {
  readonly rows: readonly PageRow[];
  readonly next: PagePlace;
}

async function applyPage(
  parts: PageParts,
  { table, rows, next, notes }: TakenPage,
): Promise<ApplyReport> {
  parts.busy(true);
  try {
    const items = rows.map(
      ({ id, state }): Item => ({ kind: 'row', table: table.name, id, state }),
    );
    return await parts.queue.apply({ items, cursors: NO_CURSORS, notes: notes(next) });
  } finally {
    parts.busy(false);
  }
}

/** The buckets of a table in which the two nodes differ; `undefined` when that is not known. */
export async function compareTable(
  session: Session,
  store: ReplicaStore,
  table: ReplicatedTable,
): Promise<readonly number[] | undefined> {
  const reply = await session.request((request) => ({
    ...{ kind: 'digestRequest', request, table: table.name },
  }));
  const own = store.digest(table.name);
  if (reply.kind !== 'digests' || reply.buckets === undefined || own === undefined)
    return undefined;
  const theirs = digestFrom(reply.buckets, own.length / 2);
  return theirs === undefined ? undefined : differingBuckets(own, theirs);
}

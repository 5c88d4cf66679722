/**
 * Anti-entropy (SPEC §10): compares the digests of tables with another node's and takes the rows of
 * those buckets that differ twice, some time apart. What differs once only was under way. Each side
 * repairs itself; what it takes is merged like anything else and raises no cursor.
 */
import type { EpochMs, TableName } from '../base/brands.ts';
import { BOUNDS } from './bounds.ts';
import type { ReplicatedTable } from './ports.ts';
import { tableTravels } from './selection.ts';
import type { Session } from './session.ts';
import { digestOfTable } from './table-digest.ts';
import { compareTable, type PageParts, pause, takePages } from './take-pages.ts';

export interface VerifyReport {
  /** Tables compared, and buckets of them that differed twice. */
  readonly tables: number;
  readonly buckets: number;
  /** Rows that the other node knew more of. */
  readonly repaired: number;
  /** Tables that were equal, and when they were asked for. */
  readonly equal: readonly TableName[];
  readonly at: EpochMs;
}

/** Rejects with `SessionGone` when the connection ends. */
export async function verifyWith(session: Session, parts: PageParts): Promise<VerifyReport> {
  const { tables, selection } = parts.own();
  const taken = tables.filter(
    (table) => table.mode === 'rows' && tableTravels(selection, table, 'receive'),
  );
  const at = parts.store.now();
  const compared = await comparedTables(session, parts, taken);
  const differing = compared.filter(({ isEqual }) => !isEqual).map(({ table }) => table);
  const equal = compared.filter(({ isEqual }) => isEqual).map(({ table }) => table.name);
  parts.moved();
  let buckets = 0;
  let repaired = 0;
  for (const table of differing) {
    const found = await verifyTable(session, parts, table);
    buckets += found.buckets;
    repaired += found.repaired;
  }
  return { tables: taken.length, buckets, repaired, equal, at };
}

interface ComparedTable {
  readonly table: ReplicatedTable;
  readonly isEqual: boolean;
}

async function comparedTables(
  session: Session,
  { store }: PageParts,
  tables: readonly ReplicatedTable[],
): Promise<readonly ComparedTable[]> {
  const reply = await session.request((request) => ({ kind: 'digestRequest', request }));
  if (reply.kind !== 'digests') return [];
  const theirs = new Map(reply.tables.map(([name, high, low]) => [name, `${high}.${low}`]));
  return tables.flatMap((table) => {
    const digest = store.digest(table.name);
    const other = theirs.get(table.name);
    if (digest === undefined || other === undefined) return [];
    return [{ table, isEqual: digestOfTable(digest).join('.') === other }];
  });
}

async function verifyTable(
  session: Session,
  parts: PageParts,
  table: ReplicatedTable,
): Promise<{ readonly buckets: number; readonly repaired: number }> {
  const first = new Set(await compareTable(session, parts.store, table));
  parts.moved();
  if (first.size === 0) return { buckets: 0, repaired: 0 };
  parts.busy(true);
  await pause(parts.clock, BOUNDS.settleMs).finally(() => parts.busy(false));
  const second = (await compareTable(session, parts.store, table)) ?? [];
  parts.moved();
  const buckets = second.filter((bucket) => first.has(bucket));
  if (buckets.length === 0) return { buckets: 0, repaired: 0 };
  let repaired = 0;
  await takePages(session, parts, {
    ...{ table, buckets, after: undefined, notes: () => undefined },
    report: ({ merged }) => {
      repaired += merged;
    },
  });
  return { buckets: buckets.length, repaired };
}

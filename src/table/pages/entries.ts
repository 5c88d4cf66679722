/**
 * The entries of a page table: each page or variant is a row of the page's key, and a page that
 * varies has a `vary` row under the key itself, whose body names the fields (first line) and lists
 * the variants (a line each: variant, tab, language of the content).
 */
import type { DurationMs, EpochMs, TableName } from '../../base/brands.ts';
import { FOREVER, NEVER } from '../../cache/entry.ts';
import type { PageEntries, VaryRow } from '../../cache/pages/page-entries.ts';
import type { FillDraft } from '../../cache/ports.ts';
import { fillOp } from '../entries.ts';
import { groupScope } from '../record-groups.ts';
import type { StoreReader, StoreWriter, WriteOp } from '../store-port.ts';

export function pageEntries(
  table: TableName,
  reader: StoreReader,
  writer: StoreWriter,
): PageEntries {
  return {
    withEntry: (id, variant, fn) => reader.withEntry(table, id, variant, fn),
    async store(draft, row, evicted) {
      const ops: WriteOp[] = [fillOp(table, draft, withoutIndexes)];
      if (row !== undefined) ops.push(varyOp(table, draft, row));
      for (const variant of evicted) ops.push({ kind: 'evict', table, id: draft.id, variant });
      const [outcome] = await writer.commit(ops, 'process');
      return outcome?.kind === 'stored';
    },
    async invalidate(ids, prefixes) {
      const common = { kind: 'invalidate', table, soft: false, reason: 'invalidate' } as const;
      const ops = [
        ...ids.map((id): WriteOp => ({ ...common, scope: { kind: 'key', id } })),
        ...prefixes.map((prefix): WriteOp => ({ ...common, scope: { kind: 'prefix', prefix } })),
      ];
      await writer.commit(ops, 'process');
    },
    async invalidateGroups(groups) {
      const common = { kind: 'invalidate', table, soft: false, reason: 'invalidate' } as const;
      const ops = groups.map((group): WriteOp => {
        return { ...common, scope: { kind: 'group', group: groupScope(group) } };
      });
      await writer.commit(ops, 'process');
    },
  };
}

const withoutIndexes = (): undefined => undefined;

/** Without a stamp: it only says where to look, so nothing can outdate it. */
const varyOp = (table: TableName, draft: FillDraft, row: VaryRow): WriteOp => ({
  kind: 'put',
  table,
  id: draft.id,
  variant: '',
  entryKind: 'vary',
  status: 200,
  body: Buffer.from(row.text),
  meta: {},
  times: {
    freshUntil: FOREVER,
    staleWhileRevalidateUntil: NEVER,
    staleIfErrorUntil: NEVER,
    evictAt: Math.max(draft.evictAt, row.evictAt) as EpochMs,
  },
  storedAt: draft.storedAt,
  initialAge: 0 as DurationMs,
  mustValidate: false,
  staleForbidden: false,
  reason: 'fill',
});

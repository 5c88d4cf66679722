/**
 * What is known of the records that an application seeded: the file's record they were made from,
 * and their tag when that was done, in a table beside theirs which is exported to nobody. A record
 * whose tag is another one was changed by somebody, who is right.
 *
 *   no state, no record    → store it          state of this record  → nothing to do
 *   no state, a record     → somebody's own, unless it says the same: then it is known from now on
 *   state of another, and the record as it was left  → patch it; else it is somebody's own by now
 */
import { createHash } from 'node:crypto';
import type { EntityTag, RecordId } from '../base/brands.ts';
import type { Clock } from '../base/clock.ts';
import { DEFAULT_SETTINGS } from '../cache/default-policy.ts';
import { recordJson } from '../cache/record-json.ts';
import type { TableDefinition } from '../schema/definition.ts';
import { type DraftContext, type JsonRecord, patchOp, putOp } from './record-draft.ts';
import { recordIdFrom } from './record-key.ts';
import { type StoreReader, type StoreWriter, succeeded, type WriteOp } from './store-port.ts';
import type { Table } from './table.ts';
import { listDefinition } from './table-list.ts';

/** The table which holds what is known of the seeds of `definition`. */
export const seedDefinition = (definition: TableDefinition): TableDefinition => ({
  ...listDefinition(definition),
  name: `${definition.name}#seeds` as TableDefinition['name'],
  typeName: `${definition.typeName}#seeds`,
  primaryKeyType: definition.primaryKeyType,
  expiration: undefined,
  eviction: undefined,
});

export interface SeedParts {
  readonly table: Table;
  readonly reader: StoreReader;
  readonly writer: StoreWriter;
  readonly clock: Clock;
}

export interface Seeded {
  readonly stored: number;
  readonly changed: number;
  /** Records that are somebody's own. */
  readonly left: number;
  readonly refused: readonly { readonly id: RecordId; readonly reason: string }[];
}

interface Step {
  readonly id: RecordId;
  readonly hash: string;
  /** `undefined`: the record is as it should be, and only has to be known. */
  readonly op: WriteOp | undefined;
}

const BATCH_ROWS = 500;

/** Brings records of a file into their table; each names its key. */
export async function seedRecords(
  records: readonly JsonRecord[],
  parts: SeedParts,
): Promise<Seeded> {
  const counts = { stored: 0, changed: 0, left: 0, refused: [] as Seeded['refused'][number][] };
  for (let at = 0; at < records.length; at += BATCH_ROWS) {
    const steps: Step[] = [];
    for (const record of records.slice(at, at + BATCH_ROWS)) {
      const step = stepOf(record, parts);
      if (step === 'left') counts.left += 1;
      else if (step !== 'done') steps.push(step);
    }
    const ops = steps.flatMap(({ op }) => op ?? []);
    const outcomes = ops.length === 0 ? [] : await parts.table.commitEach(ops);
    const kept = steps.filter(({ op, id }) => {
      if (op === undefined) return true;
      const outcome = outcomes[ops.indexOf(op)];
      if (outcome !== undefined && succeeded(outcome)) {
        counts[op.kind === 'put' ? 'stored' : 'changed'] += 1;
        return true;
      }
      // Somebody wrote it just now: it is theirs.
      if (outcome?.kind === 'preconditionFailed') counts.left += 1;
      else counts.refused.push({ id, reason: String(outcome?.kind) });
      return false;
    });
    await remember(kept, parts);
  }
  return counts;
}

function stepOf(record: JsonRecord, parts: SeedParts): Step | 'done' | 'left' {
  const { definition } = parts.table;
  const id = recordIdFrom(definition, record[definition.primaryKey]);
  const hash = createHash('sha256').update(JSON.stringify(record)).digest('base64url');
  const known = knownOf(id, parts);
  if (known?.hash === hash) return 'done';
  const held = heldOf(id, parts);
  const context = parts.table.draftContext();
  if (known === undefined) {
    if (held === undefined) {
      const condition = { ifNoneMatch: '*' } as const;
      return { id, hash, op: putOp(context, id, record, 'client', { condition }) };
    }
    return saysTheSame(held.record, record) ? { id, hash, op: undefined } : 'left';
  }
  if (held?.tag !== known.tag) return 'left';
  const condition = { ifMatch: [held.tag] };
  return { id, hash, op: patchOp(context, id, record, 'merge', 'client', { condition }) };
}

const decoder = new TextDecoder();

interface Held {
  readonly tag: EntityTag;
  readonly record: JsonRecord;
}

function heldOf(id: RecordId, { table, reader }: SeedParts): Held | undefined {
  const { name, definition } = table;
  return reader.withEntry(name, id, '', (entry) => {
    if (entry?.kind !== 'record') return undefined;
    const record = JSON.parse(decoder.decode(recordJson(entry, definition.primaryKey)));
    return { tag: entry.entityTag, record: record as JsonRecord };
  });
}

function knownOf(id: RecordId, { table, reader }: SeedParts) {
  const { name } = seedDefinition(table.definition);
  return reader.withEntry(name, id, '', (entry) =>
    entry?.kind === 'record'
      ? (JSON.parse(decoder.decode(entry.body)) as { hash: string; tag: EntityTag })
      : undefined,
  );
}

const saysTheSame = (held: JsonRecord, seed: JsonRecord): boolean =>
  Object.entries(seed).every(([name, value]) => {
    return JSON.stringify(held[name]) === JSON.stringify(value);
  });

async function remember(steps: readonly Step[], parts: SeedParts): Promise<void> {
  const context: DraftContext = {
    definition: seedDefinition(parts.table.definition),
    settings: DEFAULT_SETTINGS,
    rules: { check: () => undefined, indexed: () => undefined },
    now: parts.clock.now(),
  };
  const ops = steps.flatMap(({ id, hash }) => {
    const held = heldOf(id, parts);
    return held === undefined ? [] : putOp(context, id, { hash, tag: held.tag }, 'client', {});
  });
  if (ops.length > 0) await parts.writer.commit(ops, 'process');
}

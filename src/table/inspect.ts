/**
 * What a table holds under a key and what a read would make of it now, for an operator's eyes: the
 * entry or its variants, every instant, what was invalidated since, the rule that decides, and the
 * policy with where its values come from. Looks, and changes nothing.
 */
import type { RecordId } from '../base/brands.ts';
import type { DecisionContext } from '../cache/decide.ts';
import type { Entry } from '../cache/entry.ts';
import { type DecisionReport, explainDecision } from '../cache/explain.ts';
import { variantsOf, varyNamesOf } from '../cache/pages/page-entries.ts';
import type { TableDefinition } from '../schema/definition.ts';
import { reportEntry, type StoredEntryReport } from './entry-report.ts';
import { pageRow } from './pages/page-row.ts';
import { type PolicyReport, reportPolicy } from './policy-report.ts';
import type { ScopeReport, StoreReader } from './store-port.ts';

export interface InspectParts {
  readonly definition: TableDefinition;
  readonly reader: StoreReader;
  /** Of a read that demands nothing of its own, at this instant. */
  readonly context: DecisionContext;
}

export interface EntryInspection extends StoredEntryReport {
  /** Fields of the request by which it was chosen; pages only. */
  readonly variant?: string | null | undefined;
  readonly decision: DecisionReport;
  /** Scopes of the entry that were invalidated after its fetch began. */
  readonly invalidatedBy: readonly ScopeReport[];
  readonly validators: { readonly entityTag: string | null; readonly lastModified: string | null };
}

export interface Inspection {
  readonly stored: boolean;
  /** What a read without demands of its own would do; with variants, each says it for itself. */
  readonly decision: DecisionReport;
  /** Fields of the request by which variants are told apart. */
  readonly varies: readonly string[];
  readonly entries: readonly EntryInspection[];
  readonly policy: PolicyReport;
}

export function inspectKey(id: RecordId, parts: InspectParts): Inspection {
  const { definition, reader } = parts;
  const { name } = definition;
  const policy = reportPolicy(parts.context.policy, definition);
  const first = reader.withEntry(name, id, '', (entry) =>
    entry?.kind === 'vary'
      ? { varies: varyNamesOf(entry.body), variants: [...variantsOf(entry.body).keys()] }
      : { entry: entry === undefined ? undefined : inspectEntry(entry, parts) },
  );
  if ('entry' in first) {
    const { entry } = first;
    const decision = entry?.decision ?? explain(undefined, 'uri-miss', parts);
    const stored = entry !== undefined;
    return { stored, decision, varies: [], entries: stored ? [entry] : [], policy };
  }
  const entries = first.variants.flatMap((variant) =>
    reader.withEntry(name, id, variant, (entry) =>
      entry === undefined ? [] : [inspectEntry(entry, parts)],
    ),
  );
  const decision = explain(undefined, 'vary-miss', parts);
  return { stored: true, decision, varies: first.varies, entries, policy };
}

function inspectEntry(entry: Entry, parts: InspectParts): EntryInspection {
  const { definition, reader, context } = parts;
  const verdict = reader.invalidations(definition.name).judge(entry);
  const { originTag, lastModified } = entry.meta;
  const isPage = definition.pages !== undefined;
  return {
    ...reportEntry(entry, verdict, context.now),
    ...(isPage ? { variant: pageRow(entry).variant } : {}),
    decision: explain(entry, 'uri-miss', parts),
    invalidatedBy: reader.newerScopes(definition.name, entry),
    validators: {
      entityTag: originTag ?? null,
      lastModified: lastModified === undefined ? null : new Date(lastModified).toISOString(),
    },
  };
}

function explain(
  entry: Entry | undefined,
  missing: 'uri-miss' | 'vary-miss',
  { definition, reader, context }: InspectParts,
): DecisionReport {
  const verdict =
    entry === undefined
      ? ({ kind: 'valid' } as const)
      : reader.invalidations(definition.name).judge(entry);
  return explainDecision(context, { entry, verdict, missing, handed: false });
}

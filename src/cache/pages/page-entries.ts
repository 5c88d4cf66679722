/**
 * The port through which pages are stored, and the `vary` row: by which fields a page's variants
 * are told apart, and which there are. Its form is text, so that a hit reads one line of it.
 */
import type { EpochMs, RecordId } from '../../base/brands.ts';
import type { Entry } from '../entry.ts';
import type { FillDraft } from '../ports.ts';
import { BETWEEN, type FieldLookup, preferredLanguages, variantKey } from './vary.ts';

export interface PageEntries {
  /** As `EntryStore.withEntry`. */
  withEntry<T>(id: RecordId, variant: string, fn: (entry: Entry | undefined) => T): T;
  /** Stores a page, with its `vary` row, and removes variants; whether the page is stored. */
  store(draft: FillDraft, row: VaryRow | undefined, evicted: readonly string[]): Promise<boolean>;
  /**
   * What a client's request changed: not used again without asking the origin. `prefixes`: all
   * pages whose keys begin so.
   */
  invalidate(ids: readonly string[], prefixes: readonly string[]): Promise<void>;
  /** The same of all pages in one of the groups [RFC9875 §3]. */
  invalidateGroups(groups: readonly string[]): Promise<void>;
}

export interface VaryRow {
  readonly text: string;
  readonly evictAt: EpochMs;
}

const NAMES = new Map<string, readonly string[]>();
const NAMES_MAX = 1_024;

/** The fields of a `vary` row; each spelling is split once. */
export function varyNamesOf(body: Uint8Array): readonly string[] {
  const end = body.indexOf(10);
  const text = Buffer.from(body.buffer, body.byteOffset, end < 0 ? body.length : end).toString();
  const known = NAMES.get(text);
  if (known !== undefined) return known;
  const names = text.split(',');
  if (NAMES.size < NAMES_MAX) NAMES.set(text, names);
  return names;
}

/** Variant → language of its content, the oldest first. */
export function variantsOf(body: Uint8Array): Map<string, string> {
  const [, ...lines] = Buffer.from(body).toString().split('\n');
  return new Map(lines.map((line) => line.split('\t') as [string, string]));
}

/** The row with one more variant, and the variants that had to give way. */
export function withVariant(
  row: Entry | undefined,
  names: readonly string[],
  added: { readonly variant: string; readonly language: string },
  max: number,
): { readonly row: VaryRow; readonly evicted: readonly string[] } {
  const isSame = row?.kind === 'vary' && varyNamesOf(row.body).join(',') === names.join(',');
  const variants = row !== undefined && isSame ? variantsOf(row.body) : new Map<string, string>();
  variants.delete(added.variant);
  variants.set(added.variant, added.language);
  const evicted = [...variants.keys()].slice(0, Math.max(0, variants.size - max));
  for (const variant of evicted) variants.delete(variant);
  const lines = [...variants].map(([variant, language]) => `${variant}\t${language}`);
  const evictAt = (row?.kind === 'vary' ? row.evictAt : 0) as EpochMs;
  return { row: { text: [names.join(','), ...lines].join('\n'), evictAt }, evicted };
}

/**
 * A variant in the language that the request prefers to all others, when only `Accept-Language`
 * tells it apart from what the request would select.
 */
export function variantInLanguage(row: Entry, field: FieldLookup): string | undefined {
  const names = varyNamesOf(row.body);
  if (!names.includes('accept-language')) return undefined;
  const wanted = preferredLanguages(field('accept-language'));
  const rest = withoutLanguage(variantKey(names, field));
  for (const [variant, language] of variantsOf(row.body)) {
    if (language === '' || !wanted.includes(language)) continue;
    if (withoutLanguage(variant) === rest) return variant;
  }
  return undefined;
}

const withoutLanguage = (variant: string): string =>
  variant
    .split(BETWEEN)
    .filter((part) => !part.startsWith('accept-language'))
    .join(BETWEEN);

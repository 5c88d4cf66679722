/**
 * A stored page as a row: what is known of it, without its body. Lists, searches, subscriptions and
 * operations see pages so; the body is at the page's own address only. The attributes are those of
 * every page type that declares none itself.
 */
import type { EpochMs } from '../../base/brands.ts';
import { type Entry, FOREVER, NEVER } from '../../cache/entry.ts';
import { variantsOf, varyNamesOf } from '../../cache/pages/page-entries.ts';
import { isGroupOnHost } from '../../cache/pages/unsafe.ts';
import type { InvalidationVerdict } from '../../cache/ports.ts';

export type PageState = 'fresh' | 'stale' | 'invalidated';

export interface PageRow {
  /** The key: host, path and query, and the fields of the request that are in the key. */
  readonly id: string;
  /** Host, path and query; the scheme is not in the key. */
  readonly url: string;
  readonly host: string;
  readonly path: string;
  readonly query: string | null;
  readonly status: number;
  readonly contentType: string | null;
  readonly size: number;
  readonly etag: string;
  readonly storedAt: string | null;
  readonly freshUntil: string | null;
  /** Until when it may be used at all, by the longest of its permissions. */
  readonly usableUntil: string | null;
  readonly state?: PageState | undefined;
  readonly groups: readonly string[];
  /** Fields of the request by which it was chosen among its variants. */
  readonly variant: string | null;
}

/** `state` is left out where no instant is at hand. */
export function pageRow(
  entry: Entry,
  judged?: { readonly verdict: InvalidationVerdict; readonly now: EpochMs } | undefined,
): PageRow {
  const id = String(entry.id);
  const url = id.split('\n', 1)[0] ?? id;
  const slash = url.indexOf('/');
  const target = slash < 0 ? '/' : url.slice(slash);
  const mark = target.indexOf('?');
  const { meta } = entry;
  const usable = Math.max(
    entry.freshUntil,
    entry.staleWhileRevalidateUntil,
    entry.staleIfErrorUntil,
  ) as EpochMs;
  return {
    id,
    url,
    host: slash < 0 ? url : url.slice(0, slash),
    path: mark < 0 ? target : target.slice(0, mark),
    query: mark < 0 ? null : target.slice(mark + 1),
    status: entry.status,
    contentType: contentTypeOf(meta.fieldLines),
    size: entry.bodyLength,
    etag: entry.entityTag,
    storedAt: instant(entry.storedAt),
    freshUntil: instant(entry.freshUntil),
    usableUntil: instant(usable),
    ...(judged === undefined ? {} : { state: stateOf(entry, judged.verdict, judged.now) }),
    groups: (meta.groups ?? []).filter((group) => !isGroupOnHost(group)),
    variant: variantOf(meta),
  };
}

/** The path in a page's key. */
export function pathOfPage(id: string): string {
  const slash = id.indexOf('/');
  return slash < 0 ? '/' : (/^[^?\n]*/.exec(id.slice(slash))?.[0] ?? '/');
}

/** What subscribers are told of a page that varies: any of its variants may have changed. */
export function varyingPage(row: Entry): object {
  const { id, url, host, path, query } = pageRow(row);
  return { id, url, host, path, query, varies: varyNamesOf(row.body) };
}

/** The variants that the row of a varying page names. */
export const variantsOfPage = (row: Entry): readonly string[] => [...variantsOf(row.body).keys()];

export function stateOf(
  entry: Pick<Entry, 'freshUntil'>,
  verdict: InvalidationVerdict,
  now: EpochMs,
): PageState {
  if (verdict.kind === 'hard') return 'invalidated';
  return verdict.kind === 'soft' || entry.freshUntil <= now ? 'stale' : 'fresh';
}

/** Field lines stand as name, value, name, value. */
function contentTypeOf(fieldLines: string | undefined): string | null {
  const lines = fieldLines?.split('\n') ?? [];
  for (let at = 0; at + 1 < lines.length; at += 2) {
    if (lines[at]?.toLowerCase() === 'content-type') return lines[at + 1] ?? null;
  }
  return null;
}

function variantOf({ variant }: Entry['meta']): string | null {
  if (variant === undefined) return null;
  return Object.entries(variant)
    .map(([name, value]) => `${name}=${value}`)
    .join('; ');
}

function instant(at: EpochMs): string | null {
  return at === NEVER || at >= FOREVER ? null : new Date(at).toISOString();
}

/**
 * What a developer should hear of: groups that did not fit a header, or were read after it was
 * sent. Each is said once for a page's path, and for a bounded number of paths.
 */
import type { ToldGroups } from './group-set.ts';

export type RenderNotice =
  /** Records of these tables were too many to be named: any change of a table now counts. */
  | { readonly kind: 'widened'; readonly page: string; readonly tables: readonly string[] }
  /** Names that found no room even so; the page is not to be cached by shared caches. */
  | { readonly kind: 'lost'; readonly page: string; readonly count: number }
  /** Read after the head was sent: a change of these does not make the page stale. */
  | { readonly kind: 'late'; readonly page: string; readonly groups: readonly string[] };

const SAID_MAX = 200;

export function createNotices(onNotice: ((notice: RenderNotice) => void) | undefined) {
  const say = onNotice ?? warnOnce();
  return {
    told(page: string, { widened, lost }: ToldGroups): void {
      if (widened.length > 0) say({ kind: 'widened', page, tables: widened });
      if (lost > 0) say({ kind: 'lost', page, count: lost });
    },
    late(page: string, groups: readonly string[]): void {
      say({ kind: 'late', page, groups });
    },
  };
}

function warnOnce(): (notice: RenderNotice) => void {
  const said = new Set<string>();
  return (notice) => {
    const key = `${notice.kind} ${notice.page}`;
    if (said.has(key) || said.size >= SAID_MAX) return;
    said.add(key);
    process.emitWarning(textOf(notice), 'MillraceWarning');
  };
}

function textOf(notice: RenderNotice): string {
  switch (notice.kind) {
    case 'widened':
      return (
        `${notice.page} reads more records than one header names: any change of ` +
        `${notice.tables.join(', ')} makes it stale. Query the table instead of reading its ` +
        'records one by one'
      );
    case 'lost':
      return (
        `${notice.page} names more groups than one header holds: ${notice.count} are left out, ` +
        'and shared caches are told not to keep it. Name fewer tags, or raise bounds'
      );
    case 'late':
      return (
        `${notice.page} read ${notice.groups.slice(0, 3).join(', ')} after its head was sent: ` +
        'their changes do not make it stale. Read them before the first byte, or declare() them'
      );
  }
}

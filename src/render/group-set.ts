/**
 * The groups that one page names, gathered while it is rendered: of each group the oldest version
 * that was read, since a page made from it at two versions is as old as the older. Bounded twice.
 * What is gathered never exceeds `GROUPS_HELD_MAX`, and what is told fits a header: when records
 * are too many, those of one table give way to the group of the whole table, the largest table
 * first. That is coarser (every change of the table makes the page stale) and never wrong.
 */
import { formatCacheGroups, groupScope, parseRecordGroup } from '../table/record-groups.ts';

export interface GroupBounds {
  /** Names in one header field; the node reads no more than 256. */
  readonly namesMax: number;
  /** Characters of one header field. */
  readonly charsMax: number;
}

export const GROUP_BOUNDS: GroupBounds = { namesMax: 256, charsMax: 8 * 1024 };

export interface ToldGroups {
  readonly names: readonly string[];
  /** Tables whose records were too many to be named one by one. */
  readonly widened: readonly string[];
  /** Names that found no room: what may not be kept by a cache, since it could not be purged. */
  readonly lost: number;
}

/** Names held for one page before records of large tables are held as the table. */
const GROUPS_HELD_MAX = 4_096;

export class GroupSet {
  /** Group without its version → the oldest version; `undefined` once it came without one. */
  readonly #versions = new Map<string, number | undefined>();

  get size(): number {
    return this.#versions.size;
  }

  add(groups: Iterable<string>): void {
    for (const group of groups) this.#addOne(group);
    if (this.#versions.size > GROUPS_HELD_MAX) this.#widenLargest();
  }

  clear(): void {
    this.#versions.clear();
  }

  /** Whether a change of what the group stands for is told of by a group of its whole table. */
  covers(group: string): boolean {
    const scope = groupScope(group);
    return this.#versions.has(scope) || this.#versions.has(parseRecordGroup(scope)?.table ?? scope);
  }

  names(): string[] {
    return [...this.#versions].map(([scope, version]) =>
      version === undefined ? scope : `${scope};v=${version}`,
    );
  }

  /** What one header says. */
  told(bounds: GroupBounds = GROUP_BOUNDS): ToldGroups {
    const all = this.names();
    if (fits(all, bounds)) return { names: all, widened: [], lost: 0 };
    const narrowed = new GroupSet();
    narrowed.add(all);
    const widened: string[] = [];
    for (;;) {
      const names = narrowed.names();
      if (fits(names, bounds)) return { names, widened, lost: 0 };
      const table = narrowed.#widenLargest();
      if (table === undefined) return cut(names, widened, bounds);
      widened.push(table);
    }
  }

  #addOne(group: string): void {
    const scope = groupScope(group);
    const digits = scope.length === group.length ? undefined : group.slice(scope.length + 3);
    const version = digits === undefined ? undefined : Number(digits);
    if (!this.#versions.has(scope)) {
      this.#versions.set(scope, version);
      return;
    }
    const known = this.#versions.get(scope);
    const oldest = version === undefined || known === undefined ? undefined : min(version, known);
    this.#versions.set(scope, oldest);
  }

  /**
   * Names a table in place of its records. Without a version: that of one record says nothing about
   * when the others were read. The node then goes by when it began to ask for the page.
   */
  #widenLargest(): string | undefined {
    const counts = new Map<string, number>();
    for (const scope of this.#versions.keys()) {
      const named = parseRecordGroup(scope);
      if (named?.id === undefined) continue;
      counts.set(named.table, (counts.get(named.table) ?? 0) + 1);
    }
    const [largest] = [...counts].sort(([, left], [, right]) => right - left);
    if (largest === undefined || largest[1] < 2) return undefined;
    const [table] = largest;
    for (const scope of this.#versions.keys()) {
      if (scope.startsWith(`${table}/`)) this.#versions.delete(scope);
    }
    this.#versions.set(table, undefined);
    return table;
  }
}

const min = (left: number, right: number): number => (left < right ? left : right);

const fits = (names: readonly string[], { namesMax, charsMax }: GroupBounds): boolean =>
  names.length <= namesMax && formatCacheGroups(names).length <= charsMax;

function cut(names: readonly string[], widened: string[], bounds: GroupBounds): ToldGroups {
  const kept: string[] = [];
  let chars = 0;
  for (const name of names) {
    chars += formatCacheGroups([name]).length + 2;
    if (kept.length === bounds.namesMax || chars > bounds.charsMax) break;
    kept.push(name);
  }
  return { names: kept, widened, lost: names.length - kept.length };
}

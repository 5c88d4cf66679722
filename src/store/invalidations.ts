/**
 * The verdict on an entry: has anything that it belongs to been invalidated since its stamp? One
 * comparison answers for a table in which nothing newer was invalidated; otherwise the table's own
 * scope, its floors, the key, the prefixes and the groups are looked at, in that order.
 *
 * A hard invalidation beats a soft one. Of several soft ones the newest instant is known and
 * counts.
 */
import type { RecordId, Sequence } from '../base/brands.ts';
import { type EpochMs, epochMs } from '../base/brands.ts';
import type { Entry } from '../cache/entry.ts';
import type { Invalidations, InvalidationVerdict } from '../cache/ports.ts';
import { groupScope } from '../table/record-groups.ts';
import type { ScopeReport } from '../table/store-port.ts';
import { findScope, type ScopeTimes, scopeHash, scopesInForce } from './scope-table.ts';
import { committedSequence, SCOPE, type SharedState, TABLE, WORD } from './shared-state.ts';

/** A prefix that was invalidated. There are few: each is compared with the id. */
export interface PrefixScope extends ScopeTimes {
  readonly prefix: string;
}

export type IsNewer = (group: string, at: EpochMs) => boolean;

export interface InvalidationParts {
  /** Reads the table's prefix scopes; called again only when some prefix changed. */
  readonly loadPrefixes: () => readonly PrefixScope[];
  /** Whether the node had by then a newer state of the record than the group names. */
  readonly isNewer: IsNewer;
}

const VALID: InvalidationVerdict = Object.freeze({ kind: 'valid' });
const HARD: InvalidationVerdict = Object.freeze({ kind: 'hard' });

export class TableInvalidations implements Invalidations {
  readonly #state: SharedState;
  readonly #table: number;
  readonly #line: number;
  readonly #loadPrefixes: () => readonly PrefixScope[];
  readonly #isNewer: IsNewer;
  #prefixes: readonly PrefixScope[] = [];
  #prefixesSeen = -1;
  #softAt = 0;

  constructor(state: SharedState, table: number, { loadPrefixes, isNewer }: InvalidationParts) {
    this.#state = state;
    this.#table = table;
    this.#line = table * TABLE.stride;
    this.#loadPrefixes = loadPrefixes;
    this.#isNewer = isNewer;
  }

  stamp(): Sequence {
    return committedSequence(this.#state);
  }

  judge(entry: Entry): InvalidationVerdict {
    if (this.#field(TABLE.newest) <= entry.stamp) return VALID;
    return this.#judgeScopes(entry.id, entry.stamp, () => entry.meta.groups);
  }

  /**
   * Whether an entry to come may not be stored. A soft invalidation of one of its groups is no
   * reason: it is stored stale. Else a page made from records that change all the time never were.
   */
  supersedes(id: RecordId, stamp: Sequence, groups: readonly string[] | undefined): boolean {
    if (this.#field(TABLE.newest) <= stamp) return false;
    if (this.#field(TABLE.floorFill) > stamp) return true;
    if (this.#isFloorHard(stamp) || this.#isGroupHard(stamp, () => groups)) return true;
    this.#softAt = 0;
    return this.#isOwnHard(id, stamp) || this.#softAt !== 0;
  }

  newest(id: RecordId): Sequence {
    if (this.#field(TABLE.newest) === 0) return 0 as Sequence;
    let newest = Math.max(
      this.#field(TABLE.hard),
      this.#field(TABLE.soft),
      this.#field(TABLE.floorFill),
    );
    if (this.#field(TABLE.hasKeys) !== 0) {
      const scopes = scopesInForce(this.#state);
      const at = findScope(scopes, scopeHash(this.#table, 'key', id));
      if (at >= 0) {
        newest = Math.max(newest, scopes[at + SCOPE.hard] ?? 0, scopes[at + SCOPE.soft] ?? 0);
      }
    }
    for (const scope of this.#prefixScopes()) {
      if (String(id).startsWith(scope.prefix)) newest = Math.max(newest, scope.hard, scope.soft);
    }
    return newest as Sequence;
  }

  hasNewer(groups: readonly string[] | undefined, at: EpochMs): boolean {
    return groups?.some((group) => this.#isNewer(group, at)) ?? false;
  }

  /** What `judge` went by, scope by scope. */
  newerScopes(entry: Entry): ScopeReport[] {
    const { id, stamp } = entry;
    const times = (hard: number, soft: number, softAt: number): ScopeTimes => {
      return { hard: this.#field(hard), soft: this.#field(soft), softAt: this.#field(softAt) };
    };
    const hashed = (hash: number): ScopeTimes => {
      const scopes = scopesInForce(this.#state);
      const at = findScope(scopes, hash);
      const field = (one: number): number => (at < 0 ? 0 : (scopes[at + one] ?? 0));
      return { hard: field(SCOPE.hard), soft: field(SCOPE.soft), softAt: field(SCOPE.softAt) };
    };
    const groups = [...new Set((entry.meta.groups ?? []).map(groupScope))];
    const scopes: readonly (readonly [ScopeReport['scope'], string, ScopeTimes])[] = [
      ['table', '', times(TABLE.hard, TABLE.soft, TABLE.softAt)],
      ['floor', '', times(TABLE.floorHard, TABLE.floorSoft, TABLE.floorSoftAt)],
      ['key', String(id), hashed(scopeHash(this.#table, 'key', id))],
      ...this.#prefixScopes()
        .filter(({ prefix }) => String(id).startsWith(prefix))
        .map((scope) => ['prefix', scope.prefix, scope] as const),
      ...groups.map(
        (name) => ['group', name, hashed(scopeHash(this.#table, 'group', name))] as const,
      ),
    ];
    return scopes.flatMap(([scope, name, found]) => newerThan(stamp, scope, name, found));
  }

  #field(field: number): number {
    return this.#state.tables[this.#line + field] ?? 0;
  }

  #judgeScopes(
    id: RecordId,
    stamp: Sequence,
    groups: () => readonly string[] | undefined,
  ): InvalidationVerdict {
    this.#softAt = 0;
    const hard =
      this.#isOwnHard(id, stamp) || this.#isFloorHard(stamp) || this.#isGroupHard(stamp, groups);
    if (hard) return HARD;
    return this.#softAt === 0 ? VALID : { kind: 'soft', at: epochMs(this.#softAt) as EpochMs };
  }

  /** The scopes that are known without the entry's groups: its table, key and prefixes. */
  #isOwnHard(id: RecordId, stamp: Sequence): boolean {
    const hard = this.#field(TABLE.hard);
    const soft = this.#field(TABLE.soft);
    return (
      this.#isHard(hard, soft, this.#field(TABLE.softAt), stamp) ||
      this.#isKeyHard(id, stamp) ||
      this.#isPrefixHard(id, stamp)
    );
  }

  #isFloorHard(stamp: Sequence): boolean {
    const hard = this.#field(TABLE.floorHard);
    const soft = this.#field(TABLE.floorSoft);
    return this.#isHard(hard, soft, this.#field(TABLE.floorSoftAt), stamp);
  }

  /** Whether the scope is hard since the stamp; a soft one is noted on the way. */
  #isHard(hard: number, soft: number, softAt: number, stamp: Sequence): boolean {
    if (hard > stamp) return true;
    if (soft > stamp && softAt > this.#softAt) this.#softAt = softAt;
    return false;
  }

  #isScopeHard(hash: number, stamp: Sequence): boolean {
    const scopes = scopesInForce(this.#state);
    const at = findScope(scopes, hash);
    if (at < 0) return false;
    return this.#isHard(
      scopes[at + SCOPE.hard] ?? 0,
      scopes[at + SCOPE.soft] ?? 0,
      scopes[at + SCOPE.softAt] ?? 0,
      stamp,
    );
  }

  #isKeyHard(id: RecordId, stamp: Sequence): boolean {
    if (this.#field(TABLE.hasKeys) === 0) return false;
    return this.#isScopeHard(scopeHash(this.#table, 'key', id), stamp);
  }

  #isPrefixHard(id: RecordId, stamp: Sequence): boolean {
    for (const scope of this.#prefixScopes()) {
      if (!String(id).startsWith(scope.prefix)) continue;
      if (this.#isHard(scope.hard, scope.soft, scope.softAt, stamp)) return true;
    }
    return false;
  }

  #isGroupHard(stamp: Sequence, groups: () => readonly string[] | undefined): boolean {
    if (this.#field(TABLE.hasGroups) === 0) return false;
    for (const group of groups() ?? []) {
      if (this.#isScopeHard(scopeHash(this.#table, 'group', groupScope(group)), stamp)) return true;
    }
    return false;
  }

  #prefixScopes(): readonly PrefixScope[] {
    if (this.#field(TABLE.hasPrefixes) === 0) return this.#prefixes;
    const seen = Atomics.load(this.#state.words, WORD.prefixes);
    if (seen !== this.#prefixesSeen) {
      this.#prefixes = this.#loadPrefixes();
      this.#prefixesSeen = seen;
    }
    return this.#prefixes;
  }
}

function newerThan(
  stamp: Sequence,
  scope: ScopeReport['scope'],
  name: string,
  { hard, soft, softAt }: ScopeTimes,
): ScopeReport[] {
  const found: ScopeReport[] = [];
  if (hard > stamp) found.push({ scope, name, kind: 'hard', sequence: hard, at: null });
  if (soft > stamp) {
    const at = new Date(softAt).toISOString();
    found.push({ scope, name, kind: 'soft', sequence: soft, at });
  }
  return found;
}

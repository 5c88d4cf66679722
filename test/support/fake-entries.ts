/**
 * Entries and invalidations of one table in memory, for tests of the read path alone. Stricter than
 * a real store: what it hands out is revoked when the callback returns, so that a view which
 * outlives it fails the test at once.
 */
import {
  type EpochMs,
  nodeId,
  type RecordId,
  recordVersion,
  type Sequence,
  sequence,
} from '../../src/base/brands.ts';
import type { Entry } from '../../src/cache/entry.ts';
import { entryFields, entryOfDraft, plainEntry } from '../../src/cache/plain-entry.ts';
import type {
  EntryStore,
  FillDraft,
  FillOutcome,
  Invalidations,
  InvalidationVerdict,
} from '../../src/cache/ports.ts';
import { tagOf } from './entries.ts';

type Scope = { readonly at: Sequence; readonly soft: EpochMs | undefined };

export class FakeEntries implements EntryStore, Invalidations {
  readonly rows = new Map<string, Entry>();
  readonly fills: FillDraft[] = [];
  /** Commits wait for this; `undefined` commits at once. */
  gate: Promise<void> | undefined;
  /** What becomes of the next fills. */
  fate: 'stored' | 'shed' | 'fault' = 'stored';
  /** Every invalidation of a scope: a soft one after a hard one does not undo it. */
  readonly #scopes = new Map<string, Scope[]>();
  #sequence = 100;
  #version = 0;

  withEntry<T>(id: RecordId, variant: string, fn: (entry: Entry | undefined) => T): T {
    const row = this.rows.get(keyOf(id, variant));
    if (row === undefined) return fn(undefined);
    const owned = plainEntry(entryFields(row));
    const { proxy, revoke } = Proxy.revocable({ ...owned, retain: () => owned }, {});
    try {
      return fn(proxy);
    } finally {
      revoke();
    }
  }

  /** Groups of records of other tables that have changed, and when. */
  readonly changed = new Map<string, EpochMs>();

  hasNewer(groups: readonly string[] | undefined, at: EpochMs): boolean {
    return groups?.some((group) => (this.changed.get(group) ?? Infinity) <= at) ?? false;
  }

  async fill(draft: FillDraft): Promise<FillOutcome> {
    this.fills.push(draft);
    if (this.gate !== undefined) await this.gate;
    if (this.fate === 'fault') throw new Error('the disk is on fire');
    if (this.fate === 'shed') return { kind: 'shed' };
    const key = keyOf(draft.id, draft.variant);
    if (this.rows.get(key)?.version !== draft.replaces) return { kind: 'superseded' };
    if (this.judge(entryOfDraft(draft, tagOf)).kind !== 'valid') return { kind: 'superseded' };
    const version = this.#nextVersion();
    this.rows.set(key, entryOfDraft(draft, tagOf, version));
    return { kind: 'stored', sequence: this.#nextSequence(), version };
  }

  /** Puts a row as a client's write or a test would; its stamp is the commit's sequence. */
  put(entry: Entry, variant = ''): void {
    const stamp = this.#nextSequence();
    const version = this.#nextVersion();
    const author = nodeId(7);
    const row = plainEntry({ ...entryFields(entry), stamp, version, author });
    this.rows.set(keyOf(entry.id, variant), row);
  }

  /** `soft` is the instant from which the scope counts as stale. */
  invalidate(scope: { id: RecordId } | { group: string } | 'table', soft?: EpochMs): void {
    const name =
      scope === 'table' ? 'table' : 'id' in scope ? `id ${scope.id}` : `group ${scope.group}`;
    const before = this.#scopes.get(name) ?? [];
    this.#scopes.set(name, [...before, { at: this.#nextSequence(), soft }]);
  }

  /** In force before it is committed: it counts from a sequence that is still to come. */
  foresee(id: RecordId): void {
    const name = `id ${id}`;
    const before = this.#scopes.get(name) ?? [];
    this.#scopes.set(name, [...before, { at: sequence(this.#sequence + 1), soft: undefined }]);
  }

  stamp(): Sequence {
    return sequence(this.#sequence);
  }

  newest(id: RecordId): Sequence {
    const scopes = ['table', `id ${id}`].flatMap((name) => this.#scopes.get(name) ?? []);
    return sequence(Math.max(0, ...scopes.map((scope) => scope.at)));
  }

  judge(entry: Entry): InvalidationVerdict {
    const names = [
      'table',
      `id ${entry.id}`,
      ...(entry.meta.groups ?? []).map((g) => `group ${g}`),
    ];
    const newer = names
      .flatMap((name) => this.#scopes.get(name) ?? [])
      .filter((scope) => scope.at > entry.stamp);
    if (newer.length === 0) return { kind: 'valid' };
    const soft = newer.map((scope) => scope.soft).filter((at) => at !== undefined);
    if (soft.length < newer.length) return { kind: 'hard' };
    return { kind: 'soft', at: Math.min(...soft) as EpochMs };
  }

  /** Every row by key, for comparing before and after. */
  snapshot(): string {
    return JSON.stringify([...this.rows].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  #nextSequence(): Sequence {
    this.#sequence += 1;
    return sequence(this.#sequence);
  }

  #nextVersion() {
    this.#version += 1;
    return recordVersion(this.#version);
  }
}

const keyOf = (id: RecordId, variant: string): string => `${typeof id} ${id} ${variant}`;

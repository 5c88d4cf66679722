/**
 * Invalidation scopes in shared memory: for each scope the sequence of its last hard and its last
 * soft invalidation. Looking one up makes nothing and takes no lock. Slots are only added to; when
 * scopes are dropped, the survivors are written to the other of two tables and readers are pointed
 * there.
 *
 * A scope is found by a 52-bit hash. Two scopes that share one are invalidated together, which
 * costs a refetch and is never wrong.
 */
import type { RecordId, Sequence } from '../base/brands.ts';
import { SCOPE, type SharedState, WORD } from './shared-state.ts';

export type ScopeKind = 'key' | 'group';

/** When a scope was last invalidated; 0 for never. */
export interface ScopeTimes {
  hard: number;
  soft: number;
  /** Instant of the soft one. */
  softAt: number;
}

/** Never 0, which marks a free slot. */
export function scopeHash(table: number, kind: ScopeKind, name: RecordId): number {
  const text = typeof name === 'number' ? String(name) : name;
  let low = kind === 'group' ? 0x9747b28c : typeof name === 'number' ? 0x1b873593 : 0x811c9dc5;
  let high = Math.imul(table + 1, 0x85ebca6b) ^ low;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    low = Math.imul(low ^ unit, 0x01000193);
    high = Math.imul(high ^ unit, 0x5bd1e995);
    high ^= high >>> 13;
  }
  low = Math.imul(low ^ (low >>> 16), 0x85ebca6b);
  high = Math.imul(high ^ (high >>> 15), 0xc2b2ae35);
  return ((high ^ (high >>> 16)) >>> 0) * 2 ** 20 + ((low ^ (low >>> 13)) & 0xfffff) + 1;
}

const slotOf = (hash: number, slots: number): number => (hash % slots) * SCOPE.stride;

/** Index of the scope's fields in the table in force, -1 when it was never invalidated. */
export function findScope(scopes: Float64Array, hash: number): number {
  const slots = scopes.length / SCOPE.stride;
  let at = slotOf(hash, slots);
  for (let probes = 0; probes < slots; probes += 1) {
    const found = scopes[at + SCOPE.hash] ?? 0;
    if (found === hash) return at;
    if (found === 0) return -1;
    at += SCOPE.stride;
    if (at >= scopes.length) at = 0;
  }
  return -1;
}

export function scopesInForce(state: SharedState): Float64Array {
  return state.scopes[Atomics.load(state.words, WORD.scopeTable) === 0 ? 0 : 1];
}

/**
 * Writes a scope; the table must have room. The fields come before the hash that makes them found.
 */
export function putScope(scopes: Float64Array, hash: number, times: ScopeTimes): void {
  const slots = scopes.length / SCOPE.stride;
  let at = slotOf(hash, slots);
  for (let probes = 0; probes < slots; probes += 1) {
    const found = scopes[at + SCOPE.hash] ?? 0;
    if (found === hash || found === 0) break;
    at += SCOPE.stride;
    if (at >= scopes.length) at = 0;
  }
  // Of two scopes with one hash the newer times stand.
  scopes[at + SCOPE.softAt] = Math.max(scopes[at + SCOPE.softAt] ?? 0, times.softAt);
  scopes[at + SCOPE.hard] = Math.max(scopes[at + SCOPE.hard] ?? 0, times.hard);
  scopes[at + SCOPE.soft] = Math.max(scopes[at + SCOPE.soft] ?? 0, times.soft);
  scopes[at + SCOPE.hash] = hash;
}

/** Replaces the whole table by `fill`, which puts the scopes that stay. */
export function replaceScopes(state: SharedState, fill: (scopes: Float64Array) => void): void {
  const next = Atomics.load(state.words, WORD.scopeTable) === 0 ? 1 : 0;
  const scopes = state.scopes[next];
  scopes.fill(0);
  fill(scopes);
  Atomics.store(state.words, WORD.scopeTable, next);
}

export const newestOf = (times: ScopeTimes): Sequence =>
  Math.max(times.hard, times.soft) as Sequence;

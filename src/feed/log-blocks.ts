/**
 * The change log as those who catch up read it: in aligned blocks, kept for a while, so that a
 * thousand clients who lost their connection together cause one reading of the log. Row bodies are
 * dropped (catching up sends current rows); messages keep theirs. Invariant: a block is kept only
 * when no later commit can add to it, except the newest, which is kept until the log grows.
 */

import { type BoundedCache, type CacheFigures, createBoundedCache } from '../base/bounded-cache.ts';
import { type Sequence, sequence } from '../base/brands.ts';
import type { Change } from '../table/store-port.ts';
import type { ChangeSource } from './change-source.ts';

const CACHE_BYTES = 8 * 1024 * 1024;
/** What a change without its bodies is reckoned to take. */
const CHANGE_BYTES = 200;

export class LogBlocks {
  readonly #source: ChangeSource;
  readonly #size: number;
  readonly #blocks: BoundedCache<readonly Change[]> = createBoundedCache('log-blocks', CACHE_BYTES);
  #newest: readonly Change[] = [];
  #newestStart = -1;
  #newestEnd = -1;

  get figures(): CacheFigures {
    return this.#blocks;
  }

  constructor(source: ChangeSource, size: number) {
    this.#source = source;
    this.#size = size;
  }

  /**
   * Visits the changes after `after`, at most to the end of the block it falls in, until `visit`
   * answers false. Returns how far it came: the last sequence looked at.
   */
  visit(after: Sequence, visit: (change: Change) => boolean): Sequence {
    const start = after - (after % this.#size);
    const last = this.#source.lastSequence();
    const end = Math.min(start + this.#size, last);
    for (const change of this.#block(start, end)) {
      if (change.sequence <= after) continue;
      if (!visit(change)) return sequence(change.sequence - 1);
    }
    return sequence(Math.max(end, after));
  }

  #block(start: number, end: number): readonly Change[] {
    const complete = end === start + this.#size;
    if (complete) return this.#blocks.get(`${start}`) ?? this.#readComplete(start, end);
    if (start !== this.#newestStart || end !== this.#newestEnd) {
      this.#newest = this.#read(start, end);
      this.#newestStart = start;
      this.#newestEnd = end;
    }
    return this.#newest;
  }

  #readComplete(start: number, end: number): readonly Change[] {
    const block = this.#read(start, end);
    let bytes = CHANGE_BYTES;
    for (const change of block) bytes += CHANGE_BYTES + (change.after?.byteLength ?? 0);
    this.#blocks.set(`${start}`, block, bytes);
    return block;
  }

  #read(start: number, end: number): readonly Change[] {
    const block: Change[] = [];
    let after = start;
    while (after < end) {
      const { changes, next } = this.#source.changesAfter(sequence(after), this.#size);
      for (const change of changes) if (change.sequence <= end) block.push(withoutRows(change));
      if (next <= after) break;
      after = next;
    }
    return block;
  }
}

const withoutRows = (change: Change): Change =>
  change.op === 'message' || change.publication !== undefined
    ? change
    : { ...change, before: undefined, after: undefined };

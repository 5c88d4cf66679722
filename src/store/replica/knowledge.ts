/**
 * How much of the log of every author is held here, and the notes that replication keeps: written
 * in the commit of the rows they speak of, read once at start. What is told to other nodes is the
 * *horizon*: the newest commit that is on the disk, with the cursors of that very commit.
 */
import { type NodeId, nodeId, type Sequence, sequence } from '../../base/brands.ts';
import { AHEAD_NOTE, obeyedAtStart } from '../../base/obeyed-ahead.ts';
import { ObeyedPlaces } from '../../cache/obeyed-places.ts';
import type { Cursors, Horizon } from '../../replication/ports.ts';
import type { Batch } from '../commit/batch.ts';
import { HIGH, type Tree } from '../engine.ts';
import { packPlain, unpackPlain } from '../entry-format.ts';
import type { Life } from '../meta.ts';

const NONE = sequence(0);

export class Knowledge {
  readonly lives: readonly Life[];
  readonly #notes = new Map<string, unknown>();
  #cursors: Cursors;
  /** The last change that was made here, as far as this run can tell: never less. */
  #own: Sequence;
  #horizon: Horizon;
  /** Where invalidations had effect. */
  readonly obeyed: ObeyedPlaces;
  readonly #listeners = new Set<() => void>();

  constructor(meta: Tree, lives: readonly Life[], newest: Sequence) {
    this.lives = lives;
    const cursors = new Map<NodeId, Sequence>();
    meta.range({ start: ['cursor', 0], end: ['cursor', HIGH] }, (key, value) => {
      const [, author] = key as readonly [string, number];
      cursors.set(nodeId(author), sequence(Number(unpackPlain(value))));
      return true;
    });
    // Of its own earlier lives it has all that was kept, and what others gave back.
    lives.forEach(({ author }, at) => {
      const next = lives[at + 1];
      const known = cursors.get(author) ?? NONE;
      if (next !== undefined && next.since > known) cursors.set(author, next.since);
    });
    this.#own = newest;
    meta.range({ start: ['note', ''], end: ['note', HIGH] }, (key, value) => {
      const [, name] = key as readonly [string, string];
      this.#notes.set(name, unpackPlain(value));
      return true;
    });
    this.#cursors = cursors;
    this.#horizon = this.#horizonAt(newest);
    this.obeyed = new ObeyedPlaces(
      obeyedAtStart(this.#horizon.cursors, this.#notes.get(AHEAD_NOTE)),
    );
  }

  get horizon(): Horizon {
    return this.#horizon;
  }

  /** Cursors of other authors, and of earlier lives, as of the newest commit. */
  get cursors(): Cursors {
    return this.#cursors;
  }

  note(name: string): unknown {
    return this.#notes.get(name);
  }

  /** Writes cursors that were raised; they are in force when the commit is. */
  raise(batch: Batch, raised: Cursors): void {
    const { meta } = batch.trees;
    const next = new Map(this.#cursors);
    for (const [author, at] of raised) {
      if (author === this.lives.at(-1)?.author || at <= (next.get(author) ?? NONE)) continue;
      next.set(author, at);
      meta.put(['cursor', author], packPlain(at));
    }
    batch.afterCommit.push(() => {
      this.#cursors = next;
    });
  }

  setNotes(batch: Batch, notes: Readonly<Record<string, unknown>>): void {
    const { meta } = batch.trees;
    for (const [name, note] of Object.entries(notes)) {
      if (note === null) meta.remove(['note', name]);
      else meta.put(['note', name], packPlain(note));
    }
    batch.afterCommit.push(() => {
      for (const [name, note] of Object.entries(notes)) {
        if (note === null) this.#notes.delete(name);
        else this.#notes.set(name, note);
      }
    });
  }

  /** Called for every commit, in their order: `flushed` resolves when the disk has it. */
  committed(batch: Batch, flushed: Promise<void>): void {
    const own = batch.changes.findLast(({ relay }) => relay?.origin === undefined);
    if (own !== undefined) this.#own = own.sequence;
    this.#noteOwn(batch);
    const next = this.#horizonAt(batch.state.sequence);
    flushed.then(
      () => {
        if (next.sequence < this.#horizon.sequence) return;
        this.#horizon = next;
        for (const listener of [...this.#listeners]) listener();
      },
      // Whoever waits for the disk is told by the committer.
      () => undefined,
    );
  }

  onHorizon(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** A client's write of a cache invalidates what other nodes have of it, too. */
  #noteOwn({ changes, parts }: Batch): void {
    for (const { op, relay, sequence: at } of changes) {
      if (relay?.origin !== undefined) continue;
      if (op === 'invalidate' || relay?.isClients === true) this.obeyed.note(at, parts.author, at);
    }
  }

  #horizonAt(newest: Sequence): Horizon {
    const cursors = new Map(this.#cursors);
    const present = this.lives.at(-1);
    if (present !== undefined) cursors.set(present.author, this.#own);
    return { sequence: newest, cursors };
  }
}

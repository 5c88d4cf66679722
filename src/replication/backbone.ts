/**
 * The backbone as replication uses it (SPEC §13): what this node changed is told there, what others
 * told is taken from there. Whatever it does not bring comes from peers, as without it.
 */
import type { NodeId, Sequence } from '../base/brands.ts';
import { sequence } from '../base/brands.ts';
import type { ApplyQueue } from './apply-queue.ts';
import type { Backbone, BackboneUser, News, StreamFound, StreamPlace } from './backbone-port.ts';
import { BackboneReader, type ReaderParts } from './backbone-reader.ts';
import { BackboneWriter } from './backbone-writer.ts';
import { stampLimit } from './clock-watch.ts';
import { newsProblem } from './frame-check.ts';
import type { Membership } from './membership.ts';
import type { ReplicatorOptions } from './options.ts';
import type { Peers } from './peers.ts';
import type { Holdings } from './selection.ts';

export interface BackboneStatus {
  readonly isConnected: boolean;
  /** Why it is not. */
  readonly problem: string | undefined;
  /** Messages that are to be read yet. */
  readonly behind: number;
  /** Rows that changed here by it. */
  readonly merged: number;
  /** Messages by what became of them; `published` and what follows are of this node. */
  readonly counts: Readonly<Record<string, number>>;
}

export interface BackboneParts extends ReaderParts {
  readonly backbone: Backbone;
  readonly name: string;
}

export class BackboneLine implements BackboneUser {
  readonly #parts: BackboneParts;
  readonly #reader: BackboneReader;
  readonly #writer: BackboneWriter;
  #isConnected = false;
  #problem: string | undefined;

  constructor(parts: BackboneParts) {
    this.#parts = parts;
    this.#reader = new BackboneReader(parts);
    this.#writer = new BackboneWriter(parts);
    parts.backbone.use(this, parts.store.author);
  }

  /** Authors that need not be pulled. */
  get told(): ReadonlySet<NodeId> {
    return this.#reader.told;
  }

  /** Up to where others may expect the backbone to tell of this node. */
  get published(): Sequence | undefined {
    return this.#writer.published;
  }

  attached(found: StreamFound): number {
    this.#isConnected = true;
    this.#problem = undefined;
    const after = this.#reader.open(found);
    this.#writer.open(this.#ownLast(found.ownLast));
    return after;
  }

  detached(why: string): void {
    this.#isConnected = false;
    this.#problem = why;
    this.#writer.close();
    this.#reader.close();
  }

  heard(message: unknown, place: StreamPlace, pending: number): Promise<void> {
    return this.#reader.heard(message, place, pending);
  }

  refused(place: StreamPlace, pending: number): void {
    this.#reader.refused(place, pending);
  }

  /** There may be something new in the log. */
  pump(): void {
    this.#writer.pump();
  }

  tick(now: number): void {
    this.#reader.tick(now);
  }

  stop(): void {
    this.detached('this node stops');
  }

  get status(): BackboneStatus {
    const { counts, pending, merged } = this.#reader;
    return {
      ...{ isConnected: this.#isConnected, problem: this.#problem },
      ...{ behind: pending, merged },
      counts: { ...counts, ...this.#writer.counts },
    };
  }

  #ownLast(message: unknown): Sequence | undefined {
    if (newsProblem(message) !== undefined) return undefined;
    const { author, upTo } = message as News;
    return author === this.#parts.store.author ? sequence(upTo) : undefined;
  }
}

export interface BackboneAround {
  readonly queue: ApplyQueue;
  readonly own: () => Holdings;
  readonly peers: Peers;
  readonly membership: Membership;
}

/** The backbone of a node, where it was given one. */
export function newBackbone(
  { backbone, name, store, clock }: ReplicatorOptions,
  { queue, own, peers, membership }: BackboneAround,
): BackboneLine | undefined {
  if (backbone === undefined) return undefined;
  return new BackboneLine({
    ...{ backbone, name, store, clock, queue, own },
    stampLimit: () => stampLimit(store.now(), peers.offsets),
    published: () => peers.published,
    hasLeft: (one) => membership.of(one)?.isLeft === true,
    changed: () => peers.directChanged(),
    committed: (author) => peers.acknowledge(author),
  });
}

/**
 * The other nodes that this one has met, one peer for each name, and what their pulls have in
 * common: which authors are pulled from their own node, and whose snapshot is taken. Connections
 * are the replicator's.
 */
import type { EpochMs, NodeId, Sequence, TableName } from '../base/brands.ts';
import type { Clock } from '../base/clock.ts';
import type { ApplyQueue } from './apply-queue.ts';
import { BOUNDS } from './bounds.ts';
import { stampLimit } from './clock-watch.ts';
import type { ReplicationEvents } from './options.ts';
import { Peer } from './peer.ts';
import type { ReplicaStore } from './ports.ts';
import { Puller } from './puller.ts';
import type { Holdings } from './selection.ts';

export interface PeersParts {
  readonly name: string;
  readonly store: ReplicaStore;
  readonly clock: Clock;
  readonly random: () => number;
  readonly queue: ApplyQueue;
  readonly own: () => Holdings;
  /** Runs what raises cursors for which the streams that are served have no entry. */
  readonly raising: <T>(run: () => Promise<T>) => Promise<T>;
  readonly equal: (peer: string, tables: readonly TableName[], at: EpochMs) => void;
  /** Authors that the backbone tells of. */
  readonly told: () => ReadonlySet<NodeId>;
  readonly events: ReplicationEvents;
}

export class Peers {
  readonly #parts: PeersParts;
  readonly #byName = new Map<string, Peer>();
  #directAt: number | undefined;
  #snapshotBy: Puller | undefined;

  constructor(parts: PeersParts) {
    this.#parts = parts;
  }

  get byName(): ReadonlyMap<string, Peer> {
    return this.#byName;
  }

  get connectedNames(): readonly string[] {
    return this.#all.filter(({ isConnected }) => isConnected).map(({ name }) => name);
  }

  /** How far other clocks are ahead of ours. */
  get offsets(): number[] {
    return this.#all.flatMap(({ session }) => session?.offset ?? []);
  }

  /** Connected authors whose own node tells the backbone of them, and up to where. */
  get published(): ReadonlyMap<NodeId, Sequence> {
    const found = new Map<NodeId, Sequence>();
    for (const { session } of this.#byName.values()) {
      const { author, published } = session ?? {};
      if (author !== undefined && published !== undefined) found.set(author, published);
    }
    return found;
  }

  /** Changes of an author came by the backbone, and are here for good. */
  acknowledge(author: NodeId): void {
    for (const { puller } of this.#byName.values()) {
      if (puller.session?.author === author) puller.acknowledge();
    }
  }

  /** Somebody who lacks nothing has told all that it has. */
  get whole(): Peer | undefined {
    return this.#all.find(
      ({ puller }) => puller.hasCaughtUp && puller.session?.peerJoining === false,
    );
  }

  /** The peer of that name, met now if it was not before. */
  named(name: string): Peer {
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const peer = new Peer(name, this.#newPuller(name));
    this.#byName.set(name, peer);
    return peer;
  }

  tick(now: number): void {
    this.#reopen(now);
    for (const peer of this.#byName.values()) {
      const wasHeld = peer.puller.state === 'held';
      peer.puller.tick();
      if (!wasHeld && peer.puller.state === 'held') this.#parts.events.held?.(peer.name);
      peer.endSpare(this.#parts.name, now);
    }
  }

  /** Soon all streams are opened anew that bring other authors than they should. */
  directChanged(): void {
    this.#directAt ??= this.#parts.clock.monotonic() + BOUNDS.directMs;
  }

  snapshotEnded(): void {
    this.#snapshotBy = undefined;
  }

  get #all(): readonly Peer[] {
    return [...this.#byName.values()];
  }

  #newPuller(name: string): Puller {
    const { store, clock, random, queue, own, raising, equal, events } = this.#parts;
    return new Puller({
      ...{ store, clock, random, queue, own },
      stampLimit: () => stampLimit(store.now(), this.offsets),
      owner: {
        direct: () => this.#direct(),
        directChanged: () => this.directChanged(),
        isTold: (author) => this.#parts.told().has(author),
        mayTakeSnapshot: (one) => this.#mayTakeSnapshot(one),
        raising,
        equal: (tables, at) => equal(name, tables, at),
        failed: (_one, error) => events.failed?.(error),
      },
    });
  }

  #direct(): ReadonlySet<NodeId> {
    const authors = this.#all.map(({ puller }) => puller.direct);
    return new Set([...authors.filter((author) => author !== undefined), ...this.#parts.told()]);
  }

  #mayTakeSnapshot(puller: Puller): boolean {
    const other = this.#snapshotBy;
    if (other !== undefined && other !== puller && other.state === 'snapshot') return false;
    this.#snapshotBy = puller;
    return true;
  }

  /** Streams are opened anew some time after it changed who is pulled from directly. */
  #reopen(now: number): void {
    if (this.#directAt === undefined || now < this.#directAt) return;
    this.#directAt = undefined;
    for (const { puller } of this.#byName.values()) if (puller.isDirectOutdated) puller.open();
  }
}

/**
 * The other nodes that this one has met, one peer for each name, and what their pulls have in
 * common: which authors are pulled from their own node, and whose snapshot is taken. Connections
 * are the replicator's.
 */
import type { EpochMs, NodeId, TableName } from '../base/brands.ts';
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
        directChanged: () => {
          this.#directAt ??= clock.monotonic() + BOUNDS.directMs;
        },
        mayTakeSnapshot: (one) => this.#mayTakeSnapshot(one),
        raising,
        equal: (tables, at) => equal(name, tables, at),
        failed: (_one, error) => events.failed?.(error),
      },
    });
  }

  #direct(): ReadonlySet<NodeId> {
    const authors = this.#all.map(({ puller }) => puller.direct);
    return new Set(authors.filter((author) => author !== undefined));
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

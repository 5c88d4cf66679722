/**
 * Puts together what a store keeps for other nodes; a store which has none keeps nothing, and its
 * commits cost what they cost before.
 */
import type { TableName } from '../../base/brands.ts';
import type { Clock } from '../../base/clock.ts';
import { asNodeError } from '../../base/errors.ts';
import type { TableDefinition } from '../../schema/definition.ts';
import type { ReplicaParts } from '../commit/batch.ts';
import type { Committer } from '../committer.ts';
import type { Tree } from '../engine.ts';
import { type Identity, livesOf, readLogState } from '../meta.ts';
import type { EngineReader } from '../reader.ts';
import type { Trees } from '../tables.ts';
import { forgetDigests, TableDigests } from './digests.ts';
import { Knowledge } from './knowledge.ts';
import { StoreReplica, steadyClock } from './replica.ts';
import { RowBodies, type RowBodiesParts } from './row-bodies.ts';
import { modesOf, type TableMode } from './tables.ts';

export interface ReplicaOptions {
  readonly isReplicated?: boolean | undefined;
  readonly definitions: readonly TableDefinition[];
  readonly clock: Clock;
  /** The run before has closed the store, so what it wrote down for the next start is right. */
  readonly wasClean: boolean;
}

/** The parts that a commit keeps up, and what they are for. */
export class ReplicaState {
  readonly #trees: Trees;
  readonly #modes: ReturnType<typeof modesOf>;
  readonly #digests: TableDigests;
  readonly knowledge: Knowledge;
  readonly parts: ReplicaParts;
  readonly #areDigestsKept: boolean;
  readonly #clock: Clock;

  constructor(options: ReplicaOptions, trees: Trees, identity: Identity) {
    this.#trees = trees;
    this.#clock = options.clock;
    this.#modes = modesOf(options.definitions);
    const ofMode = (wanted: TableMode): ReadonlySet<TableName> =>
      new Set([...this.#modes].filter(([, mode]) => mode === wanted).map(([name]) => name));
    const [withRows, withEntries] = [ofMode('rows'), ofMode('entries')];
    this.#digests = new TableDigests(withRows);
    const isLoaded = options.wasClean && this.#digests.load(trees.meta);
    this.#areDigestsKept = isLoaded;
    const { sequence } = readLogState(trees.meta);
    this.knowledge = new Knowledge(trees.meta, livesOf(identity), sequence);
    this.parts = {
      now: steadyClock(options.clock),
      digests: this.#digests,
      hasRows: (table) => withRows.has(table),
      sharesEntries: (table) => withEntries.has(table),
    };
  }

  /** The store as replication sees it. */
  replica(
    committer: Committer,
    reader: EngineReader,
    files: Pick<RowBodiesParts, 'bodies' | 'keeper'>,
  ): StoreReplica {
    const [trees, modes, now] = [this.#trees, this.#modes, this.parts.now];
    return new StoreReplica({
      ...{ committer, reader, trees, modes, clock: this.#clock },
      bodies: new RowBodies({ ...files, reader, trees, modes, now }),
      ...{ knowledge: this.knowledge, digests: this.#digests, now: this.parts.now },
    });
  }

  /** Makes the digests that were not kept; resolves when they are there, or the store closes. */
  async makeDigests(committer: Committer, failed: (error: unknown) => void): Promise<void> {
    if (this.#areDigestsKept) return;
    await this.#digests.rebuild(committer, this.#trees).catch((error: unknown) => {
      if (asNodeError(error).code !== 'SHUTTING_DOWN') failed(error);
    });
  }

  /** Inside the transaction which closes the store. */
  save(meta: Tree): void {
    this.#digests.save(meta);
  }
}

export const replicaState = (
  options: ReplicaOptions,
  trees: Trees,
  identity: Identity,
): ReplicaState | undefined =>
  options.isReplicated === true ? new ReplicaState(options, trees, identity) : undefined;

/** Inside the transaction which closes a store. */
export function saveReplica(state: ReplicaState | undefined, meta: Tree): void {
  if (state === undefined) forgetDigests(meta);
  else state.save(meta);
}

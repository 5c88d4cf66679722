/**
 * What a shielded cache needs of the assembly: this node's caches as other nodes read them, and the
 * other nodes' caches before replication has begun.
 */
import type { RecordId, TableName } from './base/brands.ts';
import type { Clock } from './base/clock.ts';
import { NO_REQUEST_DIRECTIVES } from './cache/directives.ts';
import type { Entry } from './cache/entry.ts';
import { isOfThisClock } from './cache/freshness.ts';
import { failureForPeer, recordForPeer } from './cache/peer-reads.ts';
import {
  NO_PEERS,
  NO_REPLY,
  type PeerMiss,
  type PeerReads,
  type PeerReply,
} from './cache/peer-reply.ts';
import type { CacheStatus } from './cache/read-request.ts';
import type { OwnCaches } from './replication/answer-misses.ts';
import type { StoreReader } from './table/store-port.ts';
import type { Tables } from './table/tables.ts';

/** Asked before replication began, nobody knows anything. */
export class LatePeers implements PeerReads {
  #peers: PeerReads = NO_PEERS;

  use(peers: PeerReads): void {
    this.#peers = peers;
  }

  ask(miss: PeerMiss, signal: AbortSignal): Promise<PeerReply> {
    return this.#peers.ask(miss, signal);
  }
}

/** Another node is answered with nothing that is stale here. */
const FRESH = { ...NO_REQUEST_DIRECTIVES, mustRevalidate: true };

export class CachesForPeers implements OwnCaches {
  readonly #tables: Tables;
  readonly #reader: StoreReader;
  readonly #clock: Clock;

  constructor(tables: Tables, reader: StoreReader, clock: Clock) {
    this.#tables = tables;
    this.#reader = reader;
    this.#clock = clock;
  }

  held(table: TableName, id: RecordId, tag: string | undefined): PeerReply {
    const now = this.#clock.now();
    const invalidations = this.#reader.invalidations(table);
    return this.#withEntry(table, id, (entry) => {
      const isValid = entry !== undefined && invalidations.judge(entry).kind === 'valid';
      return isValid && isOfThisClock(entry, now) ? recordForPeer(entry, now, tag) : NO_REPLY;
    });
  }

  async read(name: TableName, id: RecordId, tag: string | undefined): Promise<PeerReply> {
    const table = this.#tables.get(name);
    // What no cache may keep is not fetched here for somebody who would have to fetch it again.
    const isPassedOn = this.#withEntry(name, id, (entry) => entry?.kind === 'pass');
    if (table?.definition.sourcedFrom === undefined || isPassedOn) return NO_REPLY;
    let reply: PeerReply = NO_REPLY;
    await table.read({ id, variant: '', directives: FRESH, mayForce: false }, (result) => {
      if (result.kind === 'failed') reply = failureForPeer(result.error);
      // What was not stored is for one reader only, or was overtaken by a purge.
      else if (isLasting(result.cacheStatus)) reply = this.held(name, id, tag);
    });
    return reply;
  }

  #withEntry<T>(table: TableName, id: RecordId, fn: (entry: Entry | undefined) => T): T {
    return this.#reader.withEntry(table, id, '', fn);
  }
}

const isLasting = ({ hit, stored }: CacheStatus): boolean => hit || stored === true;

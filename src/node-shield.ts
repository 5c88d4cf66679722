/**
 * What a shielded cache needs of the assembly: this node's caches as other nodes read them, and the
 * other nodes' caches before replication has begun.
 */
import type { RecordId, TableName } from './base/brands.ts';
import { NO_REQUEST_DIRECTIVES } from './cache/directives.ts';
import type { Entry } from './cache/entry.ts';
import { isOfThisClock } from './cache/freshness.ts';
import { PagesForPeers } from './cache/pages/pages-for-peers.ts';
import { failureForPeer, recordForPeer } from './cache/peer-reads.ts';
import {
  NO_PEERS,
  NO_REPLY,
  type PeerMiss,
  type PeerReads,
  type PeerReply,
} from './cache/peer-reply.ts';
import type { CacheStatus } from './cache/read-request.ts';
import type { OwnCaches, Wanted } from './replication/answer-misses.ts';
import { BOUNDS } from './replication/bounds.ts';
import type { BodyStore } from './table/body-store.ts';
import type { StoreReader, StoreWriter } from './table/store-port.ts';
import { type PageReadsParts, pageReadsOf } from './worker-page-reads.ts';

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

export interface CachesParts extends Pick<PageReadsParts, 'config' | 'threadTables' | 'clock'> {
  readonly store: StoreReader & StoreWriter & { readonly bodies: BodyStore };
}

export class CachesForPeers implements OwnCaches {
  readonly #parts: CachesParts;
  readonly #pages = new Map<TableName, PagesForPeers>();

  constructor(parts: CachesParts) {
    this.#parts = parts;
  }

  held({ table, id, tag, page }: Wanted): PeerReply {
    const { store, clock } = this.#parts;
    const pages = this.#pagesOf(table);
    if (pages !== undefined) {
      return page === undefined ? NO_REPLY : pages.held({ id: String(id), tag, page });
    }
    const now = clock.now();
    const invalidations = store.invalidations(table);
    return this.#withEntry(table, id, (entry) => {
      const isValid = entry !== undefined && invalidations.judge(entry).kind === 'valid';
      return isValid && isOfThisClock(entry, now) ? recordForPeer(entry, now, tag) : NO_REPLY;
    });
  }

  async read(wanted: Wanted): Promise<PeerReply> {
    const { table: name, id, tag, page } = wanted;
    const pages = this.#pagesOf(name);
    if (pages !== undefined) {
      return page === undefined ? NO_REPLY : pages.read({ id: String(id), tag, page });
    }
    const table = this.#parts.threadTables.tables.get(name);
    // What no cache may keep is not fetched here for somebody who would have to fetch it again.
    const isPassedOn = this.#withEntry(name, id, (entry) => entry?.kind === 'pass');
    if (table?.definition.sourcedFrom === undefined || isPassedOn) return NO_REPLY;
    let reply: PeerReply = NO_REPLY;
    await table.read({ id, variant: '', directives: FRESH, mayForce: false }, (result) => {
      if (result.kind === 'failed') reply = failureForPeer(result.error);
      // What was not stored is for one reader only, or was overtaken by a purge.
      else if (isLasting(result.cacheStatus)) reply = this.held(wanted);
    });
    return reply;
  }

  /** `undefined`: it is no table of pages. */
  #pagesOf(name: TableName): PagesForPeers | undefined {
    const { store, clock, config, threadTables } = this.#parts;
    const known = this.#pages.get(name);
    const table = known === undefined ? threadTables.tables.get(name) : undefined;
    if (table?.definition.pages === undefined) return known;
    const { bodies } = store;
    const parts = { threadTables, reader: store, writer: store, bodies, clock, config };
    const pages = new PagesForPeers({
      reads: pageReadsOf(table, parts),
      invalidations: store.invalidations(name),
      clock,
      bodyMax: BOUNDS.missBodyBytes,
    });
    this.#pages.set(name, pages);
    return pages;
  }

  #withEntry<T>(table: TableName, id: RecordId, fn: (entry: Entry | undefined) => T): T {
    return this.#parts.store.withEntry(table, id, '', fn);
  }
}

const isLasting = ({ hit, stored }: CacheStatus): boolean => hit || stored === true;

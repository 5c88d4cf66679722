/**
 * The page caches of one thread: each with its origin, its policy and its part of the store.
 * Clients and, in a cluster, other nodes read through the same one: they share its flights.
 */
import { must } from './base/assert.ts';
import type { Clock } from './base/clock.ts';
import { NodeError } from './base/errors.ts';
import { toldSchemes } from './cache/pages/cache-key.ts';
import { PageReads } from './cache/pages/page-reads.ts';
import { pagesBehindPeers } from './cache/pages/peer-pages.ts';
import type { PageBodies, PageOrigin } from './cache/pages/ports.ts';
import type { Config } from './config/config.ts';
import { LIMITS } from './config/limits.ts';
import { entityTagOf } from './store/entity-tag.ts';
import type { BodyStore } from './table/body-store.ts';
import { pageEntries } from './table/pages/entries.ts';
import type { StoreReader, StoreWriter } from './table/store-port.ts';
import type { Table } from './table/table.ts';
import type { ThreadTables } from './worker-tables.ts';

export interface PageReadsParts {
  readonly threadTables: ThreadTables;
  readonly reader: StoreReader;
  readonly writer: StoreWriter;
  readonly bodies: BodyStore;
  readonly clock: Clock;
  readonly config: Config;
}

/** Throws `APPLICATION_INVALID` when the origin of a page table has no pages. */
export function pageReadsOf(table: Table, parts: PageReadsParts): PageReads {
  const { threadTables, reader, writer, clock, config } = parts;
  const { name } = table.definition;
  const known = threadTables.pageReads.get(name);
  if (known !== undefined) return known;
  const reads = new PageReads({
    table: name,
    entries: pageEntries(name, reader, writer),
    bodies: pageBodies(parts),
    invalidations: reader.invalidations(name),
    origin: shielded(table, rendererOf(table, threadTables), parts),
    policy: table.policy,
    leases: threadTables.leases,
    clock,
    random: Math.random,
    tagOf: entityTagOf,
    events: threadTables.events,
    schemes: toldSchemes(config.http.trustedProxies),
    limits: { failureMarkersBytes: config.limits.failureMarkersBytes },
    replies: threadTables.pace.replies,
  });
  table.onPolicy((policy) => reads.usePolicy(policy));
  threadTables.memory.push(reads.memory);
  threadTables.pageReads.set(name, reads);
  return reads;
}

function rendererOf({ definition }: Table, { origins }: ThreadTables): PageOrigin {
  const { typeName } = definition;
  const { origin: name } = must(definition.pages, `${typeName} is a table of pages`);
  const renderer = must(origins.get(name), `origin ${name}`).pages();
  if (renderer !== undefined) return renderer;
  const message = `${typeName}: the origin ${name} has no pages; use one of kind http`;
  throw new NodeError('APPLICATION_INVALID', message);
}

/** With `cluster.shield`, the caches of other nodes stand before the origin. */
function shielded(table: Table, origin: PageOrigin, parts: PageReadsParts): PageOrigin {
  const { threadTables, reader, clock } = parts;
  if (threadTables.peers === undefined) return origin;
  return pagesBehindPeers({
    origin,
    table: table.definition.name,
    peers: threadTables.peers,
    stamp: () => reader.lastSequence(),
    now: () => clock.now(),
    unsharedFor: () => table.policy.settings.collapse.passFor,
  });
}

const pageBodies = ({ bodies, config }: PageReadsParts): PageBodies => ({
  fileMin: config.limits.fileBodyBytesMin,
  windowBytes: LIMITS.bodyWindowBytes,
  create: () => bodies.create('fill'),
  open: (body) => bodies.open(body),
});

/** What the pages of a table are made of, and the constants of one request for a page. */
import type { TableName } from '../../base/brands.ts';
import type { Clock } from '../../base/clock.ts';
import type { Pace } from '../../base/pace.ts';
import type { Flights } from '../collapse.ts';
import type { DecisionContext } from '../decide.ts';
import type { CacheEvents } from '../events.ts';
import type { TagOf } from '../plain-entry.ts';
import type { CachePolicy } from '../policy.ts';
import type { Invalidations, Leases } from '../ports.ts';
import type { ToldSchemes } from './cache-key.ts';
import type { PageEntries } from './page-entries.ts';
import type { PageReply } from './page-flight.ts';
import type { PageAnswer, PageRequest } from './page-request.ts';
import type { PageBodies, PageOrigin } from './ports.ts';

export interface PageReadsDeps {
  readonly table: TableName;
  readonly entries: PageEntries;
  readonly bodies: PageBodies;
  readonly invalidations: Invalidations;
  readonly origin: PageOrigin;
  readonly policy: CachePolicy;
  readonly leases: Leases;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly tagOf: TagOf;
  readonly events: CacheEvents;
  readonly schemes: ToldSchemes;
  readonly limits: { readonly failureMarkersBytes: number };
  /** Heads of replies that a thread takes in one turn; without it, all that there are. */
  readonly replies?: Pace | undefined;
}

/** The constants of one request. */
export interface PageRun extends DecisionContext {
  readonly deps: PageReadsDeps;
  readonly flights: Flights<PageReply>;
  readonly page: PageRequest;
  /** `undefined` for a refresh behind a stale answer. */
  readonly answer: PageAnswer | undefined;
  /** Begins with the store; after the last round, what it does not have is fetched alone. */
  readonly select: (run: PageRun, round: number) => void | Promise<void>;
}

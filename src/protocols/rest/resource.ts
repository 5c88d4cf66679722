/**
 * What REST keeps ready for each exported table, so that a hit computes none of it: the header
 * values which do not depend on the entry, and the counters of its requests.
 */
import type { EntityTag, Position, Sequence } from '../../base/brands.ts';
import type { CachePolicy } from '../../cache/policy.ts';
import type { BodyStore, StoredBody } from '../../table/body-store.ts';
import type { Table } from '../../table/table.ts';
import type { Encodings } from '../http/encodings.ts';

/** Counts what is answered; implemented by `observe/`, by arrays rather than labelled counters. */
export interface RequestMeter {
  answered(method: string, status: number, served: string, startedAt: number, bytes: number): void;
}

export interface RestResource {
  readonly table: Table;
  /** The bodies that are too large for their entries. */
  readonly bodies: BodyStore;
  /** The tag of a body: the store's own definition. */
  readonly tagOf: (body: StoredBody) => EntityTag;
  /** Where in the log of changes a write stands. */
  readonly positionOf: (sequence: Sequence) => Position;
  readonly meter: RequestMeter;
  /** Milliseconds for durations. */
  readonly monotonic: () => number;
  /** Tells a person the verdict of a request (`millrace dev`). */
  readonly onVerdict?: ((line: VerdictLine) => void) | undefined;
  readonly headers: ResourceHeaders;
  /** Absent when answers are sent as they are. */
  readonly encodings?: Encodings | undefined;
}

export interface VerdictLine {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly cacheStatus: string;
  readonly durationMs: number;
}

export interface ResourceHeaders {
  /** `Cache-Control` for answers to anonymous clients. */
  readonly publicCacheControl: string;
  /** For signed-in clients: never shared, unless the policy says `public`. */
  readonly privateCacheControl: string;
  readonly cdnCacheControl: string;
  readonly publicVary: string;
  readonly privateVary: string;
  /** Every answer names the groups of its records, whether or not the request asks for it. */
  readonly namesGroups: boolean;
}

const VARY = 'accept, accept-encoding';

/**
 * What a signed-in client is told is `public` only where the policy says so *and* anybody may read
 * the table: otherwise a cache in between would hand it to those who may not.
 */
export function resourceHeaders(policy: CachePolicy, isOpen: () => boolean): ResourceHeaders {
  const { cacheControl, cdnCacheControl } = policy.settings.client;
  // Asked for each answer to who signed in: the roles of a running node change.
  const isPublic = /(?:^|[\s,])public(?:$|[\s,])/.test(cacheControl);
  const isShared = (): boolean => isPublic && isOpen();
  return {
    publicCacheControl: cacheControl === '' ? 'no-cache' : cacheControl,
    get privateCacheControl() {
      return isShared() ? cacheControl : 'private, no-cache';
    },
    cdnCacheControl,
    publicVary: VARY,
    namesGroups: policy.settings.groups.tables,
    get privateVary() {
      return isShared() ? VARY : `${VARY}, authorization`;
    },
  };
}

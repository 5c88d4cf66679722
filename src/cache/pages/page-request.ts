/**
 * The words in which a protocol asks for a page and is answered. A stored page is answered with a
 * view that is good during the call only; anything else with a head and a body that arrives.
 */
import type { DeltaSeconds } from '../../base/brands.ts';
import type { NodeError } from '../../base/errors.ts';
import type { StopSignal } from '../../base/stop.ts';
import type { RequestDirectives } from '../directives.ts';
import type { Entry } from '../entry.ts';
import type { CachePolicy } from '../policy.ts';
import type { CacheStatus } from '../read-request.ts';
import type { ClientFacts } from './forward.ts';
import type { FieldLines, PageBodyReader } from './ports.ts';
import type { FieldLookup } from './vary.ts';

export interface PageRequest {
  readonly method: string;
  /** The policy for this page. */
  readonly policy: CachePolicy;
  /** The key under which the page is stored. */
  readonly id: string;
  /** Path and query for the origin. */
  readonly target: string;
  readonly client: ClientFacts;
  readonly field: FieldLookup;
  /** All field lines; collected only for a request that goes on. */
  readonly fields: FieldLines;
  readonly directives: RequestDirectives;
  readonly mayForce: boolean;
  readonly signal: StopSignal;
  /** The request's body, for methods that have one. */
  readonly body: (() => AsyncIterable<Uint8Array> | undefined) | undefined;
  readonly bodyLength: number | undefined;
  readonly onInterim: ((status: number, fields: FieldLines) => void) | undefined;
}

export type PageResult =
  | {
      readonly kind: 'stored';
      readonly entry: Entry;
      /** Which variant of its page it is; '' when there is one only. */
      readonly variant: string;
      /** The body when it is in a file. Who takes the answer closes it. */
      readonly file: PageBodyReader | undefined;
      readonly age: DeltaSeconds;
      readonly cacheStatus: CacheStatus;
    }
  | {
      readonly kind: 'arriving';
      readonly status: number;
      /** Lines for the client, connection fields left out. */
      readonly fields: readonly string[];
      readonly length: number | undefined;
      readonly body: AsyncIterable<Uint8Array> | undefined;
      readonly age: DeltaSeconds;
      readonly cacheStatus: CacheStatus;
      /** The reply may be stored: what the policy tells downstream holds for it. */
      readonly isShared: boolean;
    }
  | { readonly kind: 'refused'; readonly cacheStatus: CacheStatus }
  | { readonly kind: 'failed'; readonly error: NodeError; readonly cacheStatus: CacheStatus };

export type PageAnswer = (result: PageResult) => void;

/**
 * The pages of one table as another node asks for them (`cluster.shield`). Whoever is at home for a
 * page reads it as for a client of its own, so that all who miss it share one fetch, and tells what
 * has been stored; what is not stored, or comes too slowly to be waited for, is not for others.
 */
import { durationMs, type EntityTag } from '../../base/brands.ts';
import type { Cancel, Clock } from '../../base/clock.ts';
import { NEVER_STOPPED } from '../../base/stop.ts';
import { NO_REQUEST_DIRECTIVES } from '../directives.ts';
import type { Entry } from '../entry.ts';
import { isOfThisClock } from '../freshness.ts';
import { failureForPeer } from '../peer-reads.ts';
import { NO_REPLY, type PageAsked, type PeerReply, UNSHARED } from '../peer-reply.ts';
import type { Invalidations } from '../ports.ts';
import { pageTarget } from './cache-key.ts';
import { fieldOf } from './fields.ts';
import type { PageReads } from './page-reads.ts';
import type { PageRequest, PageResult } from './page-request.ts';
import { pageForPeer } from './peer-pages.ts';

export interface WantedPage {
  readonly id: string;
  readonly tag: EntityTag | undefined;
  readonly page: PageAsked;
}

export interface PagesForPeersParts {
  readonly reads: PageReads;
  readonly invalidations: Invalidations;
  readonly clock: Clock;
  /** A page that is larger is fetched by each who wants it. */
  readonly bodyMax: number;
}

/** Who asks has clients that wait for the first byte: a page that trickles is not waited for. */
const ARRIVES_MS = durationMs(5_000);

/** Another node is answered with nothing that is stale here. */
const FRESH = { ...NO_REQUEST_DIRECTIVES, mustRevalidate: true };

export class PagesForPeers {
  readonly #parts: PagesForPeersParts;

  constructor(parts: PagesForPeersParts) {
    this.#parts = parts;
  }

  /** Only what is held and fresh. */
  held({ id, tag, page }: WantedPage): PeerReply {
    const { reads, invalidations, clock, bodyMax } = this.#parts;
    const now = clock.now();
    return reads.withStored(id, fieldsOf(page), (entry) => {
      if (entry === undefined || invalidations.judge(entry).kind !== 'valid') return NO_REPLY;
      if (!isOfThisClock(entry, now)) return NO_REPLY;
      return entry.bodyLength > bodyMax ? UNSHARED : pageForPeer(entry, now, tag);
    });
  }

  async read(wanted: WantedPage): Promise<PeerReply> {
    const request = this.#requestOf(wanted);
    if (request === undefined) return NO_REPLY;
    // What no cache may keep is not fetched here for somebody who would have to fetch it again.
    if (this.#isPassedOn(wanted)) return UNSHARED;
    const result = await this.#begun(request);
    if (result.kind === 'failed') return failureForPeer(result.error);
    if (result.kind === 'refused') return NO_REPLY;
    if (result.kind === 'arriving') {
      if (result.cacheStatus.stored !== true) leave(result);
      const problem = result.cacheStatus.stored === true ? await this.#arrived(result) : UNSHARED;
      if (problem !== undefined) return problem;
    }
    return this.#kept(wanted);
  }

  /** What came first; the reading itself may go on for long. */
  #begun(request: PageRequest): Promise<PageResult> {
    return new Promise((resolve, reject) => {
      const reading = this.#parts.reads.read(request, (result) => {
        // A view of the store is good now only: it is looked at anew.
        if (result.kind === 'stored') result.file?.close();
        resolve(result);
      });
      reading?.catch(reject);
    });
  }

  async #kept(wanted: WantedPage): Promise<PeerReply> {
    const { reads } = this.#parts;
    await this.#soon(reads.settled(wanted.id));
    const reply = this.held(wanted);
    if (reply.kind !== 'none') return reply;
    // It is there, and not fresh any more: each time it was asked for here it would be fetched.
    const isKept = reads.withStored(wanted.id, fieldsOf(wanted.page), this.#isValid);
    return isKept ? UNSHARED : NO_REPLY;
  }

  readonly #isValid: Parameters<PageReads['withStored']>[2] = (entry) =>
    entry?.kind === 'record' && this.#parts.invalidations.judge(entry).kind === 'valid';

  #isPassedOn({ id, page }: WantedPage): boolean {
    const { reads, clock } = this.#parts;
    const now = clock.now();
    const isMarker = (entry: Entry | undefined) => entry?.kind === 'pass' && now < entry.freshUntil;
    return reads.withStored(id, fieldsOf(page), isMarker);
  }

  /** `undefined` when it has another key here: the nodes have not the same policy. */
  #requestOf({ id, page }: WantedPage): PageRequest | undefined {
    const { reads } = this.#parts;
    const { target, host, scheme, address, fields } = page;
    const at = target.indexOf('?');
    const [path, query] = at < 0 ? [target, ''] : [target.slice(0, at), target.slice(at + 1)];
    const policy = reads.policyOf(path);
    const field = fieldsOf(page);
    // Whether the scheme is in the key is up to the proxies of whoever asks.
    const isOwn = [undefined, scheme].some((told) => {
      const own = pageTarget({ host, path, query, scheme: told }, policy, field);
      return own.id === id && own.target === target;
    });
    if (!isOwn || !policy.settings.store.enabled) return undefined;
    return {
      ...{ method: 'GET', policy, id, target, client: { host, scheme, address }, field, fields },
      ...{ directives: FRESH, mayForce: false, signal: NEVER_STOPPED },
      ...{ body: undefined, bodyLength: undefined, onInterim: undefined },
    };
  }

  /** Waits for the body where it is stored, and not for long; it goes on arriving here. */
  async #arrived(result: Arriving): Promise<PeerReply | undefined> {
    const { bodyMax } = this.#parts;
    const chunks = result.body?.[Symbol.asyncIterator]();
    const drained = async (): Promise<PeerReply | undefined> => {
      for (let length = 0; ; ) {
        const chunk = await chunks?.next();
        if (chunk === undefined || chunk.done === true) return undefined;
        length += chunk.value.length;
        if (length > bodyMax) return UNSHARED;
      }
    };
    try {
      const outcome = await this.#soon(drained());
      return outcome === LATE ? UNSHARED : outcome;
    } catch {
      // It broke off: whoever wants it tries for themselves.
      return NO_REPLY;
    } finally {
      void chunks?.return?.();
    }
  }

  async #soon<T>(promise: Promise<T>): Promise<T | typeof LATE> {
    let cancel: Cancel = () => {};
    const late = new Promise<typeof LATE>((resolve) => {
      cancel = this.#parts.clock.after(ARRIVES_MS, () => resolve(LATE));
    });
    try {
      return await Promise.race([promise, late]);
    } finally {
      cancel();
    }
  }
}

type Arriving = Extract<PageResult, { readonly kind: 'arriving' }>;

const LATE = Symbol('late');

const leave = ({ body }: Arriving): void => void body?.[Symbol.asyncIterator]().return?.();

const fieldsOf =
  ({ fields }: PageAsked) =>
  (name: string): string | undefined =>
    fieldOf(fields, name);

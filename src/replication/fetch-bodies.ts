/**
 * Fetches the bodies that are too large for a row (SPEC §12): a row names its body by a digest, and
 * whoever has it is asked for it piece by piece. What a connection leaves half done goes on over
 * the next one, to whatever node that leads; what has come counts only when its digest is right.
 *
 *   wanted ─► fetching ─┬─ digest right ──────────────► here
 *      ▲                ├─ wrong: counted, thrown away ─┐
 *      └────────────────┴─ nobody has it, or all gone ──┘ again later
 */
import { durationMs } from '../base/brands.ts';
import type { Clock } from '../base/clock.ts';
import { BOUNDS } from './bounds.ts';
import { PROTOCOL_OF_BODIES } from './frames.ts';
import type { ReplicatorOptions } from './options.ts';
import type { Peer } from './peer.ts';
import type { BodySink, ReplicaBodies, WantedBody } from './ports.ts';
import type { Session } from './session.ts';

export interface FetchParts {
  readonly bodies: ReplicaBodies;
  readonly clock: Clock;
  readonly peers: ReadonlyMap<string, Peer>;
  readonly failed: (error: unknown) => void;
}

interface Fetching {
  readonly wanted: WantedBody;
  /** What has come of it. */
  sink: BodySink | undefined;
  isUnderWay: boolean;
  /** Instant of the steady kind before which it is not asked for again. */
  notBefore: number;
}

export class BodyFetcher {
  readonly counts = { bodiesFetched: 0, bodiesDamaged: 0 };
  readonly #parts: FetchParts;
  readonly #fetching = new Map<string, Fetching>();
  #underWay = 0;
  /** More was wanted than is remembered, or nobody has looked yet: the store is looked through. */
  #mayHaveForgotten = true;
  #isLooking = false;
  #isStopped = false;

  constructor(parts: FetchParts) {
    this.#parts = parts;
    parts.bodies.onMissing((wanted) => this.#want(wanted));
  }

  /** Bodies that rows name and that are not here, as far as is known. */
  get missing(): number {
    return this.#fetching.size;
  }

  tick(): void {
    if (this.#isStopped) return;
    if (this.#mayHaveForgotten && this.#fetching.size === 0) void this.#lookThrough();
    const now = this.#parts.clock.monotonic();
    for (const one of this.#fetching.values()) {
      if (this.#underWay >= BOUNDS.bodiesUnderWay) return;
      if (!one.isUnderWay && one.notBefore <= now) void this.#fetch(one);
    }
  }

  stop(): void {
    this.#isStopped = true;
    for (const { sink, isUnderWay } of this.#fetching.values()) if (!isUnderWay) sink?.discard();
    this.#fetching.clear();
  }

  #want(wanted: readonly WantedBody[]): void {
    for (const one of wanted) {
      if (this.#fetching.has(one.digest)) continue;
      if (this.#fetching.size >= BOUNDS.bodiesWanted) {
        this.#mayHaveForgotten = true;
        return;
      }
      const fetching = { wanted: one, sink: undefined, isUnderWay: false, notBefore: 0 };
      this.#fetching.set(one.digest, fetching);
    }
    this.tick();
  }

  async #lookThrough(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#mayHaveForgotten = false;
    try {
      for await (const page of this.#parts.bodies.missing()) {
        if (this.#isStopped) return;
        this.#want(page);
      }
    } catch (error) {
      this.#mayHaveForgotten = true;
      this.#parts.failed(error);
    } finally {
      this.#isLooking = false;
    }
  }

  async #fetch(fetching: Fetching): Promise<void> {
    const { clock, bodies, failed } = this.#parts;
    const { wanted } = fetching;
    fetching.isUnderWay = true;
    this.#underWay += 1;
    try {
      const isHere = bodies.isMissing(wanted) ? await this.#askAll(fetching) : true;
      if (isHere) this.#done(fetching);
    } catch (error) {
      // The disk is full, or failed: what has come is of no use any more.
      fetching.sink?.discard();
      fetching.sink = undefined;
      failed(error);
    } finally {
      this.#underWay -= 1;
      fetching.isUnderWay = false;
      fetching.notBefore = clock.monotonic() + BOUNDS.bodyAgainMs;
    }
    this.tick();
  }

  #done(fetching: Fetching): void {
    // The row has been replaced while its body was on the way.
    fetching.sink?.discard();
    this.#fetching.delete(fetching.wanted.digest);
  }

  /** Whether all of it has come from one or several of them. */
  async #askAll(fetching: Fetching): Promise<boolean> {
    const { wanted } = fetching;
    for (const { session } of [...this.#parts.peers.values()]) {
      if (session === undefined || this.#isStopped) continue;
      if ((session.peer?.protocol ?? 0) < PROTOCOL_OF_BODIES) continue;
      fetching.sink ??= await this.#parts.bodies.begin(wanted);
      const { sink } = fetching;
      while (sink.length < wanted.length) {
        const bytes = await this.#piece(session, wanted, sink.length);
        if (bytes === undefined || bytes.length === 0) break;
        await sink.write(bytes);
      }
      if (sink.length < wanted.length) continue;
      fetching.sink = undefined;
      const isSound = await sink.finish();
      this.counts[isSound ? 'bodiesFetched' : 'bodiesDamaged'] += 1;
      if (isSound) return true;
    }
    return false;
  }

  /** `undefined`: the connection has ended, or nothing came in time. */
  #piece(session: Session, wanted: WantedBody, from: number): Promise<Uint8Array | undefined> {
    const { table, id, digest } = wanted;
    return new Promise((resolve) => {
      const end = (bytes: Uint8Array | undefined) => {
        cancel();
        resolve(bytes);
      };
      const patience = durationMs(BOUNDS.bodyPieceMs);
      const cancel = this.#parts.clock.after(patience, () => end(undefined));
      const ask = (request: number) =>
        ({ kind: 'bodyRequest', request, table, id, digest, from }) as const;
      session.request(ask).then(
        (reply) => end(reply.kind === 'body' ? reply.bytes : undefined),
        () => end(undefined),
      );
    });
  }
}

/** Absent where the store keeps no body apart from its row. */
export function newBodyFetcher(
  { store, clock, events }: ReplicatorOptions,
  peers: ReadonlyMap<string, Peer>,
): BodyFetcher | undefined {
  const { bodies } = store;
  const failed = (error: unknown) => events?.failed?.(error);
  return bodies && new BodyFetcher({ bodies, clock, peers, failed });
}

/**
 * An origin under a test's control: each fetch waits until the test replies, unless the script
 * answers by itself. Counts what is in flight for each id.
 */
import { durationMs, type EpochMs, entityTag, type RecordId } from '../../src/base/brands.ts';
import type { Clock } from '../../src/base/clock.ts';
import { type ErrorCode, NodeError } from '../../src/base/errors.ts';
import { parseResponseDirectives } from '../../src/cache/directives.ts';
import type { Origin, OriginReply, OriginRequest, ReplyFacts } from '../../src/cache/ports.ts';

export interface ScriptedReply {
  readonly status?: number | undefined;
  readonly body?: string | undefined;
  readonly cacheControl?: string | undefined;
  readonly etag?: string | undefined;
  readonly lastModified?: EpochMs | undefined;
  readonly ageMs?: number | undefined;
  readonly groups?: readonly string[] | undefined;
  readonly facts?: Partial<ReplyFacts> | undefined;
}

/** One fetch which the origin has not answered yet. */
export interface OpenCall {
  readonly request: OriginRequest;
  readonly startedAt: EpochMs;
  reply(reply?: ScriptedReply): void;
  notModified(reply?: ScriptedReply): void;
  fail(code?: ErrorCode, status?: number): void;
}

export class ScriptedOrigin implements Origin {
  readonly name = 'scripted';
  readonly #clock: Clock;
  readonly calls: OriginRequest[] = [];
  readonly open: OpenCall[] = [];
  readonly #inFlight = new Map<RecordId, number>();
  /** Answers calls by itself; a call for which it returns nothing stays open. */
  script: ((call: OpenCall) => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  inFlight(id: RecordId): number {
    return this.#inFlight.get(id) ?? 0;
  }

  /** The oldest open call; fails the test when there is none. */
  next(): OpenCall {
    const call = this.open.shift();
    if (call === undefined) throw new Error('the origin has no open call');
    return call;
  }

  fetch(request: OriginRequest): Promise<OriginReply> {
    this.calls.push(request);
    this.#count(request.id, 1);
    return new Promise<OriginReply>((resolve, reject) => {
      const call = this.#call(request, resolve, reject);
      this.open.push(call);
      this.script?.(call);
    }).finally(() => this.#count(request.id, -1));
  }

  #call(
    request: OriginRequest,
    resolve: (reply: OriginReply) => void,
    reject: (error: NodeError) => void,
  ): OpenCall {
    const startedAt = this.#clock.now();
    const facts = (reply: ScriptedReply, status: number) =>
      factsOf(reply, reply.status ?? status, startedAt, this.#clock.now());
    const close = (): void => {
      const at = this.open.indexOf(call);
      if (at !== -1) this.open.splice(at, 1);
    };
    const call: OpenCall = {
      request,
      startedAt,
      reply: (reply = {}) => {
        close();
        const found = facts(reply, 200);
        if (found.status === 404 || found.status === 410) resolve({ kind: 'absent', facts: found });
        else resolve({ kind: 'found', body: Buffer.from(reply.body ?? '{}'), facts: found });
      },
      notModified: (reply = {}) => {
        close();
        resolve({ kind: 'notModified', facts: facts(reply, 304) });
      },
      fail: (code = 'ORIGIN_UNREACHABLE', status) => {
        close();
        const details = status === undefined ? {} : { status };
        reject(new NodeError(code, 'scripted failure', { blame: 'origin', details }));
      },
    };
    return call;
  }

  #count(id: RecordId, by: number): void {
    this.#inFlight.set(id, this.inFlight(id) + by);
  }
}

/** Facts of a reply as an origin adapter would have parsed them. */
export function factsOf(
  reply: ScriptedReply,
  status: number,
  requestedAt: EpochMs,
  receivedAt: EpochMs,
): ReplyFacts {
  return {
    status,
    requestedAt,
    receivedAt,
    directives: parseResponseDirectives(reply.cacheControl),
    age: durationMs(reply.ageMs ?? 0),
    entityTag: reply.etag === undefined ? undefined : entityTag(reply.etag),
    lastModified: reply.lastModified,
    groups: reply.groups,
    ...reply.facts,
  };
}

/**
 * Who may come in: connections in total, by address and by second, and requests by second. Asked by
 * both engines before a handler is; counts are those of all threads. Rates are off unless they are
 * configured, and then a request is not even looked at for them.
 *
 * The machine's own address and trusted proxies are counted in total but not by address: behind
 * them stand many.
 */
import type { ErrorCode } from '../../base/errors.ts';
import type { RateLimiter } from '../../base/rate-limiter.ts';
import { clientAddress, type ProxyTrust } from './client-address.ts';
import type { Refusal } from './framing.ts';
import type { GuardMemory, RateName } from './guard-memory.ts';

export interface AdmissionLimits {
  readonly connectionsMax: number;
  readonly connectionsPerAddressMax: number;
  readonly connectionsPerAddressSecondMax: number;
  readonly requestsPerAddressSecondMax: number;
  readonly requestsPerCredentialSecondMax: number;
  readonly requestsPerPrincipalSecondMax: number;
  /** Seconds of its rate that a client may use at once after a pause. */
  readonly rateBurstSeconds: number;
}

export interface AdmissionParts {
  readonly memory: GuardMemory;
  readonly limits: AdmissionLimits;
  readonly trust: ProxyTrust | undefined;
  readonly nowMs: () => number;
}

/** A request as far as its client is concerned. */
export interface AskedBy {
  readonly remoteAddress: string;
  header(name: string): string | undefined;
}

/** What an engine asks. */
export interface Admission {
  /** Who is believed when it says whose request it passes on. */
  readonly trust: ProxyTrust | undefined;
  /** Whether requests have to be asked about at all. */
  readonly asksRequests: boolean;
  /** False while descriptors run short: an engine that can stops accepting. */
  readonly accepts: boolean;
  /** Counts a connection; `undefined` admits it, and then `leave` must follow. */
  enter(address: string): Refusal | undefined;
  leave(address: string): void;
  /** Counts without asking: what is under way already. `leave` must follow. */
  hold(address: string): void;
  /** Whether the address has all it may have; for engines that cannot refuse a connection. */
  full(address: string): Refusal | undefined;
  request(request: AskedBy): Refusal | undefined;
}

const LOCAL = new Set(['', '127.0.0.1', '::1']);

export class SharedAdmission implements Admission {
  readonly trust: ProxyTrust | undefined;
  readonly #parts: AdmissionParts;
  #limits: AdmissionLimits;
  #rates: Readonly<Record<RateName, RateLimiter>>;

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
    this.trust = parts.trust;
    this.#limits = parts.limits;
    this.#rates = ratesOf(parts);
  }

  /** Other limits; who was admitted under the old ones stays. */
  use(limits: AdmissionLimits): void {
    this.#limits = limits;
    this.#rates = ratesOf({ ...this.#parts, limits });
  }

  get asksRequests(): boolean {
    return this.#rates.address.isOn || this.#rates.credential.isOn;
  }

  get accepts(): boolean {
    return !this.#parts.memory.descriptorsTight;
  }

  enter(address: string): Refusal | undefined {
    const { memory, nowMs } = this.#parts;
    const limits = this.#limits;
    const short = this.#shortage();
    if (short !== undefined) return short;
    if (memory.connections >= Math.min(limits.connectionsMax, memory.connectionsMax)) {
      return refused('connectionsMax', 'the node has as many connections as it takes', 1);
    }
    if (this.#isCounted(address)) {
      const wait = this.#rates.connections.take(address, nowMs());
      if (wait > 0) {
        const text = 'too many new connections from this address in a short time';
        return refused('connectionsPerAddressSecondMax', text, seconds(wait));
      }
      const full = this.full(address);
      if (full !== undefined) return full;
    }
    this.hold(address);
    return undefined;
  }

  hold(address: string): void {
    const { memory } = this.#parts;
    memory.changeConnections(1);
    if (this.#isCounted(address)) memory.addresses.enter(address);
  }

  full(address: string): Refusal | undefined {
    const { memory } = this.#parts;
    if (memory.addresses.of(address) < this.#limits.connectionsPerAddressMax) return undefined;
    return refused('connectionsPerAddressMax', 'too many connections from this address', 1);
  }

  leave(address: string): void {
    const { memory } = this.#parts;
    memory.changeConnections(-1);
    if (this.#isCounted(address)) memory.addresses.leave(address);
  }

  request(request: AskedBy): Refusal | undefined {
    const now = this.#parts.nowMs();
    const address = request.remoteAddress;
    const wait = LOCAL.has(address) ? 0 : this.#rates.address.take(address, now);
    if (wait > 0) {
      const text = 'too many requests from this address in a short time';
      return refused('requestsPerAddressSecondMax', text, seconds(wait));
    }
    return this.#rates.credential.isOn ? this.#credential(request, now) : undefined;
  }

  /** To be asked once it is known who asks, whatever the protocol. */
  principal(name: string): Refusal | undefined {
    if (!this.#rates.principal.isOn) return undefined;
    const wait = this.#rates.principal.take(name, this.#parts.nowMs());
    if (wait === 0) return undefined;
    const text = 'too many requests of this user in a short time';
    return refused('requestsPerPrincipalSecondMax', text, seconds(wait));
  }

  /** Whatever is shown: a password, a token, a key. */
  #credential(request: AskedBy, now: number): Refusal | undefined {
    const shown = request.header('authorization') ?? request.header('x-api-key');
    if (shown === undefined) return undefined;
    const wait = this.#rates.credential.take(shown, now);
    if (wait === 0) return undefined;
    const text = 'too many requests with these credentials in a short time';
    return refused('requestsPerCredentialSecondMax', text, seconds(wait));
  }

  #shortage(): Refusal | undefined {
    const { memory } = this.#parts;
    if (memory.descriptorsTight) {
      return refused('descriptorsReserved', 'the node is short of file descriptors', 2);
    }
    return memory.level >= 2
      ? refused('memoryBytesMax', 'the node is short of memory', 5)
      : undefined;
  }

  #isCounted(address: string): boolean {
    return !LOCAL.has(address) && this.trust?.trusts(address) !== true;
  }
}

function ratesOf({ memory, limits }: Pick<AdmissionParts, 'memory' | 'limits'>) {
  const rate = (name: RateName, perSecond: number) =>
    memory.rate(name, { perSecond, burst: perSecond * Math.max(1, limits.rateBurstSeconds) });
  return {
    connections: rate('connections', limits.connectionsPerAddressSecondMax),
    address: rate('address', limits.requestsPerAddressSecondMax),
    credential: rate('credential', limits.requestsPerCredentialSecondMax),
    principal: rate('principal', limits.requestsPerPrincipalSecondMax),
  };
}

/** The client behind trusted proxies; `peer` without any. */
export function clientOf(peer: string, request: AskedBy, trust: ProxyTrust | undefined): string {
  if (trust === undefined) return peer;
  return clientAddress(peer, request.header('x-forwarded-for'), trust);
}

const seconds = (ms: number): number => Math.max(1, Math.ceil(ms / 1000));

function refused(limit: string, why: string, retryAfterSeconds: number): Refusal {
  const isNode = !limit.includes('Per');
  const code: ErrorCode = isNode ? 'OVERLOADED' : 'TOO_MANY_REQUESTS';
  const detail = `${why}; try again in ${retryAfterSeconds} s (limits.${limit})`;
  return { code, detail, limit, headers: ['retry-after', String(retryAfterSeconds)] };
}

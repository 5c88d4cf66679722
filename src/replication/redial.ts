/**
 * Keeps dialling the nodes that this one has no connection to, each with a jittered wait that grows
 * while it fails. Addresses come from the configuration and from the members; who answers at one is
 * learned from the hello.
 */
import { backoffDelay } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { LIMITS } from '../config/limits.ts';
import { BOUNDS } from './bounds.ts';
import type { ChangeLink, Dialler } from './ports.ts';

export interface RedialParts {
  readonly dial: Dialler;
  readonly clock: Clock;
  readonly random: () => number;
  /** Addresses to be connected to, now. */
  readonly urls: () => readonly string[];
  /** Whether there is a connection to the node that answered there. */
  readonly isConnected: (name: string) => boolean;
  readonly opened: (link: ChangeLink, url: string) => void;
}

interface Target {
  /** Who answered there. */
  name: string | undefined;
  nextAt: number;
  attempts: number;
  isDialling: boolean;
  why: string | undefined;
}

export class Redial {
  readonly #parts: RedialParts;
  readonly #targets = new Map<string, Target>();
  #isStopped = false;

  constructor(parts: RedialParts) {
    this.#parts = parts;
  }

  tick(): void {
    if (this.#isStopped) return;
    const urls = new Set(this.#parts.urls());
    for (const url of this.#targets.keys()) if (!urls.has(url)) this.#targets.delete(url);
    const now = this.#parts.clock.monotonic();
    for (const url of urls) {
      const target = this.#targetAt(url);
      const isThere = target.name !== undefined && this.#parts.isConnected(target.name);
      if (!isThere && !target.isDialling && now >= target.nextAt) this.#dial(url, target);
    }
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** The node at an address; the next wait is short again. */
  met(url: string, name: string): void {
    const target = this.#targetAt(url);
    target.name = name;
    target.attempts = 0;
    target.why = undefined;
  }

  /** A connection made to it has ended, or the node there does not want us before `ms`. */
  ended(url: string, why: string, ms: number): void {
    const target = this.#targets.get(url);
    if (target === undefined) return;
    target.why = why;
    this.#wait(target, ms);
  }

  /** Why there is no connection, by address. */
  get failures(): ReadonlyMap<string, string> {
    const found = new Map<string, string>();
    for (const [url, { why }] of this.#targets) if (why !== undefined) found.set(url, why);
    return found;
  }

  #targetAt(url: string): Target {
    const known = this.#targets.get(url);
    if (known !== undefined) return known;
    const fresh = { name: undefined, nextAt: 0, attempts: 0, isDialling: false, why: undefined };
    this.#targets.set(url, fresh);
    return fresh;
  }

  #wait(target: Target, least: number): void {
    target.attempts += 1;
    const options = { baseMs: BOUNDS.redialMs, maxMs: LIMITS.replicationRedialMsMax };
    const wait = backoffDelay(target.attempts, options, this.#parts.random);
    const longest = BOUNDS.refusedMs * 2;
    target.nextAt = this.#parts.clock.monotonic() + Math.max(wait, Math.min(least, longest));
  }

  #dial(url: string, target: Target): void {
    target.isDialling = true;
    this.#parts.dial(url).then(
      (link) => {
        target.isDialling = false;
        this.#wait(target, 0);
        if (this.#isStopped) link.close('this node is stopping');
        else this.#parts.opened(link, url);
      },
      (error: unknown) => {
        target.isDialling = false;
        target.why = error instanceof Error ? error.message : String(error);
        this.#wait(target, 0);
      },
    );
  }
}

/**
 * Keeps dialling the nodes that this one does not hear, each with a jittered wait that grows while
 * it fails. Who does not answer is dialled again beside that: packets of an attempt that were lost
 * are sent again ever more rarely, and should not be waited for once the way is free. Addresses
 * come from the configuration and from the members; who answers at one is learned from the hello.
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
  /** Whether the node that answered there is heard on a connection. */
  readonly isHeard: (name: string) => boolean;
  readonly opened: (link: ChangeLink, url: string) => void;
}

interface Target {
  /** Who answered there. */
  name: string | undefined;
  nextAt: number;
  attempts: number;
  /** Attempts under way. */
  dialling: number;
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
      const mayDial = !this.#isThere(target) && target.dialling < BOUNDS.dialsUnderWay;
      if (mayDial && now >= target.nextAt) this.#dial(url, target);
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
    const fresh = { name: undefined, nextAt: 0, attempts: 0, dialling: 0, why: undefined };
    this.#targets.set(url, fresh);
    return fresh;
  }

  #isThere({ name }: Target): boolean {
    return name !== undefined && this.#parts.isHeard(name);
  }

  #wait(target: Target, least: number): void {
    target.attempts += 1;
    const options = { baseMs: BOUNDS.redialMs, maxMs: LIMITS.replicationRedialMsMax };
    const wait = backoffDelay(target.attempts, options, this.#parts.random);
    const longest = BOUNDS.refusedMs * 2;
    target.nextAt = this.#parts.clock.monotonic() + Math.max(wait, Math.min(least, longest));
  }

  #waitForAnswer(target: Target): void {
    const wait = BOUNDS.dialAgainMs * (0.5 + this.#parts.random() / 2);
    target.nextAt = this.#parts.clock.monotonic() + wait;
  }

  #dial(url: string, target: Target): void {
    target.dialling += 1;
    this.#waitForAnswer(target);
    this.#parts.dial(url).then(
      (link) => {
        target.dialling -= 1;
        this.#waitForAnswer(target);
        if (this.#isStopped) link.close('this node is stopping');
        else if (this.#isThere(target)) link.close('another connection came before');
        else this.#parts.opened(link, url);
      },
      (error: unknown) => {
        target.dialling -= 1;
        target.why = error instanceof Error ? error.message : String(error);
        this.#wait(target, 0);
      },
    );
  }
}

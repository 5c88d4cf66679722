/**
 * A word to leave off, for those who work on a request: what `AbortController` is, for a fraction
 * of its cost. One of those is some 2 KB which outlive the young generation of the heap even when
 * they are done with (Node 20), so that a thousand fetches a second of ever new keys kept the
 * collector busy with nothing else.
 *
 * Inside the node a signal is a `StopSignal`, which every `AbortSignal` is too. Code of an
 * application, and libraries that insist, are given a real one by `realSignal`.
 */
export interface StopSignal {
  readonly aborted: boolean;
  /** Why; `undefined` until it is aborted. */
  readonly reason: unknown;
  /** A signal is aborted once: every listener is told at most once. */
  addEventListener(type: 'abort', listener: () => void, options?: { readonly once: true }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** Signal and controller in one. */
export class Stop implements StopSignal {
  #aborted = false;
  #reason: unknown;
  #listeners: (() => void)[] | undefined;

  get aborted(): boolean {
    return this.#aborted;
  }

  get reason(): unknown {
    return this.#reason;
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    if (this.#aborted) return;
    if (this.#listeners === undefined) this.#listeners = [listener];
    else this.#listeners.push(listener);
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    const at = this.#listeners?.indexOf(listener) ?? -1;
    if (at >= 0) this.#listeners?.splice(at, 1);
  }

  /** Tells all who listen, in order; later calls say nothing new. */
  abort(reason?: unknown): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#reason = reason ?? new DOMException('This operation was aborted', 'AbortError');
    const listeners = this.#listeners ?? [];
    this.#listeners = undefined;
    for (const listener of listeners) listener();
  }
}

/** Never aborted; shared by all, it keeps no listener. */
export const NEVER_STOPPED: StopSignal = Object.freeze({
  aborted: false,
  reason: undefined,
  addEventListener: () => undefined,
  removeEventListener: () => undefined,
});

/** The same for code that knows nothing of this file, such as `fetch`. */
export function realSignal(signal: StopSignal): AbortSignal {
  if (signal instanceof AbortSignal) return signal;
  const controller = new AbortController();
  if (signal.aborted) controller.abort(signal.reason);
  else signal.addEventListener('abort', () => controller.abort(signal.reason), { once: true });
  return controller.signal;
}

/** Aborted with the first of the two, and for its reason. */
export function eitherStop(one: StopSignal, other: StopSignal): StopSignal {
  const either = new Stop();
  for (const signal of [one, other]) {
    if (signal.aborted) either.abort(signal.reason);
    else signal.addEventListener('abort', () => either.abort(signal.reason), { once: true });
  }
  return either;
}

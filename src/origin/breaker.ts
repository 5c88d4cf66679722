/**
 * Circuit breaker of one origin: a pure machine that counts *consecutive* failures, so that one bad
 * record among healthy ones never cuts the origin off. Time is a parameter.
 *
 *   closed ── failures reached ──► open ── cooldown over ──► probing ── success ──► closed
 *      ▲                            ▲                          │
 *      └──── any success resets     └──────── failure ─────────┘
 *
 * While `probing`, exactly one request is let through. Requests admitted before the breaker opened
 * carry a normal ticket, and what becomes of them does not move an open breaker.
 */
export interface BreakerSettings {
  readonly failures: number;
  readonly cooldownMs: number;
}

export type BreakerState =
  | { readonly kind: 'closed'; readonly failures: number }
  | { readonly kind: 'open'; readonly until: number }
  | { readonly kind: 'probing' };

export type Ticket = 'normal' | 'probe';

/** How an admitted request ended; `abandoned` says nothing about the origin's health. */
export type Ending = 'succeeded' | 'failed' | 'abandoned';

export const CLOSED: BreakerState = Object.freeze({ kind: 'closed', failures: 0 });

export type Admission =
  | { readonly admitted: true; readonly ticket: Ticket; readonly state: BreakerState }
  | { readonly admitted: false; readonly retryAfterMs: number };

/** Milliseconds until a request may be tried; 0 when it may be now. `now` is monotonic. */
export function waitNeeded(state: BreakerState, now: number, settings: BreakerSettings): number {
  if (state.kind === 'open') return Math.max(0, state.until - now);
  return state.kind === 'probing' ? settings.cooldownMs : 0;
}

/** Asks to send one request. */
export function admit(state: BreakerState, now: number, settings: BreakerSettings): Admission {
  const retryAfterMs = waitNeeded(state, now, settings);
  if (retryAfterMs > 0) return { admitted: false, retryAfterMs };
  if (state.kind === 'closed') return { admitted: true, ticket: 'normal', state };
  return { admitted: true, ticket: 'probe', state: { kind: 'probing' } };
}

/** The state after an admitted request ended. */
export function conclude(
  state: BreakerState,
  ticket: Ticket,
  ending: Ending,
  now: number,
  settings: BreakerSettings,
): BreakerState {
  if (ticket === 'probe') return concludeProbe(ending, now, settings);
  if (state.kind !== 'closed' || ending === 'abandoned') return state;
  if (ending === 'succeeded') return state.failures === 0 ? state : CLOSED;
  const failures = state.failures + 1;
  if (failures < settings.failures) return { kind: 'closed', failures };
  return { kind: 'open', until: now + settings.cooldownMs };
}

function concludeProbe(ending: Ending, now: number, settings: BreakerSettings): BreakerState {
  if (ending === 'succeeded') return CLOSED;
  // A probe that was given up told nothing: the next request probes again at once.
  return { kind: 'open', until: ending === 'abandoned' ? now : now + settings.cooldownMs };
}

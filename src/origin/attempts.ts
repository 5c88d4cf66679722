/**
 * Every call that leaves for one origin passes here: breaker, concurrency limit, deadline, retries.
 *
 *   caller ─► queue (bounded) ─► breaker ─► deadline ─► the kind's code
 *      ▲                                                   │ failed, retryable, time left
 *      └────────────────── backoff with jitter ◄───────────┘   (a waiting retry holds no slot)
 *
 * Bounds: one attempt takes at most `timeout`, a call at most twice that, its time in the queue
 * included. Background refreshes queue in a smaller limiter first, so that they cannot crowd out
 * clients; the main limiter is the cap on what is in flight.
 */
import { backoffDelay } from '../base/backoff.ts';
import { durationMs } from '../base/brands.ts';
import type { Clock } from '../base/clock.ts';
import { NodeError } from '../base/errors.ts';
import { createFairLimit, type FairLimit } from '../base/fair-limit.ts';
import type { LoopShare } from '../base/loop-share.ts';
import type { StopSignal } from '../base/stop.ts';
import type { CallLine, TurnWaiter } from '../cache/ports.ts';
import { LIMITS } from '../config/limits.ts';
import * as breaker from './breaker.ts';
import { type BreakerCell, localCell } from './breaker-cell.ts';
import { CallTurn, TurnGiver } from './call-turn.ts';
import type { AttemptOutcome, OriginCounters, OriginObserver } from './counters.ts';
import { pause, withDeadline } from './deadline.ts';
import {
  asOriginError,
  isRetryable,
  originError,
  retryAfterOf,
  speaksAgainstOrigin,
} from './failures.ts';

export interface AttemptSettings {
  readonly name: string;
  readonly timeoutMs: number;
  readonly retries: number;
  readonly concurrency: number;
  readonly queueMax: number;
  readonly breaker: breaker.BreakerSettings;
}

export interface Surroundings {
  readonly clock: Clock;
  readonly random: () => number;
  /** Where the breakers stand that threads share; without it each thread has its own. */
  readonly breakerOf?: ((origin: string) => BreakerCell | undefined) | undefined;
  /** Threads which share the origin's concurrency; each has its part, at least one call. */
  readonly threads?: number | undefined;
  readonly observer?: OriginObserver | undefined;
  /** The node is short of memory: nothing new is fetched. */
  readonly isPressed?: (() => boolean) | undefined;
  /** So many replies are still to be answered with that no call is begun in this turn. */
  readonly isBehind?: (() => boolean) | undefined;
  /** What a crowd of calls leaves to others. */
  readonly share?: LoopShare | undefined;
}

/** One of several replicas is at fault, and others stand: no failure of the origin's. */
export type OthersStand = () => boolean;

export interface Call<T> {
  readonly task: (signal: StopSignal) => Promise<T>;
  readonly signal: StopSignal;
  readonly background: boolean;
  /** In whose turn it waits for a slot: a user or an address. */
  readonly source?: string | undefined;
  /** A slot for which it has waited already. */
  readonly turn?: CallTurn | undefined;
  /** Whether it may be repeated without harm; asked after an attempt failed. */
  readonly mayRepeat: () => boolean;
  /** What a success is counted as. */
  readonly outcomeOf: (value: T) => AttemptOutcome;
  /** A success which all the same speaks against the origin's health. */
  readonly isUnwell?: ((value: T) => boolean) | undefined;
  /**
   * What is still to come of a value that was handed to the caller already, such as a body: until
   * it settles the call holds its slot. `left`: nobody wanted the rest.
   */
  readonly remainder?: ((value: T) => Promise<'read' | 'left'>) | undefined;
  /** Deadline of one attempt, when it is not the origin's `timeout`. */
  readonly timeoutMs?: number | undefined;
}

type TimedCall<T> = Call<T> & { readonly timeoutMs: number };

/** An origin that refuses one request is well; one that was never reached said nothing. */
function endingOf(error: NodeError): breaker.Ending {
  if (speaksAgainstOrigin(error)) return 'failed';
  return error.blame === 'origin' ? 'succeeded' : 'abandoned';
}

const BACKOFF = { baseMs: 50, maxMs: 2_000 };

export class Attempts implements CallLine {
  readonly #settings: AttemptSettings;
  readonly #around: Surroundings;
  readonly #othersStand: OthersStand;
  readonly #foreground: FairLimit;
  readonly #background: FairLimit;
  readonly #giver: TurnGiver;
  #outcomes = new Map<AttemptOutcome, number>();
  readonly #breaker: BreakerCell;
  #inFlight = 0;
  #retries = 0;
  bytes = 0;

  constructor(settings: AttemptSettings, around: Surroundings, othersStand?: OthersStand) {
    this.#settings = settings;
    this.#othersStand = othersStand ?? (() => false);
    this.#around = around;
    const { name, queueMax, timeoutMs } = settings;
    this.#breaker = around.breakerOf?.(name) ?? localCell();
    const concurrency = Math.max(1, Math.floor(settings.concurrency / (around.threads ?? 1)));
    const starts = () => ({
      startsPerTurnMax: LIMITS.originCallsPerTurnMax,
      isBehind: around.isBehind,
      gate: around.share?.newGate(),
    });
    this.#foreground = createFairLimit({
      ...{ name: `origin ${name}`, concurrency, queueMax, ...starts() },
    });
    this.#giver = new TurnGiver({
      clock: around.clock,
      waitMs: durationMs(timeoutMs * 2),
      tooLate: () => this.#busyFor(timeoutMs * 2),
      refused: () => this.#refused('ORIGIN_BUSY'),
    });
    this.#background = createFairLimit({
      name: `origin ${name}, refreshes behind`,
      concurrency: Math.max(1, Math.floor(concurrency / 4)),
      ...{ queueMax, ...starts() },
    });
  }

  get counters(): OriginCounters {
    return {
      outcomes: this.#outcomes,
      inFlight: this.#inFlight,
      queued: this.#foreground.pendingCount + this.#background.pendingCount,
      breakerOpen: this.#breaker.read(this.#around.clock.monotonic()).kind !== 'closed',
      bytes: this.bytes,
      retries: this.#retries,
    };
  }

  /** Whether nothing of it is under way or waits. */
  get isIdle(): boolean {
    const waiting = this.#foreground.pendingCount + this.#background.pendingCount;
    return this.#inFlight === 0 && this.#foreground.activeCount === 0 && waiting === 0;
  }

  /** Goes on counting where `before` has come to, which counts what it has under way here. */
  countFrom(before: Attempts): void {
    this.#outcomes = before.#outcomes;
    this.#retries += before.#retries;
    this.bytes += before.bytes;
  }

  /** Whether `run` would not wait, or refuse at once. */
  get isFree(): boolean {
    if (this.#around.isPressed?.() === true || this.#waitOfBreaker() > 0) return true;
    return this.#foreground.isFree;
  }

  /** Waits for a slot ahead of `run`. */
  wait(source: string | undefined, waiter: TurnWaiter): void {
    this.#foreground.wait(source, this.#giver.waiting(waiter));
  }

  /** What was waited for, if it was given here. */
  ownTurn(turn: unknown): CallTurn | undefined {
    return turn instanceof CallTurn && turn.isOf(this.#giver) ? turn : undefined;
  }

  /** Resolves with the task's value; rejects with a `NodeError`, or the signal's own reason. */
  run<T>(call: Call<T>): Promise<T> {
    if (this.#around.isPressed?.() === true) return Promise.reject(this.#pressed());
    let began = false;
    const task = (signal: StopSignal) => {
      began = true;
      return call.task(signal);
    };
    const ms = call.timeoutMs ?? this.#settings.timeoutMs;
    const expired = () => (began ? this.#tooLate(ms * 2) : this.#tooBusy(ms * 2));
    return withDeadline(
      (signal) => this.#withRetries({ ...call, task, signal, timeoutMs: ms }),
      durationMs(Math.max(1, ms * 2 - (call.turn?.waitedMs ?? 0))),
      call.signal,
      this.#around.clock,
      expired,
    );
  }

  #pressed(): NodeError {
    const { name } = this.#settings;
    const message = `origin ${name} is not asked: the node is short of memory (memoryBytesMax)`;
    const details = { origin: name, limit: 'memoryBytesMax', retryAfterSeconds: 5 };
    return new NodeError('OVERLOADED', message, { retry: 'later', details });
  }

  #tooLate(waited: number): NodeError {
    const { name } = this.#settings;
    const message = `origin ${name} did not answer within ${waited} ms, retries included`;
    return originError('ORIGIN_TIMED_OUT', message, { details: { origin: name } });
  }

  #tooBusy(waited: number): NodeError {
    this.#refused('ORIGIN_BUSY');
    return this.#busyFor(waited);
  }

  #busyFor(waited: number): NodeError {
    const { timeoutMs, name, concurrency } = this.#settings;
    const message = `origin ${name}: none of ${concurrency} slots became free in ${waited} ms`;
    const details = { origin: name, retryAfterMs: timeoutMs };
    return new NodeError('ORIGIN_BUSY', message, { blame: 'origin', retry: 'later', details });
  }

  /** A health probe failed or succeeded: it moves the breaker without being a request. */
  probed(well: boolean): void {
    const now = this.#around.clock.monotonic();
    if (!well) this.#conclude('normal', 'failed');
    // The origin says it is well: the next request may try at once.
    const state = this.#breaker.read(now);
    if (well && state.kind === 'open') this.#breaker.move(state, { kind: 'open', until: now }, now);
  }

  async #withRetries<T>(call: TimedCall<T>): Promise<T> {
    const { clock, random } = this.#around;
    const giveUpAt = clock.monotonic() + call.timeoutMs * 2;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#queued(call);
      } catch (error) {
        const last = attempt > (call.mayRepeat() ? this.#settings.retries : 0);
        if (last || call.signal.aborted || !(error instanceof NodeError)) throw error;
        const wait = Math.max(backoffDelay(attempt, BACKOFF, random), retryAfterOf(error));
        if (!isRetryable(error) || clock.monotonic() + wait >= giveUpAt) throw error;
        this.#retries += 1;
        await pause(wait, call.signal, clock);
      }
    }
  }

  /** Resolves with the value as soon as it is there; the slot is held for the remainder too. */
  async #queued<T>(call: TimedCall<T>): Promise<T> {
    // Asked before queueing as well, so that callers of an open breaker do not wait in line.
    this.#refuseWhileOpen();
    return new Promise<T>((resolve, reject) => {
      const attempt = () => this.#attempt(call, resolve);
      const foreground = () =>
        call.turn?.run(attempt) ?? this.#foreground.run(attempt, call.signal, call.source);
      const run = call.background ? this.#background.run(foreground, call.signal) : foreground();
      run.catch((error: unknown) => {
        if (error instanceof NodeError && error.code === 'ORIGIN_BUSY') this.#refused(error.code);
        reject(error);
      });
    });
  }

  async #attempt<T>(call: TimedCall<T>, hand: (value: T) => void): Promise<void> {
    const ticket = this.#admit();
    const started = this.#around.clock.monotonic();
    const spent = () => this.#around.clock.monotonic() - started;
    this.#inFlight += 1;
    try {
      const value = await this.#timed(call);
      hand(value);
      const unwell = call.isUnwell?.(value) === true;
      const remainder = call.remainder?.(value);
      // A probe's word is its head: a long body must not keep the breaker waiting.
      const isTold = ticket === 'probe' || remainder === undefined;
      if (isTold) this.#conclude(ticket, unwell ? 'failed' : 'succeeded');
      const left = (await remainder) === 'left';
      if (!isTold) this.#conclude(ticket, unwell ? 'failed' : left ? 'abandoned' : 'succeeded');
      this.#count(left ? 'aborted' : call.outcomeOf(value), spent());
    } catch (thrown) {
      throw this.#failed(call, ticket, thrown, spent());
    } finally {
      this.#inFlight -= 1;
    }
  }

  #timed<T>(call: TimedCall<T>): Promise<T> {
    const { name } = this.#settings;
    const { timeoutMs } = call;
    const expired = () => {
      const message = `origin ${name} did not answer within ${timeoutMs} ms (timeout)`;
      return originError('ORIGIN_TIMED_OUT', message, { details: { origin: name, timeoutMs } });
    };
    // Called in a promise so that code which throws at once is a failure like any other.
    const task = (signal: StopSignal) => Promise.resolve().then(() => call.task(signal));
    return withDeadline(task, durationMs(timeoutMs), call.signal, this.#around.clock, expired);
  }

  #failed<T>(call: Call<T>, ticket: breaker.Ticket, thrown: unknown, ms: number): unknown {
    if (call.signal.aborted) {
      const reason: unknown = call.signal.reason;
      // The caller's leaving says nothing about the origin; the call's own deadline does.
      const late = reason instanceof NodeError && reason.code === 'ORIGIN_TIMED_OUT';
      this.#conclude(ticket, late ? 'failed' : 'abandoned');
      this.#count(late ? 'ORIGIN_TIMED_OUT' : 'aborted', ms);
      return reason;
    }
    const error = asOriginError(this.#settings.name, thrown);
    this.#conclude(ticket, endingOf(error));
    // A key that cannot be asked for is the client's; the origin heard nothing of it.
    if (error.blame !== 'client') this.#count(error.code, ms);
    return error;
  }

  #admit(): breaker.Ticket {
    const now = this.#around.clock.monotonic();
    const state = this.#breaker.read(now);
    const admission = breaker.admit(state, now, this.#settings.breaker);
    if (!admission.admitted) throw this.#refusal(admission.retryAfterMs);
    const { ticket, state: next } = admission;
    // Another thread may have begun to probe in this very moment.
    const isOurs = next === state || this.#breaker.move(state, next, now);
    if (!isOurs && ticket === 'probe') throw this.#refusal(this.#settings.breaker.cooldownMs);
    return ticket;
  }

  #refuseWhileOpen(): void {
    const wait = this.#waitOfBreaker();
    if (wait > 0) throw this.#refusal(wait);
  }

  #waitOfBreaker(): number {
    const now = this.#around.clock.monotonic();
    return breaker.waitNeeded(this.#breaker.read(now), now, this.#settings.breaker);
  }

  #refusal(retryAfterMs: number): NodeError {
    this.#refused('BREAKER_OPEN');
    const { name } = this.#settings;
    const message = `origin ${name} failed repeatedly and is left alone for a while (breaker open)`;
    return new NodeError('BREAKER_OPEN', message, {
      blame: 'origin',
      retry: 'later',
      details: { origin: name, retryAfterMs: Math.ceil(retryAfterMs) },
    });
  }

  #conclude(ticket: breaker.Ticket, told: breaker.Ending): void {
    const ending = told === 'failed' && this.#othersStand() ? 'abandoned' : told;
    const now = this.#around.clock.monotonic();
    const before = this.#breaker.read(now);
    const after = breaker.conclude(before, ticket, ending, now, this.#settings.breaker);
    if (after === before || !this.#breaker.move(before, after, now)) return;
    const open = after.kind !== 'closed';
    if ((before.kind !== 'closed') !== open) {
      this.#around.observer?.breakerMoved?.(this.#settings.name, open);
    }
  }

  /** A call that never left; it has no duration. */
  #refused(outcome: AttemptOutcome): void {
    this.#outcomes.set(outcome, (this.#outcomes.get(outcome) ?? 0) + 1);
  }

  #count(outcome: AttemptOutcome, ms: number): void {
    this.#outcomes.set(outcome, (this.#outcomes.get(outcome) ?? 0) + 1);
    this.#around.observer?.attempted?.(this.#settings.name, outcome, ms);
  }
}

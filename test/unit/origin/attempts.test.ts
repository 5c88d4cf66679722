/** What surrounds a call, without a network: time moves by hand, tasks settle by hand. */
import { describe, expect, it } from 'vitest';
import { NodeError } from '../../../src/base/errors.ts';
import type { StopSignal } from '../../../src/base/stop.ts';
import type { Turn } from '../../../src/cache/ports.ts';
import { type AttemptSettings, Attempts, type Call } from '../../../src/origin/attempts.ts';
import { originError, statusError } from '../../../src/origin/failures.ts';
import { ManualClock, settled } from '../../support/manual-clock.ts';
import { failureOf } from '../../support/origins.ts';

function make(over: Partial<AttemptSettings> = {}) {
  const clock = new ManualClock();
  const settings: AttemptSettings = {
    name: 'o',
    timeoutMs: 1_000,
    retries: 2,
    concurrency: 2,
    queueMax: 3,
    breaker: { failures: 5, cooldownMs: 10_000 },
    ...over,
  };
  return { clock, attempts: new Attempts(settings, { clock, random: () => 0 }) };
}

const call = <T>(task: Call<T>['task'], over: Partial<Call<T>> = {}): Call<T> => ({
  task,
  signal: new AbortController().signal,
  background: false,
  mayRepeat: () => true,
  outcomeOf: () => 'ok',
  ...over,
});

const unreachable = () => originError('ORIGIN_UNREACHABLE', 'no');
const never = <T>(): Promise<T> => new Promise(() => undefined);

const turnOf = (attempts: Attempts, source: string): Promise<Turn> =>
  new Promise((take, refuse) => attempts.wait(source, { take, refuse }));

describe('a call to an origin', () => {
  it('ends at its deadline although the task ignores its signal', async () => {
    const { clock, attempts } = make();
    let told: StopSignal | undefined;
    const failure = failureOf(
      attempts.run(
        call((signal) => {
          told = signal;
          return never();
        }),
      ),
    );
    await settled();
    clock.advance(1_000);
    expect((await failure).code).toBe('ORIGIN_TIMED_OUT');
    expect(told?.aborted).toBe(true);
    expect(attempts.counters.inFlight).toBe(0);
    expect(clock.timers).toBe(0);
  });

  it('is tried again after a pause when the network failed, at most so many times', async () => {
    const { clock, attempts } = make();
    let tries = 0;
    const failure = failureOf(
      attempts.run(
        call(async () => {
          tries += 1;
          throw unreachable();
        }),
      ),
    );
    await settled();
    expect(tries).toBe(1);
    clock.advance(50);
    await settled();
    expect(tries).toBe(2);
    clock.advance(100);
    expect((await failure).code).toBe('ORIGIN_UNREACHABLE');
    expect(tries).toBe(3);
    expect(attempts.counters.retries).toBe(2);
  });

  for (const status of [400, 403, 429, 500]) {
    it(`is not tried again after status ${status}`, async () => {
      const { attempts } = make();
      let tries = 0;
      await failureOf(
        attempts.run(
          call(async () => {
            tries += 1;
            throw statusError('o', status, undefined);
          }),
        ),
      );
      expect(tries).toBe(1);
    });
  }

  it('is not tried again when the origin asks for more patience than there is', async () => {
    const { attempts } = make();
    const failing = call(async () => {
      throw statusError('o', 503, 60_000);
    });
    expect((await failureOf(attempts.run(failing))).details.status).toBe(503);
    expect(attempts.counters.retries).toBe(0);
  });

  it('is refused at once when the queue is full, with the code that means "busy"', async () => {
    const { attempts } = make();
    for (let i = 0; i < 5; i += 1) void failureOf(attempts.run(call(() => never())));
    await settled();
    expect(attempts.counters).toMatchObject({ inFlight: 2, queued: 3 });
    expect((await failureOf(attempts.run(call(() => never())))).code).toBe('ORIGIN_BUSY');
  });

  it('is "busy", not late, when it never got out of the queue', async () => {
    const { clock, attempts } = make({ concurrency: 1, retries: 0 });
    void failureOf(attempts.run(call(() => never())));
    await settled();
    // The first one's slot is freed at its deadline and taken by the second, and so on.
    void failureOf(attempts.run(call(() => never())));
    void failureOf(attempts.run(call(() => never())));
    const last = failureOf(attempts.run(call(() => never())));
    await settled();
    clock.advance(1_000);
    await settled();
    clock.advance(1_000);
    expect((await last).code).toBe('ORIGIN_BUSY');
  });

  it('does not start when its caller left while it queued', async () => {
    const { clock, attempts } = make({ concurrency: 1 });
    const first = failureOf(attempts.run(call(() => never())));
    const leaving = new AbortController();
    let started = false;
    const task = async () => {
      started = true;
    };
    const second = attempts.run(call(task, { signal: leaving.signal }));
    leaving.abort(new Error('left'));
    await expect(second).rejects.toThrow('left');
    clock.advance(1_000);
    await first;
    await settled();
    expect(started).toBe(false);
  });

  it('lets a call wait for its turn before it is made, for as long as the call would', async () => {
    const { clock, attempts } = make({ concurrency: 1, retries: 0 });
    expect(attempts.isFree).toBe(true);
    const first = failureOf(attempts.run(call(() => never())));
    await settled();
    expect(attempts.isFree).toBe(false);
    const turn = turnOf(attempts, 'a');
    const late = failureOf(turnOf(attempts, 'b'));
    expect(attempts.isIdle).toBe(false);
    clock.advance(1_000);
    await first;
    const mine = attempts.ownTurn(await turn);
    expect(mine?.waitedMs).toBe(1_000);
    clock.advance(1_000);
    expect((await late).code).toBe('ORIGIN_BUSY');
    expect(attempts.counters.outcomes.get('ORIGIN_BUSY')).toBe(1);
    expect(await attempts.run(call(async () => 'asked', { turn: mine }))).toBe('asked');
    await settled();
    expect(attempts.isIdle).toBe(true);
  });

  it('takes no turn that another origin gave, and waits for none it would refuse', async () => {
    const [one, other] = [make({ concurrency: 1, retries: 0 }), make({ retries: 0 })];
    void failureOf(one.attempts.run(call(() => never())));
    await settled();
    const turn = turnOf(one.attempts, 'a');
    one.clock.advance(1_000);
    expect(other.attempts.ownTurn(await turn)).toBeUndefined();
    for (let i = 0; i < 5; i += 1) {
      await failureOf(other.attempts.run(call(() => Promise.reject(unreachable()))));
    }
    expect(other.attempts.isFree).toBe(true);
  });

  it('leaves three quarters of the slots to clients', async () => {
    const { attempts } = make({ concurrency: 8, queueMax: 100 });
    const background = { background: true };
    for (let i = 0; i < 20; i += 1) void failureOf(attempts.run(call(() => never(), background)));
    await settled();
    expect(attempts.counters.inFlight).toBe(2);
  });

  it('meets an open breaker after failures in a row, and a closed one after a probe', async () => {
    const { clock, attempts } = make({ retries: 0 });
    for (let i = 0; i < 5; i += 1) {
      await failureOf(attempts.run(call(() => Promise.reject(unreachable()))));
    }
    const refused = await failureOf(attempts.run(call(async () => 1)));
    expect([refused.code, refused.retry]).toEqual(['BREAKER_OPEN', 'later']);
    expect(refused.details.retryAfterMs).toBe(10_000);
    expect(attempts.counters.breakerOpen).toBe(true);
    clock.advance(10_000);
    expect(await attempts.run(call(async () => 'well'))).toBe('well');
    expect(attempts.counters.breakerOpen).toBe(false);
  });

  it('does not open the breaker for answers that are the request’s own fault', async () => {
    const { attempts } = make({ retries: 0 });
    const refusals = [statusError('o', 403, undefined), new NodeError('KEY_INVALID', 'x')];
    for (let i = 0; i < 10; i += 1) {
      await failureOf(attempts.run(call(() => Promise.reject(refusals[i % 2]))));
    }
    expect(attempts.counters.breakerOpen).toBe(false);
  });

  it('counts a caller’s leaving against nobody', async () => {
    const { attempts } = make({ retries: 0 });
    for (let i = 0; i < 10; i += 1) {
      const leaving = new AbortController();
      const left = attempts.run(call(() => never(), { signal: leaving.signal }));
      await settled();
      leaving.abort(new Error('left'));
      await expect(left).rejects.toThrow('left');
    }
    await settled();
    expect(attempts.counters.breakerOpen).toBe(false);
    expect(attempts.counters.outcomes.get('aborted')).toBe(10);
  });

  it('opens the breaker by failing probes, and lets calls try once one succeeds', async () => {
    const { attempts } = make();
    for (let i = 0; i < 5; i += 1) attempts.probed(false);
    expect((await failureOf(attempts.run(call(async () => 1)))).code).toBe('BREAKER_OPEN');
    attempts.probed(true);
    expect(await attempts.run(call(async () => 1))).toBe(1);
    expect(attempts.counters.breakerOpen).toBe(false);
  });

  it('takes any error of the origin’s code as a failure of the origin', async () => {
    const { attempts } = make();
    const thrown = [new TypeError('x is undefined'), 'a string', undefined];
    for (const value of thrown) {
      const error = await failureOf(attempts.run(call(() => Promise.reject(value))));
      expect([error.code, error.blame]).toEqual(['ORIGIN_FAILED', 'origin']);
    }
    const refused = Object.assign(new TypeError('fetch failed'), {
      cause: Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }),
    });
    const error = await failureOf(
      attempts.run(call(() => Promise.reject(refused), { mayRepeat: () => false })),
    );
    expect(error.code).toBe('ORIGIN_UNREACHABLE');
  });
});

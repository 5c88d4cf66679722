/** Turns of those who wait: who is next, who gives way, and how many begin in one turn. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createFairLimit, type FairLimit, type Slot } from '../../../src/base/fair-limit.ts';

const OPTIONS = { name: 'origin a', concurrency: 1, queueMax: 100, startsPerTurnMax: 1_000 };

/** Work that ends when it is told to. */
function held() {
  let end = (): void => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  return { task: () => ended, end };
}

const reserve = (limit: FairLimit, source: string): Promise<Slot> =>
  new Promise((resolve, reject) => {
    limit.wait(source, { begin: (hold) => resolve(hold()), refuse: reject });
  });

describe('createFairLimit', () => {
  it('serves the sources in turn, and the tasks of each in order', async () => {
    const limit = createFairLimit(OPTIONS);
    const first = held();
    const order: string[] = [];
    const ask = (source: string, name: string) =>
      limit.run(async () => void order.push(name), undefined, source);
    const all = [limit.run(first.task), ask('a', 'a1'), ask('a', 'a2'), ask('a', 'a3')];
    all.push(ask('b', 'b1'), ask('c', 'c1'), ask('b', 'b2'));
    first.end();
    await Promise.all(all);
    expect(order).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3']);
  });

  it('begins no more than a slice in one turn of the loop, and the rest in later ones', async () => {
    const limit = createFairLimit({ ...OPTIONS, concurrency: 100, startsPerTurnMax: 4 });
    await nextTurn();
    let begun = 0;
    const begin = async () => {
      begun += 1;
    };
    const all = Array.from({ length: 10 }, () => limit.run(begin));
    await Promise.resolve();
    expect(begun).toBe(4);
    expect(limit.pendingCount).toBe(6);
    await Promise.all(all);
    expect(begun).toBe(10);
    expect(limit.activeCount + limit.pendingCount).toBe(0);
  });

  it('refuses whoever fills the queue, and lets him give way to others', async () => {
    const limit = createFairLimit({ ...OPTIONS, queueMax: 4 });
    const first = held();
    const running = limit.run(first.task, undefined, 'greedy');
    const flood = Array.from({ length: 4 }, (_, index) =>
      limit.run(async () => index, undefined, 'greedy').catch((error) => error.code),
    );
    const beyond = limit.run(async () => 'never', undefined, 'greedy');
    await expect(beyond).rejects.toMatchObject({
      code: 'ORIGIN_BUSY',
      retry: 'later',
      details: { retryAfterSeconds: 1 },
    });
    const modest = limit.run(async () => 'served', undefined, 'modest');
    first.end();
    expect(await modest).toBe('served');
    expect(await Promise.all(flood)).toEqual([0, 1, 2, 'ORIGIN_BUSY']);
    await running;
  });

  it('refuses nobody while a slot is free, even without a queue', async () => {
    const limit = createFairLimit({
      ...OPTIONS,
      concurrency: 3,
      queueMax: 0,
      startsPerTurnMax: 1,
    });
    const all = [1, 2, 3].map((value) => limit.run(async () => value));
    await expect(limit.run(async () => 4)).rejects.toMatchObject({ code: 'ORIGIN_BUSY' });
    expect(await Promise.all(all)).toEqual([1, 2, 3]);
  });

  it('never starts work whose signal aborts while it waits, and gives its slot to the next', async () => {
    const limit = createFairLimit(OPTIONS);
    const first = held();
    const aborter = new AbortController();
    const running = limit.run(first.task);
    let begun = false;
    const begin = async () => {
      begun = true;
    };
    const left = limit.run(begin, aborter.signal);
    const next = limit.run(async () => 'next');
    aborter.abort(new Error('the client left'));
    first.end();
    await expect(left).rejects.toBe(aborter.signal.reason);
    expect(await next).toBe('next');
    expect(begun).toBe(false);
    await running;
  });

  it('frees the slot of work that fails or throws at once', async () => {
    const limit = createFairLimit(OPTIONS);
    await expect(limit.run(() => Promise.reject(new Error('down')))).rejects.toThrow('down');
    const thrown = limit.run(() => {
      throw new Error('at once');
    });
    await expect(thrown).rejects.toThrow('at once');
    expect(await limit.run(async () => 'next')).toBe('next');
  });

  it('holds a slot for whoever reserved one, for one task or until it is given back', async () => {
    const limit = createFairLimit({ ...OPTIONS, concurrency: 2 });
    expect(limit.isFree).toBe(true);
    const [one, two] = [held(), held()];
    const running = [limit.run(one.task), limit.run(two.task)];
    expect(limit.isFree).toBe(false);
    const [first, second] = [reserve(limit, 'a'), reserve(limit, 'b')];
    const passed = { begin: () => {}, refuse: () => {} };
    limit.wait('c', passed);
    one.end();
    two.end();
    await Promise.all(running);
    const slots = [await first, await second];
    expect([limit.activeCount, limit.pendingCount]).toEqual([2, 1]);
    expect(await slots[0]?.run(async () => 'done')).toBe('done');
    expect(slots[0]?.run(async () => 'again')).toBeUndefined();
    slots[1]?.free();
    slots[1]?.free();
    await nextTurn();
    expect([limit.activeCount, limit.pendingCount]).toEqual([0, 0]);
  });

  it('refuses a reservation where it would refuse a task', async () => {
    const limit = createFairLimit({ ...OPTIONS, queueMax: 1 });
    const first = held();
    const running = limit.run(first.task);
    const waiting = reserve(limit, 'a');
    await expect(reserve(limit, 'a')).rejects.toMatchObject({ code: 'ORIGIN_BUSY' });
    first.end();
    await running;
    (await waiting).free();
  });
});

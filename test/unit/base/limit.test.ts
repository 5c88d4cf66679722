/** Bounded concurrency: how many run, how many wait, who is refused, who never starts. */
import { describe, expect, it } from 'vitest';
import { NodeError } from '../../../src/base/errors.ts';
import { createLimit } from '../../../src/base/limit.ts';

/** A task which runs until it is told to end. */
function openTask() {
  let end: (result: string) => void = () => undefined;
  const promise = new Promise<string>((resolve) => {
    end = resolve;
  });
  let started = false;
  return {
    task: () => {
      started = true;
      return promise;
    },
    end,
    get started() {
      return started;
    },
  };
}

describe('createLimit', () => {
  it('runs at most its concurrency at once, the rest in order', async () => {
    const limit = createLimit({ name: 'origin a', concurrency: 2, queueMax: 10 });
    const order: number[] = [];
    let most = 0;
    await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        limit.run(async () => {
          most = Math.max(most, limit.activeCount);
          order.push(index);
          await Promise.resolve();
        }),
      ),
    );
    expect(most).toBe(2);
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  it('refuses work beyond its queue at once, to be tried later', async () => {
    const limit = createLimit({ name: 'origin a', concurrency: 1, queueMax: 1 });
    const first = openTask();
    const second = openTask();
    const running = limit.run(first.task);
    await expect.poll(() => first.started).toBe(true);
    const waiting = limit.run(second.task);

    const refused = await limit.run(() => Promise.resolve('never')).catch((error) => error);
    expect(refused).toBeInstanceOf(NodeError);
    expect(refused).toMatchObject({ code: 'ORIGIN_BUSY', retry: 'later' });
    expect(refused.details).toEqual({ limit: 'origin a', value: 1 });

    first.end('first');
    second.end('second');
    expect(await Promise.all([running, waiting])).toEqual(['first', 'second']);
  });

  it('refuses nobody while a slot is free, even without a queue', async () => {
    const limit = createLimit({ name: 'origin a', concurrency: 2, queueMax: 0 });
    const both = [limit.run(async () => 1), limit.run(async () => 2)];
    await expect(limit.run(async () => 3)).rejects.toMatchObject({ code: 'ORIGIN_BUSY' });
    expect(await Promise.all(both)).toEqual([1, 2]);
  });

  it('takes new work again when its queue has emptied', async () => {
    const limit = createLimit({ name: 'origin a', concurrency: 1, queueMax: 1 });
    await Promise.all([limit.run(async () => 1), limit.run(async () => 2).catch(() => 'refused')]);
    expect(await limit.run(async () => 3)).toBe(3);
  });

  it('never starts work whose signal aborts while it waits', async () => {
    const limit = createLimit({ name: 'origin a', concurrency: 1, queueMax: 5 });
    const first = openTask();
    const second = openTask();
    const aborter = new AbortController();
    const running = limit.run(first.task);
    const waiting = limit.run(second.task, aborter.signal);
    aborter.abort(new Error('the client left'));
    first.end('first');
    await expect(waiting).rejects.toBe(aborter.signal.reason);
    expect(await running).toBe('first');
    expect(second.started).toBe(false);
  });

  it('frees the slot of work that fails', async () => {
    const limit = createLimit({ name: 'origin a', concurrency: 1, queueMax: 5 });
    await expect(limit.run(() => Promise.reject(new Error('down')))).rejects.toThrow('down');
    expect(await limit.run(async () => 'next')).toBe('next');
    expect(limit.activeCount + limit.pendingCount).toBe(0);
  });
});

/** Answers go in the order of what they answer. */
import { describe, expect, it } from 'vitest';
import { AnswerQueue } from '../../../../src/protocols/mqtt/answer-queue.ts';

describe('an answer queue', () => {
  it('[R2] sends in the order of the packets, whatever ends first', async () => {
    const queue = new AnswerQueue();
    const sent: number[] = [];
    const ends: (() => void)[] = [];
    for (const number of [1, 2, 3]) {
      const work = new Promise<void>((resolve) => ends.push(resolve));
      queue.add(work, () => sent.push(number));
    }
    ends[2]?.();
    ends[1]?.();
    await Promise.resolve();
    expect(sent).toEqual([]);
    ends[0]?.();
    await queue.idle();
    expect(sent).toEqual([1, 2, 3]);
  });

  it('passes over work that failed, and sends nothing once it is closed', async () => {
    const queue = new AnswerQueue();
    const sent: string[] = [];
    queue.add(Promise.reject(new Error('no')), () => sent.push('failed'));
    queue.add(Promise.resolve(), () => sent.push('after'));
    await queue.idle();
    queue.close();
    queue.add(Promise.resolve(), () => sent.push('late'));
    await queue.idle();
    expect(sent).toEqual(['after']);
  });
});

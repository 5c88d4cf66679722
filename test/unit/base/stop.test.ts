/** The word to leave off, beside the platform's own. */
import { describe, expect, it } from 'vitest';
import { eitherStop, NEVER_STOPPED, realSignal, Stop } from '../../../src/base/stop.ts';

describe('a stop', () => {
  it('tells every listener once, in order, and says why', () => {
    const stop = new Stop();
    const told: string[] = [];
    const leave = () => told.push('left');
    stop.addEventListener('abort', () => told.push('one'));
    stop.addEventListener('abort', leave);
    stop.addEventListener('abort', () => told.push('two'));
    stop.removeEventListener('abort', leave);
    stop.abort('late');
    stop.abort('later');
    stop.addEventListener('abort', () => told.push('never'));
    expect(told).toEqual(['one', 'two']);
    expect([stop.aborted, stop.reason]).toEqual([true, 'late']);
  });

  it('has the reason of the platform when none is given', () => {
    const stop = new Stop();
    stop.abort();
    const controller = new AbortController();
    controller.abort();
    expect(stop.reason).toEqual(controller.signal.reason);
  });

  it('is followed by a real signal, whether that is made before or after', () => {
    const stop = new Stop();
    const before = realSignal(stop);
    expect(before.aborted).toBe(false);
    stop.abort('late');
    const after = realSignal(stop);
    expect([before.aborted, before.reason]).toEqual([true, 'late']);
    expect([after.aborted, after.reason]).toEqual([true, 'late']);
    expect(realSignal(after)).toBe(after);
  });

  it('comes with the first of two, for its reason', () => {
    const [one, other] = [new Stop(), new AbortController()];
    const either = eitherStop(one, other.signal);
    expect(either.aborted).toBe(false);
    other.abort('other');
    one.abort('one');
    expect(either.reason).toBe('other');
    expect(eitherStop(NEVER_STOPPED, other.signal).reason).toBe('other');
  });
});

/** When a crowd may go on beside others, and when it waits for the loop to be idle. */
import { beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { type LoopGate, LoopShare } from '../../../src/base/loop-share.ts';

const CROWD = 32;

describe('the share of a crowd in an event loop', () => {
  let times = { active: 0, idle: 0 };
  let share: LoopShare;
  let gate: LoopGate;

  const loopWas = (active: number, idle: number): void => {
    times = { active: times.active + active, idle: times.idle + idle };
  };

  beforeEach(() => {
    times = { active: 0, idle: 0 };
    share = new LoopShare(() => times, systemClock);
    gate = share.newGate();
  });

  it('is spent once the loop has worked, until it was idle for twice as long', () => {
    share.others += 1;
    loopWas(20, 0);
    gate.passed();
    loopWas(1, 0);
    expect(gate.isShut(CROWD)).toBe(true);
    for (let idle = 4; idle <= 40; idle += 4) {
      gate.passed();
      loopWas(0, 4);
      expect(gate.isShut(CROWD)).toBe(true);
    }
    gate.passed();
    loopWas(0, 4);
    expect(gate.isShut(CROWD)).toBe(false);
  });

  it('goes to one after the other, however idle the loop is', () => {
    share.others += 1;
    loopWas(0, 20);
    expect(gate.isShut(CROWD)).toBe(false);
    gate.passed();
    expect(gate.isShut(CROWD)).toBe(true);
    loopWas(0, 1);
    expect(gate.isShut(CROWD)).toBe(false);
  });

  it('is for crowds: a few go on', () => {
    share.others += 1;
    loopWas(20, 0);
    gate.passed();
    expect(gate.isShut(CROWD - 1)).toBe(false);
    expect(gate.isShut(CROWD)).toBe(true);
  });

  it('holds back nobody where nobody else is answered', () => {
    loopWas(20, 0);
    gate.passed();
    expect(gate.isShut(CROWD)).toBe(false);
    share.others += 1;
    gate.isShut(CROWD);
    gate.passed();
    expect(gate.isShut(CROWD)).toBe(true);
    loopWas(1_000, 0);
    gate.isShut(CROWD);
    gate.passed();
    expect(gate.isShut(CROWD)).toBe(false);
  });

  it('lets one through after a while, however busy the loop is', () => {
    share.others += 1;
    loopWas(20, 0);
    gate.passed();
    loopWas(4, 0);
    expect(gate.isShut(CROWD)).toBe(true);
    loopWas(1, 0);
    expect(gate.isShut(CROWD)).toBe(false);
  });

  it('keeps neither credit nor debt for ever', () => {
    share.others += 1;
    loopWas(0, 10_000);
    gate.isShut(CROWD);
    loopWas(11, 0);
    gate.passed();
    loopWas(1, 0);
    expect(gate.isShut(CROWD)).toBe(true);
    loopWas(10_000, 0);
    share.others += 1;
    for (let idle = 0; idle < 80; idle += 4) {
      gate.passed();
      loopWas(0, 4);
    }
    gate.passed();
    loopWas(0, 2);
    expect(gate.isShut(CROWD)).toBe(false);
  });
});

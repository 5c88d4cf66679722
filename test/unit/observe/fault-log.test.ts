/** What the log says of requests that failed. */
import { describe, expect, it } from 'vitest';
import { NodeError } from '../../../src/base/errors.ts';
import { createFaultLog } from '../../../src/observe/fault-log.ts';
import { ManualClock } from '../../support/manual-clock.ts';

function bench() {
  const lines: { level: string; facts: object }[] = [];
  const say = (level: string) => (facts: object) => void lines.push({ level, facts });
  const log = { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') };
  const clock = new ManualClock();
  const faultLog = createFaultLog(log, clock);
  const request = { method: 'PUT', path: '/Item/a', fields: ['authorization', 'Basic c2VjcmV0'] };
  return { lines, clock, fail: (error: unknown) => faultLog(error, request) };
}

describe('the log of failed requests', () => {
  it('says nothing of a request but its method and path', () => {
    const { lines, fail } = bench();
    fail(new Error('a bug'));
    fail(new NodeError('STORE_FULL', 'no room'));
    expect(lines).toMatchObject([
      { level: 'error', facts: { method: 'PUT', path: '/Item/a', stack: expect.any(String) } },
      { level: 'warn', facts: { method: 'PUT', path: '/Item/a', code: 'STORE_FULL' } },
    ]);
    expect(JSON.stringify(lines)).not.toContain('c2VjcmV0');
  });

  it('says an operating error once a second, and how often it was left out', () => {
    const { lines, clock, fail } = bench();
    const full = new NodeError('STORE_FULL', 'no room');
    for (let times = 0; times < 5; times += 1) fail(full);
    fail(new NodeError('WRITE_QUEUE_FULL', 'too many'));
    clock.advance(1_000);
    fail(full);
    expect(lines.map(({ facts }) => facts)).toMatchObject([
      { code: 'STORE_FULL', alsoFailed: 0 },
      { code: 'WRITE_QUEUE_FULL' },
      { code: 'STORE_FULL', alsoFailed: 4 },
    ]);
  });

  it('says every bug', () => {
    const { lines, fail } = bench();
    for (let times = 0; times < 3; times += 1) fail(new TypeError('x is undefined'));
    expect(lines).toHaveLength(3);
  });
});

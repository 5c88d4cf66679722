/** Who fetches which key on the whole node: one leader a key, followers handed its outcome. */
import { describe, expect, it } from 'vitest';
import { sequence } from '../../../src/base/brands.ts';
import { NodeError } from '../../../src/base/errors.ts';
import { LeaseTable } from '../../../src/cache/lease-table.ts';
import type { FlightOutcome } from '../../../src/cache/ports.ts';

const failure = (message: string): FlightOutcome => ({
  kind: 'failure',
  error: new NodeError('ORIGIN_FAILED', message),
});
const AT_1 = sequence(1);
const AT_2 = sequence(2);

describe('a lease', () => {
  it('is granted to the first who asks; the others are handed what it ends with', () => {
    const table = new LeaseTable();
    const heard: FlightOutcome[] = [];
    expect(table.acquire(1, 'k', AT_1, () => heard.push(failure('own')))).toBe(true);
    expect(table.acquire(2, 'k', AT_1, (outcome) => heard.push(outcome))).toBe(false);
    const outcome = failure('shared');
    table.settle(1, 'k', AT_1, outcome);
    expect(heard).toEqual([outcome]);
    expect(table.size).toBe(0);
  });

  it('is not shared with a reader who knows of a newer invalidation [R6]', () => {
    const table = new LeaseTable();
    const heard: string[] = [];
    table.acquire(1, 'k', AT_1, () => undefined);
    table.acquire(2, 'k', AT_1, () => heard.push('older'));
    expect(table.acquire(3, 'k', AT_2, () => undefined)).toBe(true);
    expect(table.acquire(4, 'k', AT_1, () => heard.push('newer'))).toBe(false);
    table.settle(3, 'k', AT_2, failure('of the newer fetch'));
    expect(heard).toEqual([]);
    table.settle(1, 'k', AT_1, failure('of the older fetch'));
    expect(heard).toEqual(['older', 'newer']);
  });

  it('is released when its worker ends, and its followers are told', () => {
    const table = new LeaseTable();
    const heard: FlightOutcome[] = [];
    table.acquire(1, 'k', AT_1, () => undefined);
    table.acquire(2, 'k', AT_1, (outcome) => heard.push(outcome));
    table.release(1);
    expect(heard).toMatchObject([{ kind: 'failure', error: { code: 'ORIGIN_FAILED' } }]);
    expect(table.acquire(2, 'k', AT_1, () => undefined)).toBe(true);
  });

  it('that nobody holds may be settled without effect', () => {
    const table = new LeaseTable();
    table.settle(1, 'k', AT_1, failure('late'));
    expect(table.size).toBe(0);
  });
});

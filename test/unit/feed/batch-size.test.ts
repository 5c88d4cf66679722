/** The number of changes of a turn follows what a turn takes. */
import { expect, it } from 'vitest';
import { BatchSize } from '../../../src/feed/batch-size.ts';

it('grows while turns are short, up to its maximum', () => {
  const batch = new BatchSize(64);
  for (let turn = 0; turn < 5; turn += 1) batch.took(1, batch.size);
  expect(batch.size).toBe(64);
});

it('stays where it is when there was less to do than it allows', () => {
  const batch = new BatchSize(64);
  batch.took(1, 3);
  expect(batch.size).toBe(16);
});

it('falls at once to what fits into a turn, and never below one change', () => {
  const batch = new BatchSize(64);
  batch.took(800, 16);
  expect(batch.size).toBe(2);
  batch.took(5_000, 2);
  expect(batch.size).toBe(1);
});

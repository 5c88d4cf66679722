/** Guessing what a misspelt name was meant to be. */
import { describe, expect, it } from 'vitest';
import { nearest, suggest } from '../../../src/schema/nearest.ts';

const names = ['table', 'export', 'sourcedFrom', 'primaryKey', 'indexed', 'hidden'];

describe('the nearest name', () => {
  it.each([
    ['tabel', 'table'],
    ['Export', 'export'],
    ['sourceFrom', 'sourcedFrom'],
    ['primarykey', 'primaryKey'],
    ['index', 'indexed'],
  ])('to %s is %s', (written, meant) => {
    expect(nearest(written, names)).toBe(meant);
  });

  it.each(['zzz', 'q', '', 'completely-different'])('to %j is none', (written) => {
    expect(nearest(written, names)).toBeUndefined();
  });

  it('costs little for a very long name', () => {
    expect(nearest('x'.repeat(1_000_000), names)).toBeUndefined();
  });
});

describe('a suggestion', () => {
  it('lists a short choice when nothing is near', () => {
    expect(suggest('zzzzz', ['read', 'write'])).toContain('read, write');
  });

  it('says nothing when there is no choice', () => {
    expect(suggest('x', [])).toBeUndefined();
  });
});

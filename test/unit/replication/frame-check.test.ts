/** What comes from another node is looked at field by field before anything is done with it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkFrame } from '../../../src/replication/frame-check.ts';

const origin = { author: 5, sequence: 3, after: 2 };
const state = {
  base: { version: 10, author: 5, kind: 'put' },
  times: {
    ...{ version: 10, author: 5, storedAt: 1, freshUntil: 1, evictAt: 1 },
    ...{ staleWhileRevalidateUntil: 0, staleIfErrorUntil: 0 },
  },
  body: new Uint8Array([123, 125]),
};
const row = { kind: 'row', table: 'rows', id: 'a', state, origin };
const batch = {
  ...{ kind: 'batch', stream: 1, ordinal: 1, items: [row], cursors: [[5, 3]], at: 3, last: 3 },
};

const problemOf = (frame: unknown): string | undefined => {
  const checked = checkFrame(frame);
  return checked.kind === 'invalid' ? checked.problem : undefined;
};
const withState = (change: Readonly<Record<string, unknown>>) => ({
  ...batch,
  items: [{ ...row, state: { ...state, ...change } }],
});

describe('a frame of another node [R6]', () => {
  it('is taken when it is as it must be', () => {
    expect(problemOf(batch)).toBeUndefined();
    expect(problemOf({ ...batch, items: [], unheardOf: true })).toBeUndefined();
  });

  it.each([
    ['no object', 7],
    ['no kind', {}],
    ['an unknown kind', { kind: 'toString' }],
    ['a kind of the language', { kind: '__proto__' }],
    ['no items', { ...batch, items: undefined }],
    ['an ordinal that is no number', { ...batch, ordinal: '1' }],
    ['a negative place', { ...batch, at: -1 }],
    ['a fraction of a place', { ...batch, at: 0.5 }],
    ['a cursor of nobody', { ...batch, cursors: [[0, 3]] }],
    ['a cursor that is no pair', { ...batch, cursors: [[1, 2, 3]] }],
    ['an item without an origin', { ...batch, items: [{ ...row, origin: undefined }] }],
    ['a key that is no key', { ...batch, items: [{ ...row, id: { toString: 1 } }] }],
    ['half a character in a key', { ...batch, items: [{ ...row, id: '\ud800' }] }],
    ['a version that is no number', withState({ base: { ...state.base, version: Number.NaN } })],
    ['a version beyond all numbers', withState({ base: { ...state.base, version: 2 ** 60 } })],
    ['a put without a body', withState({ body: undefined })],
    ['a state that says nothing', { ...batch, items: [{ ...row, state: {} }] }],
    [
      'a sum that is none',
      withState({
        touched: { n: { counter: { from: 0, sums: { 5: { sum: '1', version: 3 } } } } },
      }),
    ],
    [
      'too many buckets',
      { kind: 'pageRequest', request: 1, table: 't', buckets: Array(5000).fill(1) },
    ],
  ])('is refused for %s', (_what, frame) => {
    expect(problemOf(frame)).toBeDefined();
  });

  it('is refused or taken, whatever it is, and never breaks the check', () => {
    const kinds = fc.constantFrom('hello', 'open', 'batch', 'page', 'purge', 'begin', 'digests');
    fc.assert(
      fc.property(kinds, fc.dictionary(fc.string(), fc.anything()), (kind, fields) => {
        expect(['valid', 'invalid']).toContain(checkFrame({ ...fields, kind }).kind);
      }),
      { numRuns: 300 },
    );
  });
});

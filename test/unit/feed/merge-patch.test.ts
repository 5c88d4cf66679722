/** Patches between JSON values, held against RFC 7396 to the letter. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { mergePatchOf } from '../../../src/feed/merge-patch.ts';
import { applyMergePatch } from '../../support/merge-patch.ts';

const FILL = 'x'.repeat(400);

it('a patch makes of the former value exactly the later one [RFC7396 §2]', () => {
  const names = fc.constantFrom('a', 'b', 'constructor', 'toString', '');
  const leaf = fc.oneof(fc.integer(), fc.constant(null), fc.string(), fc.array(fc.integer()));
  const record = fc.dictionary(names, fc.oneof(leaf, fc.dictionary(names, leaf)));
  const told: string[] = [];
  fc.assert(
    fc.property(record, record, (one, other) => {
      const before = JSON.parse(JSON.stringify({ ...one, fill: FILL }));
      const after = JSON.parse(JSON.stringify({ ...other, fill: FILL }));
      const patch = mergePatchOf(JSON.stringify(before), JSON.stringify(after));
      if (patch === undefined) return;
      told.push(patch);
      expect(JSON.parse(JSON.stringify(applyMergePatch(before, JSON.parse(patch))))).toEqual(after);
    }),
    { numRuns: 1_000, seed: 1 },
  );
  expect(told.length).toBeGreaterThan(50);
});

it('says only what is different', () => {
  const patch = mergePatchOf(
    '{"id":1,"score":{"home":1,"away":0},"clock":"12:01","late":true}',
    '{"id":1,"score":{"home":2,"away":0},"clock":"12:02"}',
  );
  expect(JSON.parse(patch ?? '')).toEqual({ score: { home: 2 }, clock: '12:02', late: null });
});

it.each([
  ['a member becomes null', '{"a":1,"fill":"0123456789"}', '{"a":null,"fill":"0123456789"}'],
  ['a new object holds null', '{"fill":"0123456789"}', '{"a":{"b":null},"fill":"0123456789"}'],
  ['the value is no object', '[1,2,3,4,5,6,7,8,9]', '[1,2,3,4,5,6,7,8,9,10]'],
  ['the patch is no shorter', '{"a":1}', '{"b":1}'],
  [
    'numbers are too long to be told apart',
    '{"a":9007199254740993,"fill":"0123456789"}',
    '{"a":9007199254740992,"fill":"0123456789"}',
  ],
  [
    'a member is named as what objects inherit',
    '{"fill":"0123456789"}',
    '{"__proto__":1,"fill":"0123456789"}',
  ],
  ['it is no JSON', 'nonsense', '{"a":1}'],
])('leaves the whole value to be sent when %s', (_, before, after) => {
  expect(mergePatchOf(before, after)).toBeUndefined();
});

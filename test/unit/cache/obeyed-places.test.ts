/**
 * Up to where another node has obeyed the invalidations of this one's log: what an entry that it
 * fetched may have missed.
 */
import { describe, expect, it } from 'vitest';
import { nodeId, sequence } from '../../../src/base/brands.ts';
import { obeyedAtStart } from '../../../src/base/obeyed-ahead.ts';
import { ObeyedPlaces } from '../../../src/cache/obeyed-places.ts';

const [ours, theirs] = [nodeId(1), nodeId(2)];
const cursors = (own: number, other: number) =>
  new Map([
    [ours, sequence(own)],
    [theirs, sequence(other)],
  ]);
const places = () => new ObeyedPlaces(cursors(10, 5));

describe('how far this log was obeyed by who names its cursors [R14]', () => {
  it('is its end where nothing was invalidated since the start', () => {
    expect(places().upTo(cursors(10, 5), sequence(99))).toBe(99);
  });

  it('is not known of who has not even what was obeyed at the start', () => {
    expect(places().upTo(cursors(9, 5), sequence(99))).toBeUndefined();
    expect(places().upTo(new Map([[ours, sequence(10)]]), sequence(99))).toBeUndefined();
  });

  it('is not known of who lacks what had effect ahead of its place before the start', () => {
    const started = new ObeyedPlaces(obeyedAtStart(cursors(10, 5), [[theirs, sequence(8), 0]]));
    expect(started.upTo(cursors(10, 7), sequence(99))).toBeUndefined();
    expect(started.upTo(cursors(10, 8), sequence(99))).toBe(99);
    // Its place has come since.
    expect([...obeyedAtStart(cursors(10, 9), [[theirs, sequence(8), 0]])]).toEqual([
      ...cursors(10, 9),
    ]);
  });

  it('ends right before the first invalidation that is not held there', () => {
    const obeyed = places();
    obeyed.note(sequence(20), ours, sequence(20));
    obeyed.note(sequence(25), theirs, sequence(7));
    obeyed.note(sequence(30), ours, sequence(30));
    expect(obeyed.upTo(cursors(30, 7), sequence(40))).toBe(40);
    expect(obeyed.upTo(cursors(30, 6), sequence(40))).toBe(24);
    expect(obeyed.upTo(cursors(19, 7), sequence(40))).toBe(19);
  });

  it('counts an invalidation that came ahead of its place where it had effect', () => {
    const obeyed = places();
    obeyed.note(sequence(20), theirs, sequence(50));
    expect(obeyed.upTo(cursors(10, 49), sequence(21))).toBe(19);
  });

  it('is not known of who lacks one of those that are remembered as a whole', () => {
    const obeyed = places();
    for (let at = 11; at < 3_000; at += 1) obeyed.note(sequence(at), ours, sequence(at));
    expect(obeyed.upTo(cursors(1_000, 5), sequence(3_000))).toBeUndefined();
    expect(obeyed.upTo(cursors(2_990, 5), sequence(3_000))).toBe(2_990);
  });

  it('asks for all that a snapshot stood for after it dropped the caches', () => {
    const obeyed = places();
    obeyed.note(sequence(20), ours, sequence(20));
    obeyed.dropped(cursors(0, 300));
    expect(obeyed.upTo(cursors(20, 299), sequence(40))).toBeUndefined();
    expect(obeyed.upTo(cursors(19, 300), sequence(40))).toBeUndefined();
    expect(obeyed.upTo(cursors(20, 300), sequence(40))).toBe(40);
  });
});

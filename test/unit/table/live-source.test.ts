/** Since when a live feed vouches for what is stored, and for how long after it went down. */
import { describe, expect, it } from 'vitest';
import { durationMs, epochMs } from '../../../src/base/brands.ts';
import { LiveSource, liveSourceBytes } from '../../../src/table/live-source.ts';

const at = (ms: number) => epochMs(1_000_000 + ms);

function make() {
  const memory = new SharedArrayBuffer(liveSourceBytes(2));
  const lifetime = durationMs(10_000);
  return {
    writer: new LiveSource(memory, 1, lifetime),
    reader: new LiveSource(memory, 1, lifetime),
  };
}

describe('a live source', () => {
  it('vouches for nothing before its feed connected', () => {
    expect(make().reader.fedSince(at(0))).toBeUndefined();
  });

  it('tells every thread since when the feed has missed nothing', () => {
    const { writer, reader } = make();
    writer.connected(at(100));
    expect(reader.fedSince(at(999_999))).toBe(at(100));
  });

  it('vouches one freshness lifetime longer once the feed is down, and no more', () => {
    const { writer, reader } = make();
    writer.connected(at(100));
    writer.disconnected(at(500));
    expect(reader.fedSince(at(10_499))).toBe(at(100));
    expect(reader.fedSince(at(10_500))).toBeUndefined();
  });

  it('says until when it vouched once it is down', () => {
    const { writer, reader } = make();
    writer.connected(at(100));
    const live = reader.fedUntil();
    writer.disconnected(at(500));
    expect([live, reader.fedUntil()]).toEqual([undefined, at(500)]);
  });

  it('keeps the tables apart', () => {
    const memory = new SharedArrayBuffer(liveSourceBytes(2));
    new LiveSource(memory, 0, durationMs(1)).connected(at(0));
    expect(new LiveSource(memory, 1, durationMs(1)).fedSince(at(0))).toBeUndefined();
  });
});

/**
 * The read path over a real store instead of a strict fake: fills, markers, validators, versions
 * and invalidations mean the same to both.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { durationMs } from '../../../src/base/brands.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { localLeases } from '../../../src/cache/collapse.ts';
import { definePolicy } from '../../../src/cache/default-policy.ts';
import { parseRequestDirectives } from '../../../src/cache/directives.ts';
import { createReadPath, type ReadPath } from '../../../src/cache/read-path.ts';
import type { ReadResult } from '../../../src/cache/read-request.ts';
import { entityTagOf } from '../../../src/store/entity-tag.ts';
import { openMemoryStore } from '../../../src/store/memory/open.ts';
import type { Store } from '../../../src/store/store-options.ts';
import { tableEntries } from '../../../src/table/entries.ts';
import { checkRecord, definitions, ITEM, indexedValues } from '../../contract/store-fixture.ts';
import { ScriptedOrigin, type ScriptedReply } from '../../support/scripted-origin.ts';

describe('over a store', () => {
  let store: Store;
  let origin: ScriptedOrigin;
  let path: ReadPath;

  beforeEach(async () => {
    store = openMemoryStore({ definitions, clock: systemClock, indexedValues, checkRecord });
    await store.indexesReady;
    origin = new ScriptedOrigin(systemClock);
    path = createReadPath({
      table: ITEM,
      entries: tableEntries(ITEM, store, store, () => undefined),
      invalidations: store.invalidations(ITEM),
      origin,
      policy: definePolicy({
        freshness: { jitter: 0 },
        stale: { whileRevalidate: durationMs(60_000) },
      }),
      leases: localLeases(),
      clock: systemClock,
      random: Math.random,
      tagOf: entityTagOf,
      events: {},
      limits: { fetchMsMax: 10_000, failureMarkersBytes: 10_000 },
    });
  });
  afterEach(() => store.close());

  const answers = (reply: ScriptedReply) => {
    origin.script = (call) => call.reply(reply);
  };

  /** The result of one read, with what a view can tell only during the answer. */
  async function read(cacheControl?: string) {
    const directives = parseRequestDirectives(cacheControl);
    const seen: (ReadResult & { text?: string; tag?: string; version?: number })[] = [];
    await path.read({ id: 'a', variant: '', directives, mayForce: true }, (result) => {
      const { kind } = result;
      const entry = kind === 'found' ? result.entry : undefined;
      const text = entry === undefined ? undefined : Buffer.from(entry.body).toString();
      const plain = { ...result, entry: undefined as never };
      seen.push({ ...plain, ...(text === undefined ? {} : { text }), ...taken(entry) });
    });
    const [result] = seen;
    if (result === undefined) throw new Error('the read was not answered');
    return result;
  }

  const taken = (entry: { entityTag: string; version: number } | undefined) =>
    entry === undefined ? {} : { tag: entry.entityTag, version: entry.version };

  const purge = (soft: boolean) =>
    store.commit(
      [{ kind: 'invalidate', table: ITEM, scope: { kind: 'key', id: 'a' }, soft, reason: 'purge' }],
      'process',
    );

  it('gives the same tag and version from the origin and from the store', async () => {
    answers({ body: '{"id":"a","v":1}' });
    const first = await read();
    const second = await read();
    expect(first).toMatchObject({ served: 'fetched', cacheStatus: { stored: true } });
    expect(second).toMatchObject({ served: 'fresh', text: first.text, tag: first.tag });
    expect(second.version).toBe(first.version);
    expect(origin.calls).toHaveLength(1);
  });

  it('lets 300 concurrent misses make one call', async () => {
    answers({ body: '{"id":"a"}' });
    const results = await Promise.all(Array.from({ length: 300 }, () => read()));
    expect(new Set(results.map((result) => result.text))).toEqual(new Set(['{"id":"a"}']));
    expect(origin.calls).toHaveLength(1);
  });

  it('freshens without changing bytes, tag or version, and without an event', async () => {
    answers({ body: '{"id":"a"}', etag: 'W/"x"', cacheControl: 'max-age=0' });
    const first = await read();
    origin.script = (call) => call.notModified({ cacheControl: 'max-age=60' });
    const before = store.lastSequence();
    const second = await read('no-cache');
    expect(origin.calls[1]?.replacing?.meta.originTag).toBe('W/"x"');
    expect(second).toMatchObject({ served: 'validated', text: first.text, tag: first.tag });
    expect(second.cacheStatus).toMatchObject({ stored: true, fwdStatus: 304 });
    expect(store.changesAfter(before, 10).changes).toEqual([]);
    expect((await read()).cacheStatus.hit).toBe(true);
  });

  it('never answers with what was purged, nor stores what was asked for before', async () => {
    answers({ body: '{"v":1}' });
    await read();
    await purge(false);
    origin.script = undefined;
    const early = read();
    await purge(false);
    origin.next().reply({ body: '{"v":2}' });
    expect((await early).cacheStatus.stored).toBe(false);
    answers({ body: '{"v":3}' });
    expect((await read()).text).toBe('{"v":3}');
    expect((await read()).cacheStatus.hit).toBe(true);
  });

  it('serves stale at once after a soft invalidation, and the new record next', async () => {
    answers({ body: '{"v":1}' });
    await read();
    await purge(true);
    answers({ body: '{"v":2}' });
    expect(await read()).toMatchObject({ text: '{"v":1}', served: 'stale' });
    await expect.poll(async () => (await read()).text).toBe('{"v":2}');
  });

  it('keeps absences and pass markers, and lets a record take their place', async () => {
    answers({ status: 404 });
    expect((await read()).kind).toBe('absent');
    expect(await read()).toMatchObject({ kind: 'absent', cacheStatus: { hit: true } });
    await purge(false);
    answers({ body: '{"v":1}', cacheControl: 'private' });
    await read();
    expect((await read()).cacheStatus).toMatchObject({ fwd: 'miss', stored: false });
    answers({ body: '{"v":2}' });
    expect((await read()).cacheStatus).toMatchObject({ fwd: 'miss', stored: true });
    expect(await read()).toMatchObject({ text: '{"v":2}', cacheStatus: { hit: true } });
  });
});

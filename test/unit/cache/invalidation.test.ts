/** Invalidation wins: what was invalidated before a read began never answers it as fresh. */
import { describe, expect, it } from 'vitest';
import { epochMs, type RecordId } from '../../../src/base/brands.ts';
import { makeEntry } from '../../support/entries.ts';
import { Scenario } from './scenario.ts';

const HELD = { body: '{"v":1}', etag: '"x"' };

describe('a hard invalidation', () => {
  it('is never answered with the entry, not even when the origin fails [RFC9111 §4.4]', async () => {
    const scenario = new Scenario();
    await scenario.hold(HELD);
    scenario.entries.invalidate({ id: 'a' });
    const read = await scenario.read('a', { cacheControl: 'max-stale' });
    expect(scenario.origin.open[0]?.request.conditional).toBe(false);
    scenario.origin.next().fail();
    await scenario.step();
    expect(read.results[0]).toMatchObject({ kind: 'failed', cacheStatus: { fwd: 'miss' } });
  });

  it.each([['table'], [{ id: 'a' }], [{ group: 'g' }]] as const)(
    'reaches the entry through any of its scopes: %j',
    async (scope) => {
      const scenario = new Scenario();
      await scenario.hold({ ...HELD, groups: ['g'] });
      scenario.entries.invalidate(scope);
      expect((await scenario.read()).results).toHaveLength(0);
    },
  );

  it('puts an end to a negative entry and to a pass marker as well', async () => {
    const scenario = new Scenario({ parallel: true });
    await scenario.hold({ status: 404 });
    scenario.entries.invalidate({ id: 'a' });
    await scenario.hold({ cacheControl: 'private' });
    scenario.entries.invalidate({ id: 'a' });
    await scenario.read();
    await scenario.read();
    expect(scenario.origin.open).toHaveLength(1);
  });
});

describe('a soft invalidation', () => {
  const scenario = () =>
    new Scenario({
      policy: { stale: { whileRevalidate: 10_000 as never, ifError: 20_000 as never } },
    });

  it('makes stale from its instant, and both windows count from it [RFC5861]', async () => {
    const soft = scenario();
    await soft.hold(HELD);
    soft.entries.invalidate({ id: 'a' }, soft.clock.instant);
    await soft.advance(9_999);
    soft.origin.script = (call) => call.fail();
    expect((await soft.answer()).cacheStatus).toEqual({
      hit: true,
      ttl: -10,
      detail: 'stale-while-revalidate',
    });
    await soft.advance(10_000);
    expect((await soft.answer()).cacheStatus.detail).toBe('stale-if-error');
    await soft.advance(1_001);
    expect((await soft.answer()).kind).toBe('failed');
  });

  it('never lengthens what the entry itself allows', async () => {
    const soft = scenario();
    await soft.hold({ ...HELD, cacheControl: 'max-age=1' });
    await soft.advance(20_000);
    soft.entries.invalidate({ id: 'a' }, soft.clock.instant);
    const read = await soft.read();
    expect(read.results).toHaveLength(0);
    soft.origin.next().fail();
    await soft.step();
    expect(read.results[0]?.cacheStatus.detail).toBe('stale-if-error');
    await soft.advance(1_000);
    soft.origin.script = (call) => call.fail();
    expect((await soft.answer()).kind).toBe('failed');
  });

  it('which comes while the origin is asked does not make a forbidden entry a fallback', async () => {
    const soft = scenario();
    await soft.hold({ ...HELD, cacheControl: 'max-age=60, must-revalidate' });
    const read = await soft.read('a', { cacheControl: 'no-cache' });
    soft.entries.invalidate({ id: 'a' }, soft.clock.instant);
    soft.origin.next().fail();
    await soft.step();
    expect(read.results[0]?.kind).toBe('failed');
  });

  it('is ended by a 304, since that was asked for afterwards [RFC9111 §4.3.4]', async () => {
    const soft = scenario();
    await soft.hold(HELD);
    soft.entries.invalidate({ id: 'a' }, soft.clock.instant);
    soft.start();
    soft.origin.next().notModified();
    await soft.step();
    expect(await soft.answer()).toMatchObject({ kind: 'found', served: 'fresh' });
  });
});

describe('R6 an invalidation while a fetch is under way', () => {
  it('lets the reply be delivered but not stored', async () => {
    const scenario = new Scenario();
    const read = await scenario.read();
    scenario.entries.invalidate({ id: 'a' });
    scenario.origin.next().reply(HELD);
    await scenario.step();
    expect(read.results[0]).toMatchObject({ text: '{"v":1}', cacheStatus: { stored: false } });
    expect(scenario.entries.rows.size).toBe(0);
  });

  it('gives later readers a fetch of their own', async () => {
    const scenario = new Scenario({ parallel: true });
    const early = await scenario.read();
    scenario.entries.invalidate({ id: 'a' });
    const late = [await scenario.read(), await scenario.read()];
    expect(scenario.origin.open).toHaveLength(2);
    scenario.origin.next().reply({ body: '{"v":1}' });
    scenario.origin.next().reply({ body: '{"v":2}' });
    await scenario.step();
    expect(early.results[0]?.text).toBe('{"v":1}');
    expect(late.map((read) => read.results[0]?.text)).toEqual(['{"v":2}', '{"v":2}']);
    expect((await scenario.answer()).text).toBe('{"v":2}');
  });

  it('of a group the held entry names gives later readers a fetch of their own', async () => {
    const scenario = new Scenario({ parallel: true });
    await scenario.hold({ ...HELD, groups: ['g'] });
    await scenario.advance(61_000);
    await scenario.read();
    scenario.entries.invalidate({ group: 'g' });
    await scenario.read();
    expect(scenario.origin.open).toHaveLength(2);
  });

  it('of a group only the reply names sends later readers on their own way', async () => {
    const scenario = new Scenario({ parallel: true });
    const early = await scenario.read();
    scenario.entries.invalidate({ group: 'g' });
    const late = await scenario.read();
    scenario.origin.next().reply({ body: '{"v":1}', groups: ['g'] });
    await scenario.step();
    expect(early.results[0]?.text).toBe('{"v":1}');
    expect(late.results).toHaveLength(0);
    scenario.origin.next().reply({ body: '{"v":2}', groups: ['g'] });
    await scenario.step();
    expect(late.results[0]?.text).toBe('{"v":2}');
  });

  it('of a record that only the reply names sends on who came after its change', async () => {
    const scenario = new Scenario({ parallel: true });
    const early = await scenario.read();
    await scenario.advance(10);
    // Nothing that is stored names it: no group tells, the records themselves do.
    scenario.entries.changed.set('Item/b;v=3', scenario.clock.instant);
    scenario.entries.put(makeEntry({ id: 'b' as RecordId }));
    const late = await scenario.read();
    scenario.origin.next().reply({ body: '{"v":1}', groups: ['Item/b;v=3'] });
    await scenario.step();
    expect(early.results[0]?.text).toBe('{"v":1}');
    expect(late.results).toHaveLength(0);
    scenario.origin.next().reply({ body: '{"v":2}', groups: ['Item/b;v=4'] });
    await scenario.step();
    expect(late.results[0]?.text).toBe('{"v":2}');
  });

  it('of a record that a reply in memory was made from keeps later readers from it', async () => {
    const scenario = new Scenario({ parallel: true });
    const early = await scenario.read();
    let open = () => {};
    scenario.entries.gate = new Promise((resolve) => {
      open = resolve;
    });
    scenario.origin.next().reply({ body: '{"v":1}', groups: ['Item/b;v=3'] });
    await scenario.advance(10);
    scenario.entries.changed.set('Item/b;v=3', scenario.clock.instant);
    const late = await scenario.read();
    expect(scenario.origin.open).toHaveLength(1);
    open();
    scenario.origin.next().reply({ body: '{"v":2}', groups: ['Item/b;v=4'] });
    await scenario.step();
    expect(early.results[0]?.text).toBe('{"v":1}');
    expect(late.results[0]?.text).toBe('{"v":2}');
  });

  it('turns its 304 into one unconditional fetch, and not a second one', async () => {
    const scenario = new Scenario();
    await scenario.hold(HELD);
    await scenario.advance(61_000);
    const read = await scenario.read();
    scenario.entries.invalidate({ id: 'a' });
    scenario.origin.next().notModified();
    await scenario.step();
    expect(scenario.origin.open[0]?.request.conditional).toBe(false);
    scenario.entries.invalidate({ id: 'a' });
    scenario.origin.next().notModified();
    await scenario.step();
    expect(read.results[0]).toMatchObject({ kind: 'failed', error: { code: 'ORIGIN_FAILED' } });
    expect(scenario.origin.calls).toHaveLength(3);
  });

  it('makes a fetch unconditional that begins after it, whatever the read had selected', async () => {
    const scenario = new Scenario({ parallel: true });
    await scenario.hold(HELD);
    await scenario.advance(61_000);
    scenario.start();
    scenario.start();
    await scenario.step();
    scenario.entries.invalidate({ id: 'a' });
    scenario.origin.next().reply({ cacheControl: 'private' });
    await scenario.step();
    expect(scenario.origin.open[0]?.request.conditional).toBe(false);
  });

  it('leaves nothing in memory for later readers while the store decides', async () => {
    const scenario = new Scenario({ parallel: true });
    scenario.entries.gate = new Promise(() => {});
    await scenario.read();
    scenario.origin.next().reply({ body: '{"v":1}' });
    await scenario.step();
    scenario.entries.invalidate({ id: 'a' });
    const late = await scenario.read();
    expect(late.results).toHaveLength(0);
    expect(scenario.origin.open).toHaveLength(1);
  });

  it('a write meanwhile wins over the fill as well', async () => {
    const scenario = new Scenario();
    await scenario.hold(HELD);
    await scenario.advance(61_000);
    await scenario.read();
    const freshUntil = epochMs(scenario.clock.instant + 60_000);
    scenario.entries.put(
      makeEntry({ storedAt: scenario.clock.instant, freshUntil, text: '{"v":9}' }),
    );
    scenario.origin.next().reply({ body: '{"v":2}' });
    await scenario.step();
    expect((await scenario.answer()).text).toBe('{"v":9}');
  });
});

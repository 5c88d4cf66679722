/**
 * Writes through an origin over a real store, with reads and other writes in between: whatever the
 * order, an older record is never served as fresh after the write was acknowledged.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { durationMs } from '../../../src/base/brands.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { NodeError } from '../../../src/base/errors.ts';
import { localLeases } from '../../../src/cache/collapse.ts';
import { definePolicy } from '../../../src/cache/default-policy.ts';
import { parseRequestDirectives } from '../../../src/cache/directives.ts';
import { createReadPath } from '../../../src/cache/read-path.ts';
import { entityTagOf } from '../../../src/store/entity-tag.ts';
import { openMemoryStore } from '../../../src/store/memory/open.ts';
import type { Store } from '../../../src/store/store-options.ts';
import { tableEntries } from '../../../src/table/entries.ts';
import { recordScope } from '../../../src/table/query/scope.ts';
import { Table } from '../../../src/table/table.ts';
import { type OriginWritten, WriteThrough } from '../../../src/table/write-through.ts';
import {
  checkRecord,
  definitions,
  FLIGHT,
  indexedValues,
  makeDefinition,
} from '../../contract/store-fixture.ts';
import { ScriptedOrigin } from '../../support/scripted-origin.ts';

/** One write which the origin has not answered yet. */
interface OpenWrite {
  readonly text: string;
  done(written?: OriginWritten): void;
  fail(code: 'ORIGIN_STATUS' | 'ORIGIN_TIMED_OUT' | 'ORIGIN_BUSY', status?: number): void;
}

class WritingOrigin extends ScriptedOrigin {
  readonly writes = { put: true, patch: true, delete: true };
  readonly waiting: OpenWrite[] = [];
  readonly put = (_id: unknown, record: Uint8Array) => this.#write(Buffer.from(record).toString());
  readonly patch = (_id: unknown, patch: Uint8Array) => this.#write(Buffer.from(patch).toString());
  readonly delete = async () => void (await this.#write(''));

  #write(text: string): Promise<OriginWritten> {
    return new Promise((resolve, reject) => {
      this.waiting.push({
        text,
        done: (written = { body: undefined }) => resolve(written),
        fail: (code, status) =>
          reject(new NodeError(code, 'scripted', { blame: 'origin', details: { status } })),
      });
    });
  }

  async nextWrite(): Promise<OpenWrite> {
    await expect.poll(() => this.waiting.length).toBeGreaterThan(0);
    const write = this.waiting.shift();
    if (write === undefined) throw new Error('no write came');
    return write;
  }
}

const definition = makeDefinition('Flight', {
  attributes: [],
  sourcedFrom: { origin: 'flights', write: 'through' },
});
const version = (v: number) => ({ body: JSON.stringify({ id: 'a', v }) });
const written = (v: number): OriginWritten => ({ body: Buffer.from(version(v).body) });

describe('writes through an origin', () => {
  let store: Store;
  let origin: WritingOrigin;
  let table: Table;

  beforeEach(async () => {
    store = openMemoryStore({ definitions, clock: systemClock, indexedValues, checkRecord });
    await store.indexesReady;
    origin = new WritingOrigin(systemClock);
    const policy = definePolicy({
      freshness: { default: durationMs(60_000), jitter: 0 },
      stale: { whileRevalidate: durationMs(60_000) },
    });
    const around = { definition, reader: store, writer: store, clock: systemClock };
    const reads = createReadPath({
      table: FLIGHT,
      entries: tableEntries(FLIGHT, store, store, () => undefined),
      invalidations: store.invalidations(FLIGHT),
      origin,
      policy,
      leases: localLeases(),
      clock: systemClock,
      random: Math.random,
      tagOf: entityTagOf,
      events: {},
      limits: { fetchMsMax: 10_000, failureMarkersBytes: 10_000 },
    });
    const durability = 'process' as const;
    table = new Table({
      ...around,
      scope: recordScope(around.definition),
      policy,
      reads,
      durability,
      rules: { check: () => undefined, indexed: () => undefined },
      newId: () => Promise.resolve('generated'),
      through: new WriteThrough({ ...around, source: origin, reads, durability }),
    });
  });
  afterEach(() => store.close());

  /** `v` of the record and whether it came from the store; `undefined` when there is none. */
  async function read(cacheControl?: string) {
    let seen: { v: unknown; hit: boolean } | undefined;
    const directives = parseRequestDirectives(cacheControl);
    await table.read({ id: 'a', variant: '', directives, mayForce: true }, (result) => {
      if (result.kind !== 'found') return;
      const { v } = JSON.parse(Buffer.from(result.entry.body).toString()) as { v: unknown };
      seen = { v, hit: result.cacheStatus.hit };
    });
    return seen;
  }
  const originHolds = (v: number) => {
    origin.script = (call) => call.reply(version(v));
  };
  const codeOf = (promise: Promise<unknown>) =>
    promise.then(
      () => 'no error',
      (error: unknown) => (error instanceof NodeError ? [error.code, error.blame] : String(error)),
    );

  it('stores nothing before the origin took it, and serves it from the store afterwards', async () => {
    originHolds(1);
    await read();
    const putting = table.put('a', { v: 2 });
    const write = await origin.nextWrite();
    expect(JSON.parse(write.text)).toEqual({ id: 'a', v: 2 });
    expect(await read()).toEqual({ v: 1, hit: true });
    write.done();
    expect(await putting).toMatchObject({ kind: 'stored', created: false });
    expect(await read()).toEqual({ v: 2, hit: true });
  });

  it('stores what the origin made of the record', async () => {
    const putting = table.put('a', { v: 2 });
    (await origin.nextWrite()).done({ ...written(20), created: true });
    expect(await putting).toMatchObject({ kind: 'stored', created: true });
    expect(await read()).toEqual({ v: 20, hit: true });
  });

  it.each([
    [404, ['ORIGIN_REFUSED', 'client']],
    [409, ['ORIGIN_REFUSED', 'client']],
    [412, ['ORIGIN_REFUSED', 'client']],
    [422, ['ORIGIN_REFUSED', 'client']],
    [401, ['ORIGIN_STATUS', 'origin']],
    [500, ['ORIGIN_STATUS', 'origin']],
  ])('stores nothing when the origin answers %i', async (status, code) => {
    const failed = codeOf(table.put('a', { v: 2 }));
    (await origin.nextWrite()).fail('ORIGIN_STATUS', status);
    expect(await failed).toEqual(code);
    originHolds(1);
    expect(await read()).toEqual({ v: 1, hit: false });
  });

  it('asks the origin again after a write of which nobody knows what became', async () => {
    originHolds(1);
    await read();
    const failed = codeOf(table.put('a', { v: 2 }));
    (await origin.nextWrite()).fail('ORIGIN_TIMED_OUT');
    expect(await failed).toEqual(['ORIGIN_TIMED_OUT', 'origin']);
    originHolds(2);
    await expect.poll(async () => (await read())?.v).toBe(2);
  });

  it('goes on serving what it holds after a write that never left', async () => {
    originHolds(1);
    await read();
    const failed = codeOf(table.put('a', { v: 2 }));
    (await origin.nextWrite()).fail('ORIGIN_BUSY');
    expect(await failed).toEqual(['ORIGIN_BUSY', 'origin']);
    expect(await read()).toEqual({ v: 1, hit: true });
  });

  it.each(['put', 'patch'] as const)(
    'never lets a fetch that began before a %s store the older record over it',
    async (verb) => {
      const early = read();
      const write = verb === 'put' ? table.put('a', { v: 2 }) : table.patch('a', { v: 2 }, 'merge');
      (await origin.nextWrite()).done(verb === 'put' ? undefined : written(2));
      await write;
      origin.next().reply(version(1));
      expect((await early)?.v).toBe(1);
      originHolds(2);
      expect((await read())?.v).toBe(2);
      expect(await read()).toEqual({ v: 2, hit: true });
    },
  );

  it('lets no older fetch win even when the write changed no byte', async () => {
    originHolds(2);
    await read();
    origin.script = undefined;
    const early = read('no-cache');
    const putting = table.put('a', { v: 2 });
    (await origin.nextWrite()).done();
    await putting;
    origin.next().reply(version(1));
    await early;
    originHolds(2);
    await expect.poll(read).toEqual({ v: 2, hit: true });
  });

  it('lets no fetch that began before a delete bring the record back', async () => {
    const early = read();
    const deleting = table.delete('a');
    (await origin.nextWrite()).done();
    expect((await deleting).kind).toBe('deleted');
    origin.next().reply(version(1));
    await early;
    origin.script = (call) => call.reply({ status: 404 });
    expect(await read()).toBeUndefined();
  });

  it('asks the origin which of two writes that met came last', async () => {
    const first = table.put('a', { v: 1 });
    const one = await origin.nextWrite();
    const second = table.put('a', { v: 2 });
    const two = await origin.nextWrite();
    two.done();
    expect((await second).kind).toBe('stored');
    one.done();
    expect((await first).kind).toBe('invalidated');
    originHolds(2);
    expect(await read()).toEqual({ v: 2, hit: false });
  });

  it('does not make a record of a part: a patch of what is not held is left to the next read', async () => {
    const patching = table.patch('a', { v: 2 }, 'merge');
    (await origin.nextWrite()).done();
    expect((await patching).kind).toBe('invalidated');
    origin.script = (call) => call.reply({ body: '{"id":"a","v":2,"rest":true}' });
    expect(await read()).toEqual({ v: 2, hit: false });
  });

  it('merges a patch into what is held and fresh', async () => {
    origin.script = (call) => call.reply({ body: '{"id":"a","v":1,"rest":true}' });
    await read();
    const patching = table.patch('a', { v: 2 }, 'merge');
    (await origin.nextWrite()).done();
    expect((await patching).kind).toBe('stored');
    expect(await read()).toEqual({ v: 2, hit: true });
  });

  it('decides preconditions on what the origin holds, and does not ask it when they fail', async () => {
    originHolds(1);
    const insert = { condition: { ifNoneMatch: '*' as const } };
    expect((await table.put('a', { v: 2 }, insert)).kind).toBe('preconditionFailed');
    const ifMatch = [entityTagOf(Buffer.from(version(1).body))];
    const putting = table.put('a', { v: 2 }, { condition: { ifMatch } });
    (await origin.nextWrite()).done();
    expect((await putting).kind).toBe('stored');
    originHolds(3);
    const late = await table.put('a', { v: 4 }, { condition: { ifMatch } });
    expect([late.kind, origin.waiting.length]).toEqual(['preconditionFailed', 0]);
  });

  it('refuses writes the origin does not take, and increments, without asking', async () => {
    origin.writes.put = false;
    expect(await codeOf(table.put('a', { v: 1 }))).toEqual(['METHOD_NOT_ALLOWED', 'client']);
    const add = { v: { __op__: 'add', value: 1 } };
    expect(await codeOf(table.patch('a', add, 'merge'))).toEqual(['RECORD_INVALID', 'client']);
    expect(origin.waiting).toEqual([]);
  });
});

/**
 * The laws of merging rows, over states that come about as they do in a cluster: nodes write what
 * they know of a row, and hand each other their states in any order. A naive model, which sees all
 * writes at once and judges each attribute by itself, says what must come out.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { epochMs, nodeId, recordVersion } from '../../../src/base/brands.ts';
import { mergeAll, mergeRows } from '../../../src/cache/merge-rows.ts';
import { restampRow } from '../../../src/cache/restamp-row.ts';
import { rowDigest } from '../../../src/cache/row-digest.ts';
import {
  compareStamps,
  isPresent,
  NO_ROW,
  newestStamp,
  type RowState,
  registerOf,
  type Stamp,
} from '../../../src/cache/row-state.ts';
import { canRevive, deleteRow, patchRow, putRow } from '../../../src/cache/row-write.ts';

type Json = Record<string, unknown>;

type Step =
  | { readonly kind: 'put'; readonly record: Json }
  | { readonly kind: 'bytes' }
  | { readonly kind: 'delete' }
  | { readonly kind: 'set'; readonly set: Json }
  | { readonly kind: 'add'; readonly name: string; readonly amount: number }
  | { readonly kind: 'hand'; readonly to: number };

interface Planned {
  readonly node: number;
  /** Clocks of nodes differ: later steps may have lower versions. */
  readonly skew: number;
  readonly step: Step;
}

/** What the model knows of a write. */
type Written =
  | { readonly kind: 'put'; readonly stamp: Stamp; readonly record: Json | undefined }
  | { readonly kind: 'delete'; readonly stamp: Stamp }
  | { readonly kind: 'revive'; readonly stamp: Stamp }
  | { readonly kind: 'set'; readonly stamp: Stamp; readonly name: string; readonly value: unknown }
  | {
      readonly kind: 'add';
      readonly stamp: Stamp;
      readonly name: string;
      readonly amount: number;
      readonly of: Stamp | undefined;
      readonly from: number;
    };

const TIMES = {
  storedAt: epochMs(0),
  freshUntil: epochMs(1),
  staleWhileRevalidateUntil: epochMs(0),
  staleIfErrorUntil: epochMs(0),
  evictAt: epochMs(2),
};
const NODES = 3;
const NAMES = ['b', 'a', 'c', '1', 'toString', '__proto__'];

class Cluster {
  readonly states: RowState[] = new Array<RowState>(NODES).fill(NO_ROW);
  readonly history: RowState[] = [NO_ROW];
  readonly written: Written[] = [];
  #clock = 100;

  run({ node, skew, step }: Planned): void {
    const before = this.states[node] ?? NO_ROW;
    this.#clock += 10;
    const stamp = {
      version: recordVersion(Math.max(this.#clock + skew, (newestStamp(before)?.version ?? 0) + 1)),
      author: nodeId(node + 1),
    };
    const after = this.#after(before, stamp, step);
    this.states[node] = after;
    this.history.push(after);
  }

  #after(before: RowState, stamp: Stamp, step: Step): RowState {
    switch (step.kind) {
      case 'put':
        return this.#put(stamp, step.record);
      case 'bytes':
        this.written.push({ kind: 'put', stamp, record: undefined });
        return putRow(stamp, {
          body: Buffer.from('plain'),
          content: { contentType: 'text/plain' },
          times: TIMES,
        });
      case 'delete':
        this.written.push({ kind: 'delete', stamp });
        return deleteRow(stamp);
      case 'hand': {
        const to = step.to % NODES;
        this.states[to] = mergeRows(this.states[to] ?? NO_ROW, before);
        this.history.push(this.states[to] ?? NO_ROW);
        return before;
      }
      default:
        return this.#patch(before, stamp, step);
    }
  }

  #put(stamp: Stamp, record: Json): RowState {
    this.written.push({ kind: 'put', stamp, record });
    return putRow(stamp, { body: Buffer.from(JSON.stringify(record)), times: TIMES });
  }

  #patch(before: RowState, stamp: Stamp, step: Step & { kind: 'set' | 'add' }): RowState {
    if (before.content?.contentType !== undefined) return before;
    const isThere = isPresent(before);
    if (!isThere && !canRevive(before)) {
      return this.#put(stamp, step.kind === 'set' ? onlyKept(step.set) : {});
    }
    if (!isThere) this.written.push({ kind: 'revive', stamp });
    if (step.kind === 'set') {
      for (const [name, value] of Object.entries(step.set)) {
        this.written.push({ kind: 'set', stamp, name, value });
      }
      return patchRow(before, stamp, { set: step.set, added: {} });
    }
    const { name, amount } = step;
    const of = registerOf(before, name);
    const value = expectedRecord(this.written.filter((one) => isKnown(before, one, of)))?.[name];
    const known = counterFrom(this.written, name, of);
    const from = known ?? (typeof value === 'number' ? value : 0);
    this.written.push({ kind: 'add', stamp, name, amount, of, from });
    return patchRow(before, stamp, { set: {}, added: own({ name, amount }) });
  }
}

const own = ({ name, amount }: { name: string; amount: number }) =>
  Object.fromEntries([[name, amount]]);
const onlyKept = (set: Json): Json =>
  Object.fromEntries(Object.entries(set).filter(([, value]) => value !== undefined));

const counterFrom = (written: readonly Written[], name: string, of: Stamp | undefined) => {
  for (const one of written) {
    if (one.kind === 'add' && one.name === name && isSame(one.of, of)) return one.from;
  }
  return undefined;
};

const isSame = (one: Stamp | undefined, other: Stamp | undefined): boolean =>
  one === undefined || other === undefined ? one === other : compareStamps(one, other) === 0;

/** The write that made the register, and the base below it. */
function isKnown(state: RowState, one: Written, of: Stamp | undefined): boolean {
  if (one.kind === 'add') return false;
  return isSame(one.stamp, of) || isSame(one.stamp, state.base) || isSame(one.stamp, state.revived);
}

const latest = <T extends { readonly stamp: Stamp }>(all: readonly T[]): T | undefined =>
  [...all].sort((one, other) => compareStamps(other.stamp, one.stamp))[0];

/** The naive model: each attribute by itself, over all writes at once. */
function expectedRecord(written: readonly Written[]): Json | undefined {
  const base = latest(written.filter((one) => one.kind === 'put' || one.kind === 'delete'));
  const isNewer = (one: Written) => !base || compareStamps(one.stamp, base.stamp) > 0;
  const revived = written.some((one) => one.kind === 'revive' && isNewer(one));
  if (base?.kind !== 'put' && !revived) return undefined;
  const order = base?.kind === 'put' ? base.record : {};
  if (order === undefined) return { bytes: true };
  const sets = written.filter((one) => one.kind === 'set').filter(isNewer);
  const added = written.filter((one) => one.kind === 'add');
  const extra = [...sets, ...added].map(({ name }) => name).filter((n) => !Object.hasOwn(order, n));
  const found: [string, unknown][] = [];
  for (const name of [...Object.keys(order), ...[...new Set(extra)].sort()]) {
    const set = latest(sets.filter((one) => one.name === name));
    const register = set?.stamp ?? base?.stamp;
    const sums = added.filter((one) => one.name === name && isSame(one.of, register));
    const plain = Object.hasOwn(order, name) ? order[name] : undefined;
    const value = sums[0]
      ? sums.reduce((sum, { amount }) => sum + amount, sums[0].from)
      : set !== undefined
        ? set.value
        : plain;
    if (value !== undefined) found.push([name, value]);
  }
  return Object.fromEntries(found);
}

const name = fc.constantFrom(...NAMES);
const value = fc.oneof(fc.integer({ min: 0, max: 9 }), fc.constantFrom('x', 'y', null));
const record = fc.dictionary(name, value, { maxKeys: 4, noNullPrototype: true });
const change = fc.dictionary(name, fc.option(value, { nil: undefined }), {
  minKeys: 1,
  maxKeys: 3,
  noNullPrototype: true,
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: record.map((one) => ({ kind: 'put' as const, record: one })) },
  { weight: 1, arbitrary: fc.constant({ kind: 'bytes' as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'delete' as const }) },
  { weight: 5, arbitrary: change.map((set) => ({ kind: 'set' as const, set })) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('add' as const),
      name,
      amount: fc.integer({ min: -5, max: 5 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('hand' as const), to: fc.nat({ max: NODES - 1 }) }),
  },
);
const plan = fc.array(
  fc.record({
    node: fc.nat({ max: NODES - 1 }),
    skew: fc.integer({ min: -60, max: 60 }),
    step,
  }),
  { minLength: 1, maxLength: 25 },
);

function run(steps: readonly Planned[]): Cluster {
  const cluster = new Cluster();
  for (const one of steps) cluster.run(one);
  return cluster;
}

const text = (state: RowState): string | undefined =>
  state.body instanceof Uint8Array ? Buffer.from(state.body).toString() : undefined;

/** Everything of a state but what follows from the rest. */
const plain = ({ record: _parsed, body, ...rest }: RowState): unknown =>
  JSON.parse(JSON.stringify({ ...rest, body: body && Buffer.from(body as Uint8Array).toString() }));

const RUNS = { numRuns: 500 };

describe('merging the states of a row', () => {
  const three = fc.tuple(plan, fc.nat(), fc.nat(), fc.nat());
  const pick = (cluster: Cluster, at: number): RowState =>
    cluster.history[at % cluster.history.length] ?? NO_ROW;

  it('is commutative, associative and idempotent, to the byte', () => {
    fc.assert(
      fc.property(three, ([steps, ...at]) => {
        const cluster = run(steps);
        const [a = NO_ROW, b = NO_ROW, c = NO_ROW] = at.map((one) => pick(cluster, one));
        expect(plain(mergeRows(a, b))).toEqual(plain(mergeRows(b, a)));
        expect(plain(mergeRows(mergeRows(a, b), c))).toEqual(plain(mergeRows(a, mergeRows(b, c))));
        expect(mergeRows(a, a)).toBe(a);
        const joined = mergeRows(a, b);
        expect(mergeRows(joined, b)).toBe(joined);
        expect(mergeRows(joined, a)).toBe(joined);
      }),
      RUNS,
    );
  });

  it('gives the same bytes and the same digest whatever the order, and what the model says', () => {
    const inOrder = fc.tuple(plan, fc.infiniteStream(fc.nat()));
    fc.assert(
      fc.property(inOrder, ([steps, randoms]) => {
        const cluster = run(steps);
        const one = mergeAll(cluster.states);
        const order = [...cluster.history]
          .map((state) => [randoms.next().value ?? 0, state] as const)
          .sort(([left], [right]) => left - right);
        const other = mergeAll(order.map(([, state]) => state));
        expect(plain(other)).toEqual(plain(one));
        expect(rowDigest('id', other)).toEqual(rowDigest('id', one));
        const expected = expectedRecord(cluster.written);
        const bytes = expected === undefined ? undefined : JSON.stringify(expected);
        expect(text(one)).toBe(bytes === '{"bytes":true}' ? 'plain' : bytes);
      }),
      RUNS,
    );
  });

  it('has one digest only for states that know the same writes', () => {
    fc.assert(
      fc.property(three, ([steps, first, second]) => {
        const cluster = run(steps);
        const [a, b] = [pick(cluster, first), pick(cluster, second)];
        const isEqual = JSON.stringify(plain(a)) === JSON.stringify(plain(b));
        const digests = [rowDigest('id', a), rowDigest('id', b)];
        expect(JSON.stringify(digests[0]) === JSON.stringify(digests[1])).toBe(isEqual);
      }),
      RUNS,
    );
  });

  it('loses no increment, whoever added and however often it is told', () => {
    const adds = fc.array(fc.tuple(fc.nat({ max: NODES - 1 }), fc.integer({ min: -9, max: 9 })));
    fc.assert(
      fc.property(adds, fc.boolean(), (all, isPatchedAway) => {
        const cluster = new Cluster();
        cluster.run({ node: 0, skew: 0, step: { kind: 'put', record: { n: 7, other: 1 } } });
        for (const to of [1, 2]) cluster.run({ node: 0, skew: 0, step: { kind: 'hand', to } });
        for (const [node, amount] of all) {
          cluster.run({ node, skew: 0, step: { kind: 'add', name: 'n', amount } });
          if (isPatchedAway)
            cluster.run({ node, skew: 0, step: { kind: 'set', set: { other: 2 } } });
        }
        const merged = mergeAll(cluster.history);
        const sum = all.reduce((total, [, amount]) => total + amount, 7);
        expect(JSON.parse(text(merged) ?? '')).toMatchObject({ n: sum });
      }),
    );
  });

  it('adds up what two nodes counted of a record that neither had', () => {
    const stamp = (version: number, author: number): Stamp => ({
      version: recordVersion(version),
      author: nodeId(author),
    });
    const one = patchRow(NO_ROW, stamp(5, 1), { set: { id: 'x' }, added: { views: 2 } });
    const other = patchRow(NO_ROW, stamp(6, 2), { set: { id: 'x' }, added: { views: 3 } });
    expect(text(mergeRows(one, other))).toBe('{"id":"x","views":5}');
  });

  it('comes to one sum where two nodes have stamped sums of an author anew alike', () => {
    const stamp = (version: number): Stamp => ({
      version: recordVersion(version),
      author: nodeId(1),
    });
    const put = putRow(stamp(1), { body: Buffer.from('{"n":1}'), times: TIMES });
    const early = patchRow(put, stamp(70), { set: {}, added: { n: 2 } });
    const late = patchRow(early, stamp(80), { set: {}, added: { n: 3 } });
    const anew = { version: recordVersion(5), author: nodeId(2) };
    const [one, other] = [early, late].map((state) =>
      restampRow(state, anew, ({ version }) => version >= 70),
    ) as [RowState, RowState];
    expect([one, other].map(text)).toEqual(['{"n":3}', '{"n":6}']);
    expect(text(mergeRows(one, other))).toBe('{"n":6}');
    expect(mergeRows(other, one)).toBe(other);
  });

  it('keeps a patch that is newer than a delete for the put it may still belong to', () => {
    const stamp = (version: number): Stamp => ({
      version: recordVersion(version),
      author: nodeId(1),
    });
    const put = (version: number) =>
      putRow(stamp(version), { body: Buffer.from('{"a":1,"b":1}'), times: TIMES });
    const patched = patchRow(put(1), stamp(9), { set: { b: 2 }, added: {} });
    const deleted = mergeRows(patched, deleteRow(stamp(4)));
    expect(isPresent(deleted)).toBe(false);
    expect(deleted.body).toBeUndefined();
    expect(text(mergeRows(deleted, put(6)))).toBe('{"a":1,"b":2}');
  });
});

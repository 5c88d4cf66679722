/** The rows of a live query under every kind of event, and merge patches as the RFC has them. */
import { describe, expect, it } from 'vitest';
import { type LiveEvent, LiveQuery, mergePatch } from '../../../src/client/client.ts';

interface Row {
  readonly n?: number;
  readonly name?: string | null;
}

function opened(path = '/T/') {
  const calls: string[] = [];
  const query = new LiveQuery<Row>(path, () => ({
    restart: () => calls.push('restart'),
    stop: () => calls.push('stop'),
  }));
  const hear = (type: LiveEvent['type'], rest: Partial<LiveEvent<Row>> = {}) =>
    query.hear({ type, sub: 1, ...rest });
  return { query, calls, hear };
}

describe('a live query', () => {
  it('is loading until its snapshot is whole', () => {
    const { query, hear } = opened();
    hear('snapshot', { ids: ['a'], values: [{ n: 1 }], more: true });
    expect([query.status, query.size]).toEqual(['loading', 0]);
    hear('snapshot', { ids: ['b'], values: [{ n: 2 }] });
    expect([query.status, query.rows]).toEqual(['live', [{ n: 1 }, { n: 2 }]]);
  });

  it('follows what comes in, changes and goes out', () => {
    const { query, hear } = opened();
    hear('snapshot', { ids: ['a'], values: [{ n: 1 }] });
    hear('enter', { id: 'b', value: { n: 2 } });
    hear('put', { id: 'a', value: { n: 9 } });
    expect(query.rows).toEqual([{ n: 9 }, { n: 2 }]);
    hear('leave', { id: 'a' });
    hear('delete', { id: 'never seen' });
    hear('message', { id: 'b', value: { n: 7 } });
    expect(query.rows).toEqual([{ n: 2 }]);
  });

  it('shows what it held until the state after a reset is whole', () => {
    const { query, hear } = opened();
    hear('snapshot', { ids: ['a', 'b'], values: [{ n: 1 }, { n: 2 }] });
    hear('reset');
    hear('snapshot', { ids: ['b'], values: [{ n: 3 }], more: true });
    expect(query.rows).toEqual([{ n: 1 }, { n: 2 }]);
    hear('snapshot', { ids: ['c'], values: [{ n: 4 }] });
    expect(query.rows).toEqual([{ n: 3 }, { n: 4 }]);
  });

  it('holds a record by its retained state, and nothing after a reset to a deleted one', () => {
    const { query, hear } = opened('/T/a');
    hear('put', { id: 'a', value: { n: 1 }, retained: true });
    hear('reset', { id: 'a' });
    hear('delete', { id: 'a', retained: true });
    expect([query.status, query.rows]).toEqual(['live', []]);
  });

  it('applies deltas to new objects, and begins anew where it holds nothing to apply them to', () => {
    const { query, calls, hear } = opened();
    const before = { n: 1, name: 'x' };
    hear('snapshot', { ids: ['a'], values: [before] });
    hear('patch', { id: 'a', value: { n: 2, name: null } });
    expect(query.get('a')).toEqual({ n: 2 });
    expect(before).toEqual({ n: 1, name: 'x' });
    hear('patch', { id: 'unknown', value: { n: 2 } });
    expect(calls).toEqual(['restart']);
  });

  it('orders as its path says', () => {
    const { query, hear } = opened('/T/?n=gt=0&sort(-n,+name)&limit(3)');
    const rows = [{ n: 1 }, { n: 2, name: 'b' }, { n: 2, name: 'a' }, { n: 2 }];
    hear('snapshot', { ids: [1, 2, 3, 4], values: rows });
    expect(query.rows).toEqual([{ n: 2 }, { n: 2, name: 'a' }, { n: 2, name: 'b' }, { n: 1 }]);
  });

  it('tells once for what came together, and hands out one list until it changes', async () => {
    const { query, hear } = opened();
    const told: number[] = [];
    const stop = query.subscribe((rows) => told.push(rows.length));
    for (const id of [1, 2, 3]) hear('put', { id, value: { n: id } });
    expect(query.rows).toBe(query.rows);
    await Promise.resolve();
    expect(told).toEqual([0, 3]);
    stop();
    hear('put', { id: 4, value: {} });
    await Promise.resolve();
    expect(told).toHaveLength(2);
  });

  it('is stale without a connection, and goes on as what it was', () => {
    const { query, hear } = opened();
    query.became('stale');
    query.resumed();
    expect(query.status).toBe('loading');
    hear('snapshot', { ids: [], values: [] });
    query.became('stale');
    query.resumed();
    expect(query.status).toBe('live');
    query.close();
    query.became('stale');
    expect(query.status).toBe('closed');
  });
});

/** [RFC7396 Appendix A] */
it.each([
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [
    ['a', 'b'],
    ['c', 'd'],
    ['c', 'd'],
  ],
  [{ a: 'b' }, ['c'], ['c']],
  [{ a: 'foo' }, null, null],
  [{ a: 'foo' }, 'bar', 'bar'],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: 'b', c: null }, { a: 'b' }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
])('merges %j and %j [RFC7396 §2]', (target, patch, result) => {
  expect(mergePatch(target, patch)).toEqual(result);
});

it('merges a field named __proto__ as a field', () => {
  const merged = mergePatch({}, JSON.parse('{"__proto__":{"x":1}}')) as object;
  expect(Object.getPrototypeOf(merged)).toBe(Object.prototype);
  expect(JSON.stringify(merged)).toBe('{"__proto__":{"x":1}}');
});

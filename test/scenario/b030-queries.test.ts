/** The query language over the wire: operators, order, projections, cursors, deleting by query. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NodeProcess } from '../support/node-process.ts';
import { SocketClient } from '../support/push-node.ts';
import { ENGINES, expectProblem, json, startItems } from '../support/scenario-apps.ts';

type Row = Record<string, unknown>;

describe.each(ENGINES)('queries over %s', (engine) => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startItems(engine);
    await node.put('/Item/a', { tag: 'red', price: 1.5, open: true, n: 1, tags: ['x', 'y'] });
    await node.put('/Item/b', { tag: 'reddish', price: 2, open: false, n: 2, tags: ['y'] });
    await node.put('/Item/c', { tag: 'blue', price: -3, at: '2026-01-02T03:04:05.000Z', n: 1 });
    await node.put('/Item/d', { tag: null, note: 'a&b=c' });
    await node.put('/Item/dir/e', { tag: 'red', price: 10, n: 3 });
  });
  afterAll(() => node.dispose());

  const list = async (target: string): Promise<Row[]> =>
    (await json(await node.fetch(target))) as Row[];
  const ids = async (target: string) => (await list(target)).map((row) => row.id);

  it.each([
    ['price=gt=1&lt=9', ['a', 'b']],
    ['price=ge=2', ['b', 'dir/e']],
    ['tag=sw=red', ['a', 'b', 'dir/e']],
    ['tag==red*', ['a', 'b', 'dir/e']],
    ['tag=ew=ish', ['b']],
    ['note=ct=b%3Dc', ['d']],
    ['tag!=red', ['b', 'c', 'd']],
    ['tag!=null', ['a', 'b', 'c', 'dir/e']],
    ['tag=blue|price=2', ['b', 'c']],
    ['n=1&[tag=red|tag=blue]', ['a', 'c']],
    ['(open=true|open=false)&tags=y', ['a', 'b']],
    ['id=a', ['a']],
    ['id=sw=di', ['dir/e']],
    ['at=date:2026-01-02T03:04:05Z', ['c']],
  ])('finds %s', async (query, expected) => {
    expect((await ids(`/Item/?${query}`)).toSorted()).toEqual(expected);
  });

  it.each([
    ['sort(+price)', ['d', 'c', 'a', 'b', 'dir/e']],
    ['sort(-price)&limit(2)', ['dir/e', 'b']],
    ['price!=null&sort(n,-price)', ['a', 'c', 'b', 'dir/e']],
    ['tag=sw=red&sort(-price)&limit(1,3)', ['b', 'a']],
  ])('orders by %s', async (query, expected) => {
    expect(await ids(`/Item/?${query}`)).toEqual(expected);
  });

  it.each([
    ['select(tag)', ['red']],
    ['select(tag,)', [{ tag: 'red' }]],
    ['select(id,tag,note)', [{ id: 'a', tag: 'red' }]],
    ['select([id,price])', [['a', 1.5]]],
  ])('gives %s', async (query, expected) => {
    expect(await list(`/Item/?id=a&${query}`)).toEqual(expected);
  });

  it('gives a part of one record, with an entity tag of its own', async () => {
    const whole = await node.fetch('/Item/a');
    const part = await node.fetch('/Item/a?select(id,n)');
    expect(await json(part)).toEqual({ id: 'a', n: 1 });
    expect(part.headers.get('etag')).not.toBe(whole.headers.get('etag'));
    expect(await json(await node.fetch('/Item/a.tag'))).toBe('red');
    expect(await json(await node.fetch('/Item/d.tag'))).toBe(null);
    expect((await node.fetch('/Item/a.nothing')).status).toBe(404);
    await node.put('/Item/photo.tag', { tag: 'whole' });
    expect(await json(await node.fetch('/Item/photo.tag'))).toMatchObject({ tag: 'whole' });
    await node.fetch('/Item/photo.tag', { method: 'DELETE' });
  });

  it('goes on behind a cursor though records come and go before it', async () => {
    const seen: unknown[] = [];
    let target = '/Item/?price!=null&sort(+price)&limit(1)&after()';
    for (let page = 0; page < 10 && target !== ''; page += 1) {
      const response = await node.fetch(target);
      const link = response.headers.get('link');
      seen.push(...((await json(response)) as Row[]).map((row) => row.id));
      await node.put(`/Item/early-${page}`, { price: -100 - page });
      const next = /^<([^>]+)>; rel="next"$/.exec(link ?? '')?.[1];
      target = next === undefined ? '' : `/Item/${next}`;
    }
    expect(seen).toEqual(['c', 'a', 'b', 'dir/e']);
    const deleted = await node.fetch('/Item/?price=lt=-50', { method: 'DELETE' });
    expect(await json(deleted)).toEqual({ deleted: 5, changed: 0, more: false });
  });

  it('names no next page where nobody asked for pages', async () => {
    const response = await node.fetch('/Item/?tag=red&limit(1)');
    expect([await response.json(), response.headers.get('link')]).toEqual([
      [expect.anything()],
      null,
    ]);
  });

  it('says how it answers', async () => {
    const plan = await json(await node.fetch('/Item/?tag=red&n=1&explain()'));
    expect(plan).toMatchObject({
      access: { kind: 'index', attribute: 'tag', rows: 2 },
      residual: [expect.stringContaining('n')],
      order: 'way',
    });
  });

  it('answers HEAD as GET without the rows', async () => {
    const response = await node.fetch('/Item/?tag=red', { method: 'HEAD' });
    expect([response.status, await response.text()]).toEqual([200, '']);
    expect(response.headers.get('content-type')).toBe('application/json');
    const long = { tag: 'long', note: 'x'.repeat(200_000) };
    await Promise.all([1, 2, 3, 4].map((at) => node.put(`/Item/long-${at}`, long)));
    const head = await node.fetch('/Item/?tag=long', { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    expect(await ids('/Item/?tag=long')).toHaveLength(4);
    await node.fetch('/Item/?tag=long', { method: 'DELETE' });
  });

  it('deletes what matches a query, up to its limit, and nothing else', async () => {
    const write = (at: number) => node.put(`/Number/${at}`, { tag: at % 2 === 0 ? 'even' : 'odd' });
    await Promise.all(Array.from({ length: 600 }, (_, at) => write(at + 1)));
    const part = await node.fetch('/Number/?tag=odd&limit(10)', { method: 'DELETE' });
    expect(await json(part)).toEqual({ deleted: 10, changed: 0, more: true });
    const rest = await node.fetch('/Number/?tag=odd', { method: 'DELETE' });
    expect(await json(rest)).toEqual({ deleted: 290, changed: 0, more: false });
    expect(await list('/Number/?tag=odd')).toEqual([]);
    expect(await list('/Number/')).toHaveLength(300);
  });

  it('never deletes a whole table', async () => {
    const all = await node.fetch('/Number/', { method: 'DELETE' });
    await expectProblem(all, 405, 'METHOD_NOT_ALLOWED');
    const cut = await node.fetch('/Number/?limit(10)', { method: 'DELETE' });
    await expectProblem(cut, 400, 'QUERY_INVALID');
    expect(await list('/Number/')).toHaveLength(300);
  });

  it.each([
    ['tag=x&nope=1', 6],
    ['price=gt=cheap', 9],
    ['(tag=x', 6],
    ['sort(nope)', 5],
    ['select(nope)', 7],
  ])('refuses %s and says where', async (query, position) => {
    const problem = await expectProblem(await node.fetch(`/Item/?${query}`), 400, 'QUERY_INVALID');
    expect(problem.detail).toContain(`position ${position}:`);
  });

  it('follows what begins to match, changes, and stops matching a range', async () => {
    const client = new SocketClient(`${node.ws}/Item/?price=gt=500&[n=1|n=2]`, {});
    await client.count(1);
    await node.put('/Item/live', { price: 400, n: 1 });
    await node.put('/Item/live', { price: 600, n: 1 });
    await node.put('/Item/live', { price: 700, n: 2 });
    await node.put('/Item/live', { price: 700, n: 3 });
    await client.count(4);
    expect(client.events.map((event) => event.type)).toEqual(['snapshot', 'enter', 'put', 'leave']);
    client.terminate();
    await node.fetch('/Item/live', { method: 'DELETE' });
  });

  it('refuses a cursor of another query', async () => {
    const first = await node.fetch('/Item/?tag=red&limit(1)&after()');
    const cursor = /after\(([^)]+)\)/.exec(first.headers.get('link') ?? '')?.[1];
    const other = await node.fetch(`/Item/?tag=blue&limit(1)&after(${cursor})`);
    await expectProblem(other, 400, 'QUERY_INVALID');
    await expectProblem(await node.fetch('/Item/?after(AAAA)'), 400, 'QUERY_INVALID');
  });
});

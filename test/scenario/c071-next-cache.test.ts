/**
 * The handlers of `millrace/next` as Next.js calls them, several servers of one application against
 * a real node: shared entries, tags, records, builds, and a node that is away.
 */
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createCacheHandler,
  createUseCacheHandler,
  type NextCacheHandler,
  type NextCacheOptions,
} from '../../src/next/next.ts';
import { createRender } from '../../src/render/render.ts';
import { ADMIN, type NodeProcess, startNode, until } from '../support/node-process.ts';

const schema = `
type NextCache @table(expiration: 86400) @export { id: ID @primaryKey }
type NextTag @table(expiration: 86400) @export {
  id: ID @primaryKey
  by: String
  at: Float @updatedTime
}
type Product @table @export(public: [read, insert, update]) { id: ID @primaryKey, price: Int }
`;

describe.each(['1', '2'])('the caches of Next.js in a node of %s threads', (threads) => {
  let node: NodeProcess;
  const faults: string[] = [];

  beforeAll(async () => {
    node = await startNode({
      files: { 'schema.graphql': schema },
      flags: ['--threads', threads],
    });
  });
  afterAll(() => node.dispose());

  const optionsOf = (also: NextCacheOptions = {}): NextCacheOptions => ({
    url: node.http,
    ...ADMIN,
    buildId: 'b1',
    timeoutMs: 20_000,
    onFault: (fault) => faults.push(fault),
    ...also,
  });
  /** A server of the application, and a request that it answers. */
  const server = (also?: NextCacheOptions) => {
    const Handler = createCacheHandler(optionsOf(also));
    return (): NextCacheHandler => new Handler();
  };
  const page = (html: string, tags = '') => ({
    kind: 'APP_PAGE',
    html,
    rscData: Buffer.from('rsc'),
    headers: { 'x-next-cache-tags': tags },
  });
  const PAGE = { kind: 'APP_PAGE' };
  const reply = (body: string, groups = '') => ({
    kind: 'FETCH',
    data: { headers: groups === '' ? {} : { 'cache-groups': groups }, body, url: '' },
    revalidate: 60,
  });

  /** Renders as Next.js does: looks, and stores what it makes. */
  async function render(request: NextCacheHandler, key: string, tags = '', html = key) {
    const found = await request.get(key, PAGE);
    if (found === null) await request.set(key, page(html, tags), {});
    return found;
  }

  it('are shared by all servers of a build', async () => {
    const [one, other, next] = [server(), server(), server({ buildId: 'b2' })];
    expect(await render(one(), '/shared')).toBeNull();
    expect(await other().get('/shared', PAGE)).toMatchObject({ value: page('/shared') });
    expect(await next().get('/shared', PAGE)).toBeNull();
    expect(faults).toEqual([]);
  });

  it('forget what names a revalidated tag, on every server at once', async () => {
    const [one, other] = [server(), server()];
    await render(one(), '/tagged', 'news,_N_T_/tagged');
    await render(one(), '/untagged', 'sport');
    await other().revalidateTag(['news'], { expire: 3600 });
    expect(await one().get('/tagged', PAGE)).toBeNull();
    expect(await other().get('/untagged', PAGE)).not.toBeNull();
    await render(one(), '/tagged', 'news');
    expect(await other().get('/tagged', PAGE)).not.toBeNull();
  });

  it('never serve what was being made when its tag was revalidated', async () => {
    const one = server();
    const slow = one();
    expect(await slow.get('/slow', PAGE)).toBeNull();
    await one().revalidateTag('slow');
    await slow.set('/slow', page('old', 'slow'), {});
    expect(await one().get('/slow', PAGE)).toBeNull();
  });

  it('know by which path data is read when the path is revalidated', async () => {
    const one = server();
    const context = { kind: 'FETCH', tags: [], softTags: ['_N_T_/a'] };
    const request = one();
    await request.get('prices', context);
    await request.set('prices', reply('1'), { fetchCache: true });
    expect(await one().get('prices', context)).not.toBeNull();
    await one().revalidateTag('_N_T_/a');
    expect(await one().get('prices', context)).toBeNull();
    expect(await one().get('prices', { ...context, softTags: ['_N_T_/b'] })).not.toBeNull();
  });

  it('take keys and tags of any length and kind', async () => {
    const one = server();
    const tags = Array.from(
      { length: 120 },
      (_, index) => `_N_T_/Übersicht/${index}/${'ß'.repeat(90)}`,
    );
    const context = { kind: 'FETCH', tags: [], softTags: tags };
    const key = `/ü|(&)[]%${'ä'.repeat(1_000)}`;
    const request = one();
    await request.get(key, context);
    await request.set(key, reply('1'), { fetchCache: true });
    expect(await one().get(key, context)).not.toBeNull();
    await one().revalidateTag(tags[119] ?? '');
    expect(await one().get(key, context)).toBeNull();
    await render(one(), key, 'a|b(c)&d=e');
    expect(await one().get(key, PAGE)).not.toBeNull();
    await one().revalidateTag('a|b(c)&d=e');
    expect(await one().get(key, PAGE)).toBeNull();
    expect(faults).toEqual([]);
  });

  it('forget pages and data when a record that they show is changed', async () => {
    const one = server();
    const { run, fetch: read } = createRender({ node: node.http });
    await node.put('/Product/7', { price: 1 });
    const visit = () =>
      run(async () => {
        const request = one();
        const found = await render(request, '/product/7').then((was) => was?.value);
        return { found, request };
      });
    await run(async () => {
      const request = one();
      await request.get('/product/7', PAGE);
      await request.get('data-7', { kind: 'FETCH' });
      const answer = await read(`${node.http}/Product/7`);
      const groups = answer.headers.get('cache-groups') ?? '';
      await request.set('data-7', reply(await answer.text(), groups), { fetchCache: true });
      await request.set('/product/7', page('price 1'), {});
    });
    expect((await visit()).found).toMatchObject({ html: 'price 1' });
    await node.put('/Product/7', { price: 2 });
    expect((await visit()).found).toBeUndefined();
    expect(await one().get('data-7', { kind: 'FETCH' })).toBeNull();
  });

  it('have a page that comes out of the cache name what it was made from', async () => {
    const one = server();
    const { run, fetch: read, groups } = createRender({ node: node.http });
    await node.put('/Product/8', { price: 1 });
    await run(async () => {
      const request = one();
      await request.get('/product/8', PAGE);
      await (await read(`${node.http}/Product/8`)).text();
      await request.set('/product/8', page('x', 'shelf'), {});
    });
    const named = await run(async () => {
      await one().get('/product/8', PAGE);
      return groups();
    });
    expect(named.map((name) => name.replace(/\d+$/, 'N')).sort()).toEqual([
      'NextTag/shelf;v=N',
      'Product/8;v=N',
    ]);
  });

  it('keep what names more than a header holds, until any of it changes', async () => {
    const one = server();
    const tags = Array.from({ length: 120 }, (_, index) => `tag-${index}-${'x'.repeat(60)}`);
    await render(one(), '/many', tags.join(','));
    expect(await one().get('/many', PAGE)).not.toBeNull();
    await one().revalidateTag('another');
    expect(await one().get('/many', PAGE)).toBeNull();
  });

  it('keep images and the absence of pages, and nothing that is too large', async () => {
    const one = server({ entryBytesMax: 10_000 });
    const image = { kind: 'IMAGE', buffer: Buffer.from([1, 2, 3]), etag: 'e', extension: 'png' };
    for (const [key, value] of [
      ['image', image],
      ['/none', null],
    ] as const) {
      const request = one();
      await request.get(key, PAGE);
      await request.set(key, value, {});
      expect((await one().get(key, PAGE))?.value).toEqual(value);
    }
    await render(one(), '/large', '', 'x'.repeat(20_000));
    expect(await one().get('/large', PAGE)).toBeNull();
    expect(faults.splice(0)).toHaveLength(1);
  });

  it('keep what stands under `use cache`, by the same tags', async () => {
    const handler = createUseCacheHandler(optionsOf());
    const entry = (text: string) => ({
      value: new Blob([text]).stream(),
      tags: ['cached'],
      ...{
        stale: 1,
        timestamp: Date.now() - 5_000,
        expire: Number.POSITIVE_INFINITY,
        revalidate: 60,
      },
    });
    const read = async () => {
      const found = await handler.get('key', []);
      return found && { ...found, value: await new Response(found.value).text() };
    };
    await handler.set('key', Promise.resolve({ ...entry('one'), timestamp: Date.now() + 0.303 }));
    expect(await read()).toMatchObject({ value: 'one', expire: Number.POSITIVE_INFINITY });
    const before = await handler.getExpiration(['cached']);
    await handler.updateTags(['cached']);
    expect(await read()).toBeUndefined();
    expect(await handler.getExpiration(['cached'])).toBeGreaterThan(before);
    await expect(handler.set('key', Promise.reject(new Error('broken')))).resolves.toBeUndefined();
  });

  it('are not there when the node is away or refuses, and nothing fails', async () => {
    const told: string[] = [];
    const onFault = (fault: string) => told.push(fault);
    for (const also of [{ url: 'http://127.0.0.1:9' }, { password: 'wrong' }]) {
      const request = server({ ...also, onFault })();
      expect(await render(request, '/away', 'news')).toBeNull();
      await request.revalidateTag('news');
      expect(await request.get('/away', PAGE)).toBeNull();
    }
    expect(told.length).toBeGreaterThan(1);
  });

  it('hear of a tag that was revalidated while they were away', async () => {
    const gate = createServer((request, response) => {
      if (isShut) {
        response.destroy();
        return;
      }
      const target = httpRequest(`${node.http}${request.url}`, {
        method: request.method,
        headers: request.headers,
      });
      target.on('response', (answer) => {
        response.writeHead(answer.statusCode ?? 0, answer.headers);
        answer.pipe(response);
      });
      request.pipe(target);
    });
    let isShut = false;
    await new Promise<void>((resolve) => gate.listen(0, '127.0.0.1', resolve));
    const { port } = gate.address() as AddressInfo;
    const one = server({ url: `http://127.0.0.1:${port}`, onFault: () => undefined });
    await render(one(), '/behind', 'gated');
    expect(await one().get('/behind', PAGE)).not.toBeNull();
    isShut = true;
    await one().revalidateTag('gated');
    isShut = false;
    // At once on the server that knows, and soon everywhere.
    expect(await one().get('/behind', PAGE)).toBeNull();
    const other = server();
    await until('the news', async () => (await other().get('/behind', PAGE)) === null);
    await until('the server', async () => {
      await render(one(), '/after');
      return (await one().get('/after', PAGE)) !== null;
    });
    gate.closeAllConnections();
    gate.close();
  });

  it('are back when the node is', async () => {
    const one = server();
    await render(one(), '/kept', 'news');
    const entry = await one().get('/kept', PAGE);
    expect(entry?.value).toEqual(page('/kept', 'news'));
  });
});

describe('a node that has no tables for Next.js', () => {
  it('says so, and never hands the questions to the renderer, which would ask again', async () => {
    const asked: string[] = [];
    const renderer = createServer((request, response) => {
      asked.push(`${request.method}`);
      response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => renderer.listen(0, '127.0.0.1', resolve));
    const { port } = renderer.address() as AddressInfo;
    const node = await startNode({
      files: {
        'schema.graphql': 'type Page @pages(origin: "web", path: "/*")\n',
        'origins/web.yaml': `kind: http\nurl: http://127.0.0.1:${port}\nallowPrivate: true\n`,
      },
    });
    const faults: string[] = [];
    const Handler = createCacheHandler({
      ...{ url: node.http, ...ADMIN, buildId: 'b1' },
      onFault: (fault) => faults.push(fault),
    });
    expect(await new Handler().get('/page', { kind: 'APP_PAGE' })).toBeNull();
    expect(await new Handler().get('data', { kind: 'FETCH', tags: ['a'] })).toBeNull();
    expect(asked).toEqual([]);
    expect(faults.join()).toContain('NextTag');
    await node.dispose();
    renderer.close();
  });
});

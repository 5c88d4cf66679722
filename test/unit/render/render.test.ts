/** Pages as scopes: what is read in one is told by it and by no other, whatever the server. */
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createRender, type RenderNotice } from '../../../src/render/render.ts';

const NODE = 'http://node.test';
/** A node which answers with one group for each path, and what it was asked. */
function fakeNode() {
  const asked: Request[] = [];
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const request = new Request(input, init);
    asked.push(request);
    const { pathname } = new URL(request.url);
    const isAsking = request.headers.get('millrace-groups') === '1';
    return Response.json(
      {},
      { headers: isAsking ? { 'cache-groups': `"${pathname.slice(1)};v=7"` } : {} },
    );
  };
  return { asked, fetch };
}

describe('a page', () => {
  it('names what was read while it was made, and not what another page reads meanwhile', async () => {
    const { fetch } = fakeNode();
    const { run, fetch: read, groups } = createRender({ node: NODE, fetch });
    const page = (ids: readonly string[]) =>
      run(async () => {
        for (const id of ids) await read(`${NODE}/Product/${id}`);
        return groups();
      });
    const [one, other] = await Promise.all([page(['1', '2', '3']), page(['4'])]);
    expect(one).toEqual(['Product/1;v=7', 'Product/2;v=7', 'Product/3;v=7']);
    expect(other).toEqual(['Product/4;v=7']);
    expect(groups()).toEqual([]);
  });

  it('asks nobody else for groups, and nobody outside of a page', async () => {
    const { asked, fetch } = fakeNode();
    const { run, fetch: read } = createRender({ node: NODE, fetch });
    await read(`${NODE}/Product/1`);
    await run(() => read('http://elsewhere.test/Product/1'));
    await run(() => read(new Request(`${NODE}/Product/1`, { headers: { 'x-mine': 'kept' } })));
    const told = asked.map(({ headers }) => headers.get('millrace-groups'));
    expect(told).toEqual([null, null, '1']);
    expect(asked[2]?.headers.get('x-mine')).toBe('kept');
  });

  it('keeps method, body and fields of what is asked', async () => {
    const { asked, fetch } = fakeNode();
    const { run, fetch: read } = createRender({ node: NODE, fetch });
    const init = {
      method: 'POST',
      body: '{"a":1}',
      headers: { 'content-type': 'application/json' },
    };
    await run(() => read(`${NODE}/search`, init));
    expect([asked[0]?.method, await asked[0]?.text()]).toEqual(['POST', '{"a":1}']);
    expect(asked[0]?.headers.get('content-type')).toBe('application/json');
  });

  it('says where the node is missing only when something is read', async () => {
    const { run, fetch: read } = createRender({ fetch: fakeNode().fetch });
    await read(`${NODE}/Product/1`);
    await expect(run(() => read(`${NODE}/Product/1`))).rejects.toThrow(TypeError);
  });

  it('is a Response too, whose own groups and body are kept', async () => {
    const { fetch } = fakeNode();
    const { webHandler, fetch: read } = createRender({ node: NODE, fetch });
    const handler = webHandler(async (request: Request) => {
      await read(`${NODE}/Product/1`);
      return new Response(`body of ${new URL(request.url).pathname}`, {
        status: 203,
        headers: { 'cache-groups': '"shop"', 'x-mine': 'kept' },
      });
    });
    const response = await handler(new Request('http://renderer.test/page'));
    expect(response.headers.get('cache-groups')).toBe('"Product/1;v=7", "shop"');
    expect([response.status, response.headers.get('x-mine')]).toEqual([203, 'kept']);
    expect(await response.text()).toBe('body of /page');
    const redirect = webHandler(async () => {
      await read(`${NODE}/Product/1`);
      return Response.redirect('http://renderer.test/other', 302);
    });
    expect((await redirect()).headers.get('location')).toBe('http://renderer.test/other');
    const plain = webHandler(() => new Response(null, { status: 204 }));
    expect((await plain()).headers.has('cache-groups')).toBe(false);
  });
});

describe('a response of node:http', () => {
  const servers: ReturnType<typeof createServer>[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  const { nodeHandler, middleware, declare } = createRender({
    node: NODE,
    fetch: fakeNode().fetch,
  });
  type Handler = Parameters<typeof nodeHandler>[0];

  async function groupsOf(handler: Handler, wrap = nodeHandler): Promise<unknown> {
    const server = createServer(wrap(handler));
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    return new Promise((resolve, reject) => {
      get({ port, agent: false }, (response) => {
        response.resume();
        response.on('end', () => resolve(response.headers['cache-groups']));
      }).on('error', reject);
    });
  }

  it.each<[string, Handler]>([
    ['end', (_, response) => response.end()],
    ['write', (_, response) => response.write('x') && response.end()],
    ['flushHeaders', (_, response) => [response.flushHeaders(), response.end()]],
    ['writeHead', (_, response) => response.writeHead(200).end()],
    ['writeHead with a reason', (_, response) => response.writeHead(200, 'Fine', {}).end()],
  ])('names them however its head is sent: %s', async (_, handler) => {
    const said = await groupsOf((request, response) => {
      declare('Product');
      return handler(request, response);
    });
    expect(said).toBe('"Product"');
  });

  it.each<[string, Handler]>([
    ['setHeader', (_, response) => response.setHeader('Cache-Groups', '"mine"').end()],
    ['an object', (_, response) => response.writeHead(200, { 'Cache-Groups': '"mine"' }).end()],
    ['a list', (_, response) => response.writeHead(200, ['Cache-Groups', '"mine"']).end()],
    ['several lines', (_, response) => response.setHeader('cache-groups', ['"mine"']).end()],
  ])('keeps the groups that the application names by %s', async (_, handler) => {
    const said = await groupsOf((request, response) => {
      declare('Product');
      return handler(request, response);
    });
    expect(String(said).split(', ').sort()).toEqual(['"Product"', '"mine"']);
  });

  it('has none when nothing was read', async () => {
    expect(await groupsOf((_, response) => response.end())).toBeUndefined();
  });

  it('is the same by the middleware', async () => {
    const wrap: typeof nodeHandler = (handler) => (request, response) =>
      middleware(request, response, () => void handler(request, response));
    const said = await groupsOf((_, response) => {
      declare('Product');
      response.end();
    }, wrap);
    expect(said).toBe('"Product"');
  });

  it('forbids shared caches to keep what could not be named whole', async () => {
    const notices: RenderNotice[] = [];
    const small = createRender({
      node: NODE,
      bounds: { namesMax: 2 },
      onNotice: (notice) => notices.push(notice),
    });
    const response = await small.webHandler(() => {
      small.declare('a', 'b', 'c');
      return new Response('x');
    })();
    expect(response.headers.get('cdn-cache-control')).toBe('no-store');
    expect(notices).toEqual([{ kind: 'lost', page: 'webHandler()', count: 1 }]);
  });
});

/**
 * The commands over a running node: what they say, their exit codes, and an application made from a
 * sample that `check` accepts.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { behave, HttpOrigin } from '../support/http-origin.ts';
import { ADMIN, type NodeProcess, runCommand, startNode, until } from '../support/node-process.ts';

const env = {
  MILLRACE_ADMIN_USERNAME: ADMIN.username,
  MILLRACE_ADMIN_PASSWORD: ADMIN.password,
};

describe('commands over a running node', () => {
  let origin: HttpOrigin;
  let node: NodeProcess;

  const sitemap = (...urls: readonly string[]) =>
    `<urlset>${urls.map((url) => `<url><loc>${url}</loc></url>`).join('')}</urlset>`;

  beforeAll(async () => {
    origin = await HttpOrigin.start(({ path: asked }) => {
      if (asked === '/p/sitemap.xml') {
        const maps = ['http://a.example/p/one.xml.gz', 'http://a.example/p/two.xml'];
        const index = maps.map((url) => `<sitemap><loc>${url}</loc></sitemap>`).join('');
        return behave.answer(200, {}, `<sitemapindex>${index}</sitemapindex>`);
      }
      if (asked === '/p/one.xml.gz') {
        return behave.answer(200, {}, gzipSync(sitemap('http://a.example/p/1?x=1&amp;y=2')));
      }
      if (asked === '/p/two.xml') {
        return behave.answer(200, {}, sitemap('http://a.example/p/2', 'http://a.example/p/broken'));
      }
      if (asked === '/p/broken') return behave.status(500);
      if (asked.startsWith('/p/')) {
        return behave.answer(
          200,
          { 'content-type': 'text/html', 'cache-tag': 'all' },
          '<p>page</p>',
        );
      }
      const id = asked.split('/').at(-1);
      return behave.json({ id, price: 1.5, count: 3, isOpen: true, tags: ['a'] });
    });
    node = await startNode({
      files: {
        'schema.graphql': `
type Item @table @sourcedFrom(origin: "web", path: "/items/{id}") @export(public: [read])
  { id: ID @primaryKey, price: Float }
type Page @pages(origin: "web", path: "/p/*")
`,
        'origins/web.yaml': `kind: http\nurl: ${origin.url}\nallowPrivate: true\nretries: 0\n`,
      },
    });
  });
  afterAll(async () => {
    await node.dispose();
    await origin.close();
  });

  const admin = (...args: readonly string[]) =>
    runCommand([...args, '--url', node.admin], { env, cwd: node.folder });
  const app = (...args: readonly string[]) =>
    runCommand([...args, '--url', node.http], { cwd: node.folder });

  it('get says in words what the cache did', async () => {
    const first = await app('get', 'Item/a');
    expect(first.stdout).toMatch(/^200 {2}the origin was asked: nothing was stored/);
    const hit = await until('a hit', async () => {
      const read = await app('get', 'Item/a', '--json');
      const told = JSON.parse(read.stdout) as { verdict: string };
      return told.verdict.startsWith('answered from the store') && told;
    });
    expect(hit).toMatchObject({ status: 200, body: expect.stringContaining('"a"') });
    expect((await app('get', 'Nothing/a')).code).toBe(1);
  });

  it('status tells of tables and origins, and fails when nothing is there', async () => {
    const told = await admin('status', '--json');
    expect(told.code).toBe(0);
    expect(JSON.parse(told.stdout)).toMatchObject({
      health: { status: 'ready' },
      caches: { tables: { Item: { entries: 1, requests: expect.any(Object) } } },
      origins: { origins: { web: { state: 'closed', outcomes: { ok: expect.any(Number) } } } },
    });
    const nobody = await runCommand(['status', '--url', 'http://127.0.0.1:1'], { env });
    expect([nobody.code, nobody.stderr]).toEqual([
      1,
      expect.stringContaining('is the node running'),
    ]);
    const wrong = { env: { ...env, MILLRACE_ADMIN_PASSWORD: 'wrong' } };
    const refused = await runCommand(['status', '--url', node.admin], wrong);
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('--username')]);
  });

  it('inspect says which rule decides, before and after a purge', async () => {
    expect((await admin('inspect', 'Item/a')).stdout).toMatch(/would serve: fresh .*\(rule 7\)/);
    const purged = await admin('purge', '--table', 'Item', '--key', 'a');
    expect([purged.code, purged.stdout]).toEqual([0, 'purged in Item: ["a"]\n']);
    const after = await admin('inspect', 'Item/a');
    expect(after.stdout).toMatch(/would ask the origin: .*\(rule 5\)/);
    expect(after.stdout).toMatch(/invalidated hard by key a/);
    expect((await admin('purge')).code).toBe(2);
    expect((await admin('purge', '--table', 'Nowhere', '--all')).code).toBe(2);
  });

  it('reload takes over changed files, or says which line is wrong', async () => {
    const policy = path.join(node.folder, 'cache-policies');
    const { writeApp } = await import('../support/node-process.ts');
    writeApp({ 'cache-policies/default.yaml': 'freshness: { default: 5m }\n' }, node.folder);
    const dry = await admin('reload', '--dry-run');
    expect(dry.stdout).toMatch(/policy of Item: freshness\.default: 60000 → 300000[\s\S]*checked/);
    expect((await admin('reload')).stdout).toMatch(/applied\n$/);
    writeFileSync(path.join(policy, 'default.yaml'), 'freshnes: { default: 5m }\n');
    const broken = await admin('reload');
    expect(broken.code).toBe(2);
    expect(broken.stderr).toMatch(/cache-policies\/default\.yaml:1:1 /);
    writeFileSync(path.join(policy, 'default.yaml'), 'freshness: { default: 5m }\n');
  });

  it('warm stores what a sitemap names, through its index, and names what failed', async () => {
    const first = await app('warm', 'http://a.example/p/sitemap.xml', '--json');
    expect(first.code).toBe(1);
    const summary = JSON.parse(first.stdout) as { asked: number; failed: { url: string }[] };
    expect(summary).toMatchObject({ asked: 3, failed: [{ url: 'http://a.example/p/broken' }] });
    writeFileSync(path.join(node.folder, 'list.txt'), '# pages\nhttp://a.example/p/1?x=1&y=2\n');
    await until('the page', async () =>
      /1 were stored/.test((await app('warm', 'list.txt')).stdout),
    );
    expect((await app('warm', 'missing.txt')).code).toBe(2);
  });

  it('init writes an application from a sample that check accepts', async () => {
    const folder = path.join(node.folder, 'made');
    const made = await runCommand(['init', `${origin.url}/flights/AA100`, folder]);
    expect(made.code).toBe(0);
    expect(await runCommand(['check', folder])).toMatchObject({ code: 0 });
    const { readFileSync } = await import('node:fs');
    const schema = readFileSync(path.join(folder, 'schema.graphql'), 'utf8');
    expect(schema).toMatch(/^type Flight$/m);
    expect(schema).toMatch(/path: "\/flights\/\{id\}"/);
    expect(schema).toMatch(/price: Float\n {2}count: Int\n {2}isOpen: Boolean\n {2}tags: Any/);
    // Nothing that is there is overwritten.
    expect((await runCommand(['init', `${origin.url}/flights/AA100`, folder])).code).toBe(2);
    const pages = path.join(node.folder, 'pages');
    expect((await runCommand(['init', `${origin.url}/p/home`, pages])).code).toBe(0);
    expect(await runCommand(['check', pages])).toMatchObject({ code: 0 });
    expect((await runCommand(['init', 'not-a-url', pages])).code).toBe(2);
  });
});

/**
 * The example with Next.js, as a newcomer starts it: built, run by the node behind its page cache,
 * with its own caches in the node; changed by its warehouse and by a tag, looked at with a browser,
 * its renderer killed, and a second build put in the place of the first.
 */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ExampleProcess,
  exampleFolder,
  HAS_BROWSER,
  isInstalled,
  openBrowser,
} from '../support/example-process.ts';
import { until } from '../support/node-process.ts';

const FOLDER = exampleFolder('ssr-shop');
const BUILD_MS = 300_000;
const QUIET = { CHANGE_EVERY_MS: '0', NEXT_TELEMETRY_DISABLED: '1' };

/** A process below another, by the beginning of its command line. */
function processBelow(root: number, command: string): number | undefined {
  const parents = new Map<number, number>();
  const found: number[] = [];
  for (const name of readdirSync('/proc').filter((one) => /^\d+$/.test(one))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
      if (readFileSync(`/proc/${name}/cmdline`, 'utf8').startsWith(command))
        found.push(Number(name));
    } catch {
      // It has ended meanwhile.
    }
  }
  const isBelow = (pid: number | undefined): boolean =>
    pid !== undefined && pid > 1 && (pid === root || isBelow(parents.get(pid)));
  return found.find(isBelow);
}

const IS_INSTALLED = isInstalled('ssr-shop', 'next');

describe.skipIf(!IS_INSTALLED)('examples/ssr-shop (run `npm ci` in it first)', () => {
  let example: ExampleProcess;
  let http = '';
  let warehouse = '';

  beforeAll(async () => {
    rmSync(path.join(FOLDER, '.next'), { recursive: true, force: true });
    example = new ExampleProcess('ssr-shop', QUIET);
    http = await example.printed(/is open: +(http:\/\/[^/\s]+)\//, BUILD_MS);
    warehouse = await example.printed(/(http:\/\/\S+)\/products\/3/, 1_000);
  }, BUILD_MS);
  afterAll(async () => {
    expect(await example.stop()).toBe(0);
  });

  interface Read {
    readonly status: number;
    readonly text: string;
    readonly cache: string;
  }
  async function read(target: string): Promise<Read> {
    const response = await fetch(`${http}${target}`);
    const text = await response.text();
    return { status: response.status, text, cache: response.headers.get('cache-status') ?? '' };
  }
  const isHit = ({ cache }: Read) => /; hit; ttl=\d+$/.test(cache);
  const hit = (target: string) =>
    until(`a hit at ${target}`, async () => {
      const page = await read(target);
      return isHit(page) && page;
    });
  const change = async (id: string, product: object) => {
    const body = JSON.stringify(product);
    const url = `${warehouse}/products/${id}`;
    expect((await fetch(url, { method: 'PATCH', body })).status).toBe(200);
  };
  const renderer = () => processBelow(example.process.pid ?? 0, 'next-server');
  const scriptsOf = ({ text }: Read): string[] => [
    ...new Set([...text.matchAll(/\/_next\/static\/[^"'\\]+\.js/g)].map(([url]) => url)),
  ];

  it('renders a page for its first visitor, and hands it to the next ones', async () => {
    const first = await read('/products/3');
    expect(first.cache).toMatch(/fwd=uri-miss; fwd-status=200; stored/);
    expect(first.text).toContain('Rye, dark');
    expect((await hit('/products/3')).text).toBe(first.text);
    expect((await hit('/')).text).toContain('Spelt, fine');
  });

  it('renders what shows a product anew once the warehouse changes it, and nothing else', async () => {
    await hit('/');
    await hit('/products/3');
    await hit('/products/4');
    await change('3', { price: 777 });
    for (const target of ['/products/3', '/']) {
      await until(`the price at ${target}`, async () => {
        const page = await read(target);
        return page.text.includes('€ 7.77');
      });
      expect((await hit(target)).text).toContain('€ 7.77');
    }
    expect(isHit(await read('/products/4'))).toBe(true);
  });

  it('renders what names a tag anew once it is revalidated', async () => {
    await hit('/');
    await hit('/products/4');
    const said = await fetch(`${http}/api/note`, { method: 'PUT', body: 'Closed on Monday.' });
    expect(said.status).toBe(204);
    await until('the note', async () => (await read('/')).text.includes('Closed on Monday.'));
    expect((await hit('/')).text).toContain('Closed on Monday.');
    expect(isHit(await read('/products/4'))).toBe(true);
  });

  it('serves what it holds while the renderer is gone, and takes up with the next one', async () => {
    const held = await hit('/products/4');
    process.kill(renderer() ?? 0, 'SIGKILL');
    await change('4', { price: 888 });
    const old = await until('a stale page', async () => {
      const page = await read('/products/4');
      expect(page.status).toBe(200);
      return page.cache.includes('stale-if-error') && page;
    });
    expect(old.text).toBe(held.text);
    await until(
      'the new page',
      async () => (await read('/products/4')).text.includes('€ 8.88'),
      30_000,
    );
  }, 60_000);

  describe.skipIf(!HAS_BROWSER)('in a browser', () => {
    let browser: Browser;
    let page: Page;
    const complaints: string[] = [];
    beforeAll(async () => {
      browser = await openBrowser();
      page = await browser.newPage();
      page.on('console', (line) => line.type() === 'error' && complaints.push(line.text()));
      page.on('pageerror', (error) => complaints.push(error.message));
    });
    afterAll(() => browser.close());
    const text = (selector: string) => page.textContent(selector);
    const isSame = () => page.evaluate('window.isSame === true');

    it('changes the page that is open, without loading it again', async () => {
      await page.goto(`${http}/products/5`);
      await page.waitForSelector('[data-live="live"]');
      await page.evaluate('window.isSame = true');
      await change('5', { price: 555 });
      await until('the price', async () => (await text('[data-price]'))?.includes('5.55'));
      const stock = Number.parseInt((await text('[data-stock]')) ?? '', 10);
      await page.click('[data-buy]');
      await until('one sack less', async () => {
        return (await text('[data-stock]'))?.startsWith(String(stock - 1));
      });
      expect(await isSame()).toBe(true);
    });

    it('goes from page to page by the router', async () => {
      await page.goto(`${http}/products/5`);
      await page.evaluate('window.isSame = true');
      await page.click('article a');
      await page.waitForSelector('[data-product="6"]');
      await page.click('[data-product="6"]');
      await page.waitForSelector('h1:has-text("Spelt, whole")');
      await page.waitForSelector('[data-live="live"]');
      await change('6', { stock: 3 });
      await until('the stock', async () => (await text('[data-stock]'))?.startsWith('3 '));
      expect(await isSame()).toBe(true);
      expect(complaints).toEqual([]);
    });
  });

  it(
    'serves no page of the build before once there is another, and no script but its own',
    async () => {
      const before = await hit('/products/7');
      expect(before.text).toContain('Edition');
      const scripts = scriptsOf(before);
      const bodies = await Promise.all(scripts.map(async (url) => (await hit(url)).text));
      await build({ NEXT_PUBLIC_EDITION: 'two' });
      process.kill(renderer() ?? 0, 'SIGTERM');
      const after = await until(
        'a page of the new build',
        async () => {
          const page = await read('/products/7');
          expect(page.status).toBe(200);
          return /Edition.{0,20}two/.test(page.text) && page;
        },
        60_000,
      );
      const next = scriptsOf(after);
      expect(next).not.toEqual(scripts);
      for (const url of next) expect((await read(url)).status).toBe(200);
      // Who has the old page open still finds its scripts, as they were.
      const kept = await Promise.all(scripts.map(async (url) => (await read(url)).text));
      expect(kept).toEqual(bodies);
      const again = await Promise.all(Array.from({ length: 4 }, () => read('/products/7')));
      expect(again.filter(({ text }) => !/Edition.{0,20}two/.test(text))).toEqual([]);
    },
    BUILD_MS,
  );
});

function build(env: Readonly<Record<string, string>>): Promise<void> {
  const child = spawn('npx', ['--no-install', 'next', 'build'], {
    cwd: FOLDER,
    env: { ...process.env, ...QUIET, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let complaints = '';
  child.stderr.setEncoding('utf8').on('data', (line: string) => {
    complaints += line;
  });
  return new Promise((resolve, reject) => {
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(complaints))));
  });
}

/** The example with a plain renderer: Express behind the page cache, run by the node. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ExampleProcess,
  HAS_BROWSER,
  isInstalled,
  openBrowser,
} from '../support/example-process.ts';
import { until } from '../support/node-process.ts';

const IS_INSTALLED = isInstalled('ssr-plain', 'express');

describe.skipIf(!IS_INSTALLED)('examples/ssr-plain (run `npm ci` in it first)', () => {
  let example: ExampleProcess;
  let browser: Browser | undefined;
  let http = '';
  let credentials = '';

  beforeAll(async () => {
    example = new ExampleProcess('ssr-plain');
    http = await example.printed(/"ready","http":"([^"]+)"/, 50_000);
    credentials = await example.printed(/\((dev:[^)]+)\)/, 10_000);
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    expect(await example.stop()).toBe(0);
  });

  async function read(target: string) {
    const response = await fetch(`${http}${target}`);
    const text = await response.text();
    return { text, cache: response.headers.get('cache-status') ?? '' };
  }
  const isHit = ({ cache }: { cache: string }) => /; hit; ttl=\d+$/.test(cache);
  const hit = (target: string) =>
    until(`a hit at ${target}`, async () => isHit(await read(target)));
  async function change(id: string, story: object): Promise<void> {
    const response = await fetch(`${http}/Story/${id}`, {
      method: 'PATCH',
      body: JSON.stringify(story),
      headers: {
        'content-type': 'application/json',
        authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
      },
    });
    expect(response.status).toBe(204);
  }

  it('renders a page once, and again after a story that it shows has changed', async () => {
    for (const target of ['/', '/stories/eel', '/digest', '/stories/ice']) await hit(target);
    await change('eel', { title: 'Eels & more eels' });
    for (const target of ['/', '/stories/eel', '/digest']) {
      await until(`the new ${target}`, async () => {
        const page = await read(target);
        return isHit(page) && page.text.includes('Eels &amp; more eels');
      });
    }
    expect(isHit(await read('/stories/ice'))).toBe(true);
  });

  it.skipIf(!HAS_BROWSER)('changes in an open browser without being loaded again', async () => {
    await hit('/stories/bread');
    browser = await openBrowser();
    const page = await browser.newPage();
    await page.goto(`${http}/stories/bread`);
    await page.evaluate('window.isSame = true');
    await until('the new text', async () => {
      // Until the page has joined, a change is no news to it.
      await change('bread', { text: `Baked at ${Date.now()}` });
      return (await page.textContent('main p'))?.startsWith('Baked at');
    });
    // From now on one change is enough, though its first answer is the page as it was.
    await hit('/stories/bread');
    await change('bread', { text: 'Sold out by noon' });
    await until('the newest text', async () => {
      return (await page.textContent('main p')) === 'Sold out by noon';
    });
    expect(await page.evaluate('window.isSame')).toBe(true);
  });
});

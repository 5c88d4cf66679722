/** The example `score-feed`: the league, the node, the page in a browser, a crowd of viewers. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ExampleProcess, exampleFolder, HAS_BROWSER } from '../support/example-process.ts';
import { until } from '../support/node-process.ts';

const STARTED_WITHIN_MS = 60_000;

describe('the score feed', () => {
  let example: ExampleProcess;
  let url = '';
  let browser: Browser | undefined;
  beforeAll(async () => {
    example = new ExampleProcess('score-feed', { SPEED: '300', MILLRACE_MQTT_PORT: '0' });
    url = await example.printed(/Open {2}(http:\S+)\//, STARTED_WITHIN_MS);
  }, STARTED_WITHIN_MS);
  afterAll(async () => {
    await browser?.close();
    await example.stop();
  });

  it('takes in every match of the day', async () => {
    const matches = await until('nine matches', async () => {
      const rows = (await (await fetch(`${url}/Match/`)).json()) as readonly object[];
      return rows.length === 9 ? rows : undefined;
    });
    expect(matches[0]).toMatchObject({ home: expect.any(String), homeScore: expect.any(Number) });
  });

  it.skipIf(!HAS_BROWSER)('draws scores that change, without an error', async () => {
    const args = ['--no-sandbox', '--disable-gpu'];
    browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args });
    const page = await browser.newPage();
    const errors: string[] = [];
    page.on('pageerror', ({ message }) => errors.push(message));
    await page.goto(`${url}/`);
    const board = () => page.locator('#matches').innerText();
    await until('nine cards', async () => (await page.locator('article').count()) === 9);
    const first = await board();
    await until('a change', async () => (await board()) !== first);
    await until('somebody watching', async () =>
      /^[1-9]/.test((await page.locator('#viewers').textContent()) ?? ''),
    );
    expect(errors).toEqual([]);
  });

  it('has a crowd see what the node holds', async () => {
    const script = path.join(exampleFolder('score-feed'), 'viewers.js');
    const args = [script, url, '--viewers', '100', '--seconds', '2'];
    const viewers = spawn(process.execPath, args);
    let said = '';
    viewers.stdout.on('data', (text) => {
      said += String(text);
    });
    viewers.stderr.on('data', (text) => {
      said += String(text);
    });
    const [code] = (await once(viewers, 'close')) as [number];
    expect(said).toContain('100 of 100 live');
    expect(said).toContain('all viewers hold what the node holds');
    expect(code).toBe(0);
  });
});

/**
 * The example as a newcomer meets it: `start.js` with its airline and its node, the page in a real
 * browser where there is one, the airline killed and brought back, and everything gone at the end.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { until } from '../support/node-process.ts';

const START = fileURLToPath(new URL('../../examples/flight-board/start.js', import.meta.url));
const CHROMIUM = '/usr/bin/chromium';
const FLIGHTS = 120;

interface Board {
  readonly process: ChildProcess;
  readonly output: () => string;
  readonly exited: Promise<number | null>;
}

let board: Board;
let folder: string;
let http: string;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'millrace-board-'));
  board = launch(['--http-port', '0', '--admin-port', '0', '--data', path.join(folder, 'data')]);
  http = await until('the address', () => found(/Open +(http:\/\/[^/\s]+)\//), 30_000);
});

afterAll(() => {
  if (board.process.exitCode === null) board.process.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

function launch(args: readonly string[]): Board {
  const child = spawn(process.execPath, [START, ...args], {
    env: { ...process.env, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const collect = (text: Buffer) => {
    output += text.toString();
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const exited = new Promise<number | null>((resolve) => child.once('close', resolve));
  return { process: child, output: () => output, exited };
}

const found = (pattern: RegExp): string | undefined => pattern.exec(board.output())?.[1];

async function cacheStatus(target: string): Promise<string> {
  const response = await fetch(`${http}${target}`);
  await response.arrayBuffer();
  expect(response.status).toBe(200);
  return response.headers.get('cache-status') ?? '';
}

interface FlightEvent {
  readonly type: string;
  readonly values?: readonly unknown[];
  readonly id?: string;
}

/** Events of the table's socket until `enough` says so. */
function follow(enough: (events: readonly FlightEvent[]) => boolean): Promise<FlightEvent[]> {
  return new Promise((resolve, reject) => {
    const events: FlightEvent[] = [];
    const socket = new WebSocket(`${http.replace('http:', 'ws:')}/Flight/`);
    const timer = setTimeout(() => socket.terminate(), 20_000);
    socket.on('message', (text) => {
      events.push(JSON.parse(String(text)) as FlightEvent);
      if (enough(events)) socket.close();
    });
    socket.on('error', reject);
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(events);
    });
  });
}

const rowsIn = (events: readonly FlightEvent[]): number =>
  events.reduce((rows, event) => rows + (event.values?.length ?? 0), 0);

describe('the flight board', () => {
  it('serves its page and the files of it', async () => {
    const page = await fetch(`${http}/`);
    expect(page.headers.get('content-type')).toMatch(/^text\/html/);
    expect(await page.text()).toContain('app.js');
    const script = await fetch(`${http}/app.js`);
    expect(script.headers.get('content-type')).toMatch(/javascript/);
    await script.arrayBuffer();
  });

  it('fetches an airport once and then answers from the store [RFC9211 §2]', async () => {
    expect(await cacheStatus('/Airport/LIS')).toMatch(/fwd=uri-miss/);
    expect(await cacheStatus('/Airport/LIS')).toMatch(/; ?hit/);
  });

  it('begins a socket with every flight and goes on with their changes', async () => {
    await until(
      'all flights',
      async () => rowsIn(await follow((all) => all.length > 0)) >= FLIGHTS,
    );
    const events = await follow((all) => all.filter((each) => each.type === 'put').length >= 20);
    expect(events[0]?.type).toBe('snapshot');
    expect(rowsIn(events)).toBe(FLIGHTS);
    expect(events.filter((each) => each.type === 'put').length).toBeGreaterThanOrEqual(20);
  });

  it('goes on with what it holds while the airline is gone, and resumes when it is back', async () => {
    await cacheStatus('/Airport/SFO');
    const airline = Number(found(/\(process (\d+)\)/));
    process.kill(airline, 'SIGKILL');
    await until('the end of the airline', () => found(/airline +ended (\(\S+\))/));
    expect(await cacheStatus('/Airport/SFO')).toMatch(/; ?hit/);
    await until('its return', () => board.output().match(/origin ready/g)?.length === 2);
    const events = await follow((all) => all.filter((each) => each.type === 'put').length >= 20);
    expect(events.filter((each) => each.type === 'put').length).toBeGreaterThanOrEqual(20);
  });

  it.skipIf(!existsSync(CHROMIUM))(
    'shows flights, departures and verdicts in a browser',
    async () => {
      const browser = await openBrowser();
      try {
        const complaints: string[] = [];
        const page = await browser.newPage();
        page.on('console', (line) => line.type() === 'error' && complaints.push(line.text()));
        page.on('pageerror', (error) => complaints.push(error.message));
        await page.goto(`${http}/#SFO`);
        await page.waitForSelector('#connection[data-state="live"]');
        await until(
          'flights in the air',
          async () => (await numberIn(page, '#aloft')) > FLIGHTS / 3,
        );
        await until('changes', async () => (await numberIn(page, '#rate')) > 0);
        await page.waitForSelector('.flight-row:not(:disabled)');
        await page.waitForSelector('#strip [data-verdict="hit"]');
        expect(complaints).toEqual([]);
      } finally {
        await browser.close();
      }
    },
  );

  it('stops both processes and ends cleanly', async () => {
    board.process.kill('SIGTERM');
    expect(await board.exited).toBe(0);
    await expect(fetch(`${http}/`)).rejects.toThrow();
  });
});

const openBrowser = (): Promise<Browser> =>
  chromium.launch({
    executablePath: CHROMIUM,
    args: [
      ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
      ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
    ],
  });

const numberIn = async (page: Page, selector: string): Promise<number> =>
  Number(await page.textContent(selector));

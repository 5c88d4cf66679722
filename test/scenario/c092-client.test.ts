/** `millrace/client` against real nodes: as a program in Node, and as a page in a real browser. */
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import {
  type ConnectOptions,
  connect,
  type LiveClient,
  type LiveEvent,
  type LiveQuery,
  type SocketType,
} from '../../src/client/client.ts';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';

interface Flight {
  readonly id: string;
  readonly gate?: string;
  readonly delay?: number;
}
interface Schema {
  Flight: Flight;
}

/** What the page keeps. */
declare global {
  var live: LiveClient<Schema>;
  var told: string[];
  var kept: LiveQuery<Flight>;
  var byId: (one: Flight, other: Flight) => number;
}

const SCHEMA = `
type Flight @table @export(public: [read, insert, update, delete, subscribe, publish]) {
  id: ID @primaryKey
  gate: String @indexed
  delay: Int
}
type Secret @table @export { id: ID @primaryKey }
`;
const PAGE = `<!doctype html><meta charset="utf-8"><title>board</title><ol></ol><p></p>
<script type="module">
import { connect } from '/live/client.js';
const state = document.querySelector('p');
const live = connect({ onStatus: (status) => { state.textContent = status; } });
const rows = live.query('/Flight/?gate=W&sort(-delay)');
rows.subscribe((list) => {
  document.querySelector('ol').replaceChildren(...list.map(({ id, delay }) => {
    const item = document.createElement('li');
    item.textContent = id + ' ' + delay;
    return item;
  }));
});
globalThis.live = live;
</script>`;

let node: NodeProcess;
const clients: LiveClient<Schema>[] = [];

const client = (options: ConnectOptions = {}): LiveClient<Schema> => {
  const WebSocketType = WebSocket as unknown as SocketType;
  const made = connect<Schema>({ url: node.http, WebSocket: WebSocketType, ...options });
  clients.push(made);
  return made;
};

beforeAll(async () => {
  node = await startNode({ files: { 'schema.graphql': SCHEMA, 'public/index.html': PAGE } });
});
afterEach(() => {
  for (const one of clients.splice(0)) one.close();
});
afterAll(() => node.dispose());

it('is less than 6 kB, minified and compressed, and needs nothing else', async () => {
  const entry = new URL('../../src/client/client.ts', import.meta.url).pathname;
  const { outputFiles, metafile } = await build({
    ...{ entryPoints: [entry], bundle: true, minify: true, write: false, metafile: true },
    ...{ format: 'esm', platform: 'browser' },
  });
  expect(gzipSync(outputFiles[0]?.contents ?? '').byteLength).toBeLessThan(6 * 1024);
  const inputs = Object.keys(metafile.inputs);
  expect(inputs.filter((file) => !file.includes('src/client/'))).toEqual([]);
});

it('is served by the node for pages', async () => {
  const served = await node.fetch('/live/client.js');
  expect(served.headers.get('content-type')).toMatch(/^text\/javascript/);
  const file = new URL('../../dist/client/client.min.js', import.meta.url);
  expect(await served.text()).toBe(readFileSync(file, 'utf8'));
  const etag = served.headers.get('etag') ?? '';
  const again = await node.fetch('/live/client.js', { headers: { 'if-none-match': etag } });
  expect(again.status).toBe(304);
});

describe('a program', () => {
  it('follows a query in its order, and writes with the outcome', async () => {
    const live = client();
    const rows = live.query('/Flight/?gate=A&sort(delay)');
    await until('the empty list', () => rows.status === 'live');
    expect(await live.put('/Flight/a1', { id: 'a1', gate: 'A', delay: 5 })).toMatchObject({
      outcome: 'created',
    });
    await live.put('/Flight/a2', { id: 'a2', gate: 'A', delay: 1 });
    await until('both', () => rows.size === 2);
    expect(rows.rows.map(({ id }) => id)).toEqual(['a2', 'a1']);
    await live.patch('/Flight/a2', { gate: 'B' });
    await until('one left', () => rows.size === 1);
    const { entityTag = '' } = await live.patch('/Flight/a1', { delay: 6 });
    await expect(
      live.patch('/Flight/a1', { delay: 7 }, { ifMatch: '"other"' }),
    ).rejects.toMatchObject({ code: 'PRECONDITION_FAILED' });
    expect(await live.delete('/Flight/a1', { ifMatch: entityTag })).toMatchObject({
      outcome: 'deleted',
    });
    await until('none', () => rows.size === 0);
    await expect(live.put('/Secret/x', {})).rejects.toMatchObject({ status: 401 });
    const secret = live.query('/Secret/');
    await until('the refusal', () => secret.status === 'failed');
    expect(secret.error?.code).toBe('AUTHENTICATION_REQUIRED');
  });

  it('comes back after a cut from where it was, and hears each change once', async () => {
    const statuses: string[] = [];
    const live = client({ onStatus: (status) => statuses.push(status) });
    const events: LiveEvent<Flight>[] = [];
    live.subscribe('/Flight/?gate=C', (event) => events.push(event));
    const rows = live.query('/Flight/?gate=C');
    await until('the beginning', () => rows.status === 'live');
    await node.put('/Flight/c1', { gate: 'C', delay: 1 });
    await until('the first', () => rows.size === 1);
    await node.operate({ operation: 'disconnect', all: true, reconnect: true });
    await until('the cut', () => rows.status === 'stale');
    await node.put('/Flight/c2', { gate: 'C', delay: 2 });
    const waited = live.put('/Flight/c3', { id: 'c3', gate: 'C' });
    expect(await waited).toMatchObject({ outcome: 'created' });
    await until('what was missed', () => rows.size === 3);
    expect(rows.status).toBe('live');
    expect(statuses).toEqual(['open', 'waiting', 'connecting', 'open']);
    expect(events.map(({ type, id }) => `${type} ${String(id)}`)).toEqual([
      'snapshot undefined',
      expect.stringMatching(/ c1$/),
      expect.stringMatching(/ c2$/),
      expect.stringMatching(/ c3$/),
    ]);
  });

  it('does not come back when an operator says that it need not', async () => {
    const live = client();
    const rows = live.query('/Flight/');
    await until('the beginning', () => rows.status === 'live');
    await node.operate({ operation: 'disconnect', all: true });
    await until('the end', () => live.status === 'closed');
    expect(rows.status).toBe('closed');
    await expect(live.put('/Flight/x', { id: 'x' })).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it('signs in with a token of its own making at every connection', async () => {
    const made = await node.operate({
      ...{ operation: 'create_api_key', name: 'page', username: 'admin' },
    });
    const key = String(made.key ?? made.api_key ?? made.token);
    let asked = 0;
    const live = client({
      token: async () => {
        asked += 1;
        return key;
      },
    });
    expect(await live.put('/Secret/1', {})).toMatchObject({ outcome: 'created' });
    await node.operate({ operation: 'disconnect', all: true, reconnect: true });
    expect(await live.put('/Secret/2', {})).toMatchObject({ outcome: 'created' });
    expect(asked).toBe(2);
    await live.refresh();
    expect(asked).toBe(3);
    const wrong = client({ token: 'nonsense' });
    await until('the refusal', () => wrong.status === 'closed');
  });

  it('counts who follows, and tells messages and what is said to everybody', async () => {
    const said: unknown[] = [];
    const live = client({ onBroadcast: (value) => said.push(value) });
    const counts: number[] = [];
    live.presence('/Flight/m', (count) => counts.push(count));
    await until('nobody', () => counts.at(-1) === 0);
    const events: LiveEvent[] = [];
    const stop = live.subscribe('/Flight/m', (event) => events.push(event));
    await until('one', () => counts.at(-1) === 1);
    await live.publish('/Flight/m', 'boarding');
    await until('the message', () => events.some(({ value }) => value === 'boarding'));
    await node.operate({ operation: 'broadcast', value: 'hello' });
    await until('the broadcast', () => said.includes('hello'));
    stop();
    await until('nobody again', () => counts.at(-1) === 0);
  });
});

describe('a page', () => {
  let browser: Browser;
  let page: Page;
  beforeAll(async () => {
    const args = ['--no-sandbox', '--disable-gpu'];
    browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args });
    page = await browser.newPage();
    await page.goto(`${node.http}/`);
  });
  afterAll(() => browser.close());
  const shown = () => page.locator('li').allTextContents();

  it('draws the rows as they change, and what it missed while it was offline', async () => {
    const status = () => page.locator('p').textContent();
    await until('the page is connected', async () => (await status()) === 'open');
    await node.put('/Flight/w1', { gate: 'W', delay: 1 });
    await node.put('/Flight/w2', { gate: 'W', delay: 2 });
    await until('two rows', async () => (await shown()).join() === 'w2 2,w1 1');
    await page.context().setOffline(true);
    await node.put('/Flight/w1', { gate: 'W', delay: 9 });
    await node.fetch('/Flight/w2', { method: 'DELETE' });
    await node.operate({ operation: 'disconnect', all: true, reconnect: true });
    await until('the page notices', async () => (await status()) !== 'open');
    expect(await shown()).toEqual(['w2 2', 'w1 1']);
    await page.context().setOffline(false);
    await until('the state', async () => (await shown()).join() === 'w1 9');
  });

  it('applies patches, resumes where it was cut off, and ends at what the table holds', async () => {
    for (const id of ['x1', 'x2', 'x3']) await node.put(`/Flight/${id}`, { gate: 'X', delay: 0 });
    await page.evaluate(() => {
      const told: string[] = [];
      const wish = { delta: 'merge-patch' } as const;
      live.subscribe('/Flight/?gate=X', (event) => told.push(event.type), wish);
      Object.assign(globalThis, { told, kept: live.query('/Flight/?gate=X', wish) });
    });
    const rows = () => page.evaluate(() => JSON.stringify([...kept.rows].sort(byId)));
    const told = () => page.evaluate(() => globalThis.told);
    const held = async () => (await node.fetch('/Flight/?gate=X&sort(id)')).text();
    const change = (id: string, patch: object) =>
      node.fetch(`/Flight/${id}`, {
        ...{ method: 'PATCH', body: JSON.stringify(patch) },
        headers: { 'content-type': 'application/merge-patch+json' },
      });
    await page.evaluate(() => {
      Object.assign(globalThis, { byId: (a: Flight, b: Flight) => (a.id < b.id ? -1 : 1) });
    });
    let delay = 1;
    const patched = (id: string) =>
      until('a patch', async () => {
        delay += 1;
        await change(id, { delay });
        await until('the same rows', async () => (await rows()) === (await held()));
        return (await told()).at(-1) === 'patch';
      });
    await patched('x1');
    await page.context().setOffline(true);
    await node.operate({ operation: 'disconnect', all: true, reconnect: true });
    await until('the page notices', () => page.evaluate(() => kept.status !== 'live'));
    await change('x1', { delay: 2 });
    await change('x2', { gate: 'Y' });
    await node.fetch('/Flight/x3', { method: 'DELETE' });
    await node.put('/Flight/x4', { gate: 'X', delay: 4 });
    await page.context().setOffline(false);
    await until('the state', async () => (await rows()) === (await held()));
    await patched('x4');
    // It came back from its position: there was no second snapshot.
    expect((await told()).filter((type) => type === 'snapshot')).toHaveLength(1);
  });
});

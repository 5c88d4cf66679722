/**
 * A table fed by its origin's event stream: applied, pushed on, and honest when the feed is down.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { cachedTable, originFile, pass, read } from '../support/cache-apps.ts';
import { EventOrigin } from '../support/event-origin.ts';
import { behave, HttpOrigin, type Script } from '../support/http-origin.ts';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';

interface Change {
  readonly type: string;
  readonly id?: string;
  readonly value?: { readonly n?: number };
}

const FEED = (url: string): string =>
  `feed: { kind: sse, path: "${url}/stream", id: "$.id", value: "$.value", ` +
  'group: "$.group", event: name }';
const LIVE = { name: 'Live', cache: 'freshness: { default: "300ms", jitter: "0%" }' };

const recordOf: Script = (request) => behave.json({ id: request.path.split('/').pop(), n: -1 });

class Fed {
  readonly node: NodeProcess;
  readonly origin: HttpOrigin;
  readonly events: EventOrigin;
  #position = 0;

  private constructor(node: NodeProcess, origin: HttpOrigin, events: EventOrigin) {
    this.node = node;
    this.origin = origin;
    this.events = events;
  }

  static async start(threads: number): Promise<Fed> {
    const origin = await HttpOrigin.start(recordOf);
    const events = await EventOrigin.start();
    const node = await startNode({
      files: {
        'schema.graphql': cachedTable(LIVE),
        'origins/api.yaml': originFile(origin.url, FEED(events.url)),
      },
      flags: ['--threads', String(threads)],
    });
    const fed = new Fed(node, origin, events);
    await fed.connected(1);
    return fed;
  }

  /** Connected, with an empty table, and nothing asked yet. */
  async anew(): Promise<void> {
    this.events.status = 200;
    this.events.greeting = '';
    await this.connected(1);
    await this.node.operate({ operation: 'purge', table: 'Live', all: true });
    this.origin.script = recordOf;
    this.origin.requests.length = 0;
    this.events.asked.length = 0;
  }

  /** One event, with a position of its own. */
  say(name: string, id: string | undefined, value?: object): void {
    this.events.send(this.event(name, id, value));
  }

  event(name: string, id: string | undefined, value?: object): string {
    this.#position += 1;
    const content = JSON.stringify({ id, value });
    return `id: ${this.#position}\nevent: ${name}\ndata: ${content}\n\n`;
  }

  /** Of the newest event. */
  get position(): string {
    return String(this.#position);
  }

  async connected(value: 0 | 1): Promise<void> {
    await until(
      `feed_connected ${value}`,
      async () => (await this.node.metric('millrace_feed_connected', { origin: 'api' })) === value,
    );
  }

  async reads(id: string, n: number | undefined): Promise<void> {
    await until(`${id} to read ${n}`, async () => {
      const answer = await read(this.node, `/Live/${id}`, 'only-if-cached');
      if (n === undefined) return answer.status !== 200;
      return answer.status === 200 && (JSON.parse(answer.text) as { n: number }).n === n;
    });
  }

  async health(): Promise<{ status: string; feeds: Record<string, { connected: boolean }> }> {
    const response = await fetch(`${this.node.admin}/health`);
    return (await response.json()) as Awaited<ReturnType<Fed['health']>>;
  }

  async dispose(): Promise<void> {
    await this.node.dispose();
    await this.events.close();
    await this.origin.close();
  }
}

function follow(fed: Fed, path: string): { changes: Change[]; socket: WebSocket } {
  const changes: Change[] = [];
  const socket = new WebSocket(`${fed.node.ws}${path}`);
  socket.on('message', (text) => changes.push(JSON.parse(String(text)) as Change));
  return { changes, socket };
}

describe.each([1, 2])('a live feed on %i thread(s)', (threads) => {
  let fed: Fed;
  beforeAll(async () => {
    fed = await Fed.start(threads);
  });
  beforeEach(() => fed.anew());
  afterAll(() => fed.dispose());

  it('reaches the table and its subscribers: put, patch, delete, invalidate', async () => {
    const { changes, socket } = follow(fed, '/Live/');
    await until('the snapshot', () => changes.length > 0);
    fed.say('put', 'a', { id: 'a', n: 1, note: 'x' });
    await fed.reads('a', 1);
    const stream = await fetch(`${fed.node.http}/Live/a`, {
      headers: { accept: 'text/event-stream' },
    });
    fed.say('patch', 'a', { n: 2 });
    await fed.reads('a', 2);
    expect((await read(fed.node, '/Live/a')).text).toContain('"note":"x"');
    fed.say('delete', 'a');
    await fed.reads('a', undefined);
    fed.say('put', 'b', { id: 'b', n: 5 });
    await fed.reads('b', 5);
    fed.say('invalidate', 'b');
    await fed.reads('b', undefined);
    expect(fed.origin.requests).toHaveLength(0);
    expect((await read(fed.node, '/Live/b')).text).toContain('"n":-1');
    await until('the events', () => changes.filter(({ type }) => type === 'put').length >= 3);
    const told = changes.filter(({ type }) => type !== 'snapshot').map((c) => [c.type, c.id]);
    expect(told.slice(0, 5)).toEqual([
      ['put', 'a'],
      [expect.stringMatching(/put|patch/), 'a'],
      ['delete', 'a'],
      ['put', 'b'],
      ['invalidate', 'b'],
    ]);
    const reader = stream.body?.getReader();
    let text = '';
    while (!text.includes('event: delete\ndata: {"type":"delete","table":"Live","id":"a"')) {
      const step = await reader?.read();
      if (step?.done !== false) break;
      text += Buffer.from(step.value).toString();
    }
    expect(text).toContain('"n":1');
    await reader?.cancel();
    socket.terminate();
  });

  it('keeps the table fresh beyond lifetimes while it is connected, and no longer when down', async () => {
    fed.say('put', 'a', { id: 'a', n: 1 });
    await fed.reads('a', 1);
    await pass(700);
    // More than twice the lifetime has passed, and nobody asks the origin.
    expect((await read(fed.node, '/Live/a')).cache).toMatch(/^millrace; hit/);
    expect(fed.origin.requests).toHaveLength(0);
    expect((await fed.health()).feeds.api).toMatchObject({ connected: true });
    fed.events.status = 503;
    fed.events.cut();
    await fed.connected(0);
    const health = await fed.health();
    expect(health.status).toBe('degraded');
    expect(health.feeds.api).toMatchObject({ connected: false, error: expect.any(String) });
    expect((await fetch(`${fed.node.admin}/health/ready`)).status).toBe(200);
    await until('the origin to be asked', async () => {
      await read(fed.node, '/Live/a');
      return fed.origin.requests.length > 0;
    });
  });

  it('goes on after a cut from the last event it applied, and misses nothing', async () => {
    for (let n = 1; n <= 20; n += 1) fed.say('put', `r${n}`, { id: `r${n}`, n });
    await fed.reads('r20', 20);
    const applied = fed.position;
    fed.events.greeting = fed.event('put', 'r21', { id: 'r21', n: 21 });
    fed.events.cut();
    await fed.reads('r21', 21);
    expect(fed.events.asked).toEqual([applied]);
    await fed.connected(1);
    await pass(400);
    // It resumed: what came before the cut is vouched for still.
    expect((await read(fed.node, '/Live/r1')).cache).toMatch(/^millrace; hit/);
    expect(fed.origin.requests).toHaveLength(0);
  });

  it('invalidates by group, and the whole table when nothing is named [RFC9875 §3]', async () => {
    fed.origin.script = (request) => {
      const id = request.path.split('/').pop() ?? '';
      const fields = { 'cache-groups': `"${id.slice(0, 1)}"`, 'cache-control': 'max-age=1000' };
      return behave.json({ id, n: 0 }, fields);
    };
    for (const id of ['a1', 'a2', 'b1']) await read(fed.node, `/Live/${id}`);
    fed.events.send('event: invalidate\ndata: {"group":"a"}\n\n');
    await fed.reads('a1', undefined);
    await fed.reads('a2', undefined);
    expect((await read(fed.node, '/Live/b1', 'only-if-cached')).status).toBe(200);
    expect((await read(fed.node, '/Live/a1')).cache).toMatch(/fwd=miss/);
    fed.events.send('event: invalidate\ndata: {}\n\n');
    await fed.reads('b1', undefined);
    await fed.reads('a1', undefined);
  });

  it('survives senseless events and refused rows', async () => {
    fed.events.send('event: put\ndata: not json\n\n');
    fed.events.send('event: put\ndata: {"value":{"n":1}}\n\n');
    fed.events.send('event: nonsense\ndata: {"id":"x"}\n\n');
    fed.say('put', 'wrong', { id: 'wrong', n: 'no number' });
    fed.say('put', 'right', { id: 'right', n: 3 });
    await fed.reads('right', 3);
    await fed.reads('wrong', undefined);
    expect(fed.events.asked).toEqual([]);
  });
});

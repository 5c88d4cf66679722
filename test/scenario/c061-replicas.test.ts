/** Replicas of an origin: real processes, one of which is killed while clients read. */
import { type ChildProcess, spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';
import { freePort } from '../support/ports.ts';

const ORIGIN = `
require('node:http').createServer((request, response) => {
  const name = process.env.NAME;
  if (request.url === '/healthz') return response.end('well');
  if (request.url.startsWith('/sick/')) { response.statusCode = name === 'a' ? 503 : 200; }
  response.setHeader('x-replica', name);
  response.setHeader('cache-control', 'max-age=60');
  if (!request.url.startsWith('/items/')) return response.end('page of ' + name);
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ id: request.url.slice(7), from: name }));
}).listen(Number(process.env.PORT), '127.0.0.1', () => console.log('listening'));
`;

const HEALTH = 'health: { path: /healthz, every: 200ms }\n';

class Origins {
  readonly ports = new Map<string, number>();
  readonly #processes = new Map<string, ChildProcess>();

  async start(name: string): Promise<void> {
    const port = this.ports.get(name) ?? (await freePort());
    this.ports.set(name, port);
    const env = { ...process.env, NAME: name, PORT: String(port) };
    const child = spawn(process.execPath, ['-e', ORIGIN], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#processes.set(name, child);
    await new Promise((resolve) => child.stdout?.once('data', resolve));
  }

  async kill(name: string): Promise<void> {
    const child = this.#processes.get(name);
    const gone = new Promise((resolve) => child?.once('exit', resolve));
    child?.kill('SIGKILL');
    await gone;
  }

  place(name: string): string {
    return `127.0.0.1:${this.ports.get(name)}`;
  }

  stop(): void {
    for (const child of this.#processes.values()) child.kill('SIGKILL');
  }
}

const SCHEMA = `
type Item @table @export(public: [read]) @sourcedFrom(origin: "shop", path: "/items/{id}") {
  id: ID @primaryKey
}
type Sticky @pages(origin: "sticky", path: "/sticky/*")
type Page @pages(origin: "shop", path: "/*")
`;

describe.each(['uws', 'node'])('replicas, %s engine', (engine) => {
  const origins = new Origins();
  let node: NodeProcess;
  let serial = 0;

  beforeAll(async () => {
    for (const name of ['a', 'b', 'c']) await origins.start(name);
    const urls = ['a', 'b', 'c'].map((name) => `  - http://${origins.place(name)}\n`).join('');
    const settings = `allowPrivate: true\nejection: { failures: 3, cooldown: 1s }\n`;
    node = await startNode({
      files: {
        'schema.graphql': SCHEMA,
        'origins/shop.yaml': `kind: http\nurl:\n${urls}${settings}${HEALTH}`,
        'origins/sticky.yaml': `kind: http\nurl:\n${urls}${settings}balance: key\n`,
      },
      env: { MILLRACE_HTTP_ENGINE: engine },
    });
  });
  afterAll(async () => {
    await node.dispose();
    origins.stop();
  });

  const read = async (target: string): Promise<Response> => {
    const response = await node.fetch(target);
    await response.arrayBuffer();
    return response;
  };
  const ejected = (name: string): Promise<number> =>
    node.metric('millrace_origin_replica_ejected', {
      origin: 'shop',
      replica: origins.place(name),
    });

  /** Reads new pages and records until `done`; the statuses which were no success. */
  async function load(done: () => boolean): Promise<{ failed: string[]; seen: Set<string> }> {
    const failed: string[] = [];
    const seen = new Set<string>();
    const client = async (kind: string): Promise<void> => {
      while (!done()) {
        serial += 1;
        const response = await read(`/${kind}/${serial}`);
        if (response.status !== 200) failed.push(`${kind} ${response.status}`);
        seen.add(response.headers.get('x-replica') ?? 'record');
      }
    };
    await Promise.all(['Item', 'page', 'page', 'Item'].map(client));
    return { failed, seen };
  }

  it('all get a share of pages and records', async () => {
    const end = serial + 60;
    const { failed, seen } = await load(() => serial >= end);
    expect(failed).toEqual([]);
    expect([...seen].sort()).toEqual(['a', 'b', 'c', 'record']);
    for (const name of ['a', 'b', 'c']) {
      const labels = { origin: 'shop', replica: origins.place(name), outcome: 'ok' };
      expect(await node.metric('millrace_origin_replica_requests_total', labels)).toBeGreaterThan(
        5,
      );
    }
  });

  it('hide that one is killed, and take it back when it lives again', async () => {
    let isOver = false;
    const loading = load(() => isOver);
    const from = serial;
    await until('some load', () => serial > from + 20);
    await origins.kill('b');
    await until('b being ejected', async () => (await ejected('b')) === 1);
    const killed = serial;
    await until('load without b', () => serial > killed + 40);
    await origins.start('b');
    await until('b being well', async () => (await ejected('b')) === 0);
    isOver = true;
    const { failed } = await loading;
    expect(failed).toEqual([]);
    // Not at once: one that has just failed is passed over for a moment, however well it is.
    await until('b being asked again', async () => {
      serial += 1;
      return (await read(`/page/${serial}`)).headers.get('x-replica') === 'b';
    });
  });

  it('are told of, one by one, by origin_status', async () => {
    const { origins: told } = await node.operate({ operation: 'origin_status' });
    const { replicas } = (told as Record<string, { replicas: Record<string, object> }>).shop ?? {};
    const places = ['a', 'b', 'c'].map((name) => origins.place(name));
    expect(Object.keys(replicas ?? {}).sort()).toEqual(places.sort());
    expect(replicas?.[origins.place('a')]).toMatchObject({ ejected: false, inFlight: 0 });
  });

  it('keep a page with one replica by its key', async () => {
    const hosts = async () => {
      const seen: string[] = [];
      for (let i = 0; i < 12; i += 1) {
        // Never stored, so that each is asked for anew.
        const response = await node.fetch(`/sticky/${i}`, { method: 'POST' });
        await response.arrayBuffer();
        seen.push(response.headers.get('x-replica') ?? '');
      }
      return seen;
    };
    const first = await hosts();
    expect(await hosts()).toEqual(first);
    expect(new Set(first).size).toBeGreaterThan(1);
  });

  it('are left out when they answer 503 again and again, and others do not', async () => {
    await until('a being ejected', async () => {
      serial += 1;
      await read(`/sick/${serial}`);
      return (await ejected('a')) === 1;
    });
    expect(await ejected('c')).toBe(0);
  });
});

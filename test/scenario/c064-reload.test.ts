/**
 * A node follows its files while it runs: whole or not at all, on every thread, and whatever is
 * wrong leaves the last good configuration in force.
 */
import { rmSync } from 'node:fs';
import { Agent, request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { behave, HttpOrigin, type SeenRequest } from '../support/http-origin.ts';
import { type NodeProcess, startNode, until, writeApp } from '../support/node-process.ts';

const SCHEMA = `
type Item @table @sourcedFrom(origin: "api", path: "/items/{id}") @cache(policy: "items")
  @export(public: [read, subscribe]) { id: ID @primaryKey, from: String }
type Page @pages(origin: "api", policy: "pages", path: "/p/*")
`;

const originFile = (origin: HttpOrigin): string =>
  `kind: http\nurl: ${origin.url}\nallowPrivate: true\nretries: 0\n`;

const policy = (seconds: number): string => `
freshness: { default: ${seconds}s, jitter: 0% }
client: { cacheControl: "max-age=${seconds}" }
`;

const named = (name: string) => (request: SeenRequest) =>
  behave.json({ id: request.path.split('/').at(-1), from: name });

interface Report {
  readonly outcome: string;
  readonly changes: readonly string[];
  readonly restarts: readonly string[];
  readonly problems: readonly { readonly file: string; readonly line: number }[];
}

const NODES = [
  { engine: 'uws', threads: '1' },
  { engine: 'uws', threads: '2' },
  { engine: 'node', threads: '1' },
] as const;

describe.each(NODES)('a reload of $threads threads of $engine', ({ engine, threads }) => {
  let first: HttpOrigin;
  let second: HttpOrigin;
  let node: NodeProcess;
  let serial = 0;

  beforeAll(async () => {
    first = await HttpOrigin.start(named('first'));
    second = await HttpOrigin.start(named('second'));
    node = await startNode({
      files: {
        'schema.graphql': SCHEMA,
        'origins/api.yaml': originFile(first),
        'cache-policies/items.yaml': policy(100),
        'cache-policies/pages.yaml': policy(100),
      },
      flags: ['--threads', threads],
      env: { MILLRACE_HTTP_ENGINE: engine },
    });
  });
  afterAll(async () => {
    await node.dispose();
    await first.close();
    await second.close();
  });

  const reload = (more: object = {}) =>
    node.operate({ operation: 'reload', ...more }) as unknown as Promise<Report>;
  const save = (files: Record<string, string>) => writeApp(files, node.folder);

  /** A key nobody asked for before, on a connection of its own: any thread may answer. */
  const fresh = (prefix: string) => {
    serial += 1;
    return get(`${prefix}${serial}`);
  };
  const get = (target: string) =>
    new Promise<{ status: number; headers: IncomingHttpHeaders; from: string }>(
      (resolve, reject) => {
        const agent = new Agent({ keepAlive: false });
        const asked = httpRequest(`${node.http}${target}`, { agent }, (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (chunk: string) => {
            text += chunk;
          });
          response.on('end', () => {
            const { from = '' } = JSON.parse(text) as { from?: string };
            resolve({ status: response.statusCode ?? 0, headers: response.headers, from });
          });
        });
        asked.on('error', reject).end();
      },
    );
  /** What so many connections are told, each once. */
  const told = async (prefix: string, what: (answer: Awaited<ReturnType<typeof get>>) => unknown) =>
    new Set(await Promise.all(Array.from({ length: 12 }, () => fresh(prefix).then(what))));
  const lifetime = ({ headers }: { headers: IncomingHttpHeaders }) => headers['cache-control'];

  it('changes nothing when nothing changed', async () => {
    expect(await reload()).toEqual({
      outcome: 'unchanged',
      changes: [],
      restarts: [],
      problems: [],
    });
  });

  it.each(['/Item/', '/p/'])('goes by a changed policy at %s, on every thread', async (prefix) => {
    expect(await told(prefix, lifetime)).toEqual(new Set(['max-age=100']));
    const name = prefix === '/p/' ? 'pages' : 'items';
    save({ [`cache-policies/${name}.yaml`]: policy(500) });

    const dry = await reload({ dry_run: true });
    expect(dry.outcome).toBe('checked');
    expect(dry.changes.join()).toContain('freshness.default: 100000 → 500000');
    expect(await told(prefix, lifetime)).toEqual(new Set(['max-age=100']));

    expect(await reload()).toEqual({ ...dry, outcome: 'applied' });
    expect(await told(prefix, lifetime)).toEqual(new Set(['max-age=500']));
  });

  it('asks a changed origin from then on, while calls under way end with the old', async () => {
    let release = () => {};
    const slow: HttpOrigin['script'] = (request) => (socket, seen) => {
      release = () => named('first')(request)(socket, seen);
    };
    first.script = slow;
    const asked = first.requests.length;
    const underWay = get('/Item/under-way');
    await until('the call', () => first.requests.length > asked);

    save({ 'origins/api.yaml': originFile(second) });
    expect((await reload()).changes).toEqual(['origins/api: url']);
    expect(await told('/Item/', ({ from }) => from)).toEqual(new Set(['second']));
    expect(await told('/p/', ({ from }) => from)).toEqual(new Set(['second']));
    release();
    expect((await underWay).from).toBe('first');
    expect(await node.metric('millrace_origin_requests_total', { outcome: 'ok' })).toBeGreaterThan(
      12,
    );
  });

  it('keeps the last good configuration when one file is wrong, and names the line', async () => {
    save({
      'cache-policies/items.yaml': policy(900),
      'cache-policies/pages.yaml': `${policy(900)}stael: { ifError: 1d }\n`,
    });
    const report = await reload();
    expect(report.outcome).toBe('refused');
    expect(report.problems).toMatchObject([{ file: 'cache-policies/pages.yaml', line: 4 }]);
    expect(await told('/Item/', lifetime)).toEqual(new Set(['max-age=500']));
  });

  it('obeys SIGHUP', async () => {
    save({ 'cache-policies/pages.yaml': policy(900) });
    node.process.kill('SIGHUP');
    await until('the log', () => node.stderr().includes('configuration reloaded'));
    await until('the policies', async () => {
      const seen = await told('/Item/', lifetime);
      return seen.size === 1 && seen.has('max-age=900');
    });
  });

  it('takes over code of origins, and refuses code that does not compile', async () => {
    save({
      'origins/coded.js': 'import { defineOrigin } from "millrace";\nexport const o = {;\n',
      'schema.graphql': SCHEMA,
    });
    // Nobody uses it yet: a table over it needs a restart, and is judged then.
    expect((await reload()).restarts).toEqual(['origins/coded is new']);
    rmSync(path.join(node.folder, 'origins/coded.js'));
  });

  it('lets roles grant and take away', async () => {
    save({ 'roles.yaml': 'anonymous: { tables: { Item: { read: false } } }\n' });
    expect((await reload()).changes).toEqual(['roles.yaml: anonymous']);
    expect(await told('/Item/', ({ status }) => status)).toEqual(new Set([401]));
    save({ 'roles.yaml': '' });
    expect((await reload()).outcome).toBe('applied');
    expect(await told('/Item/', ({ status }) => status)).toEqual(new Set([200]));
  });

  it('takes over the level of the log', async () => {
    const tellings = () => node.stderr().split('configuration reloaded').length;
    const before = tellings();
    save({ 'millrace.yaml': 'log: { level: error }\nlimits: { writeQueueAgeMsMax: 60s }\n' });
    const { changes, restarts } = await reload();
    expect([changes, restarts]).toEqual([['log.level: info → error'], []]);
    expect(tellings()).toBe(before);
    save({ 'millrace.yaml': 'limits: { writeQueueAgeMsMax: 60s }\n' });
    expect((await reload()).changes).toEqual(['log.level: error → info']);
    await until('the log to speak again', () => tellings() === before + 1);
  });

  it('says what needs a restart, and does the rest', async () => {
    save({
      'schema.graphql': `${SCHEMA}type Other @table { id: ID @primaryKey }\n`,
      'millrace.yaml': 'limits: { writeQueueAgeMsMax: 61s }\n',
      'cache-policies/items.yaml': policy(700),
    });
    const report = await reload();
    expect(report.outcome).toBe('applied');
    expect(report.restarts).toEqual([
      'millrace.yaml: limits.writeQueueAgeMsMax',
      'schema.graphql: the table Other is new',
    ]);
    expect(await told('/Item/', lifetime)).toEqual(new Set(['max-age=700']));
    // Still true the next time.
    expect((await reload()).restarts).toHaveLength(2);
  });
});

describe('millrace dev', () => {
  it('takes over a policy without dropping its subscribers', async () => {
    const origin = await HttpOrigin.start(named('first'));
    const node = await startNode({
      command: 'dev',
      files: {
        'schema.graphql': SCHEMA,
        'origins/api.yaml': originFile(origin),
        'cache-policies/items.yaml': policy(100),
        'cache-policies/pages.yaml': policy(100),
      },
    });
    try {
      const leaving = new AbortController();
      const headers = { accept: 'text/event-stream' };
      const stream = await node.fetch('/Item/', { headers, signal: leaving.signal });
      let isOpen = true;
      const reading = (async () => {
        for await (const _ of stream.body ?? []);
      })().catch(() => undefined);
      void reading.then(() => {
        isOpen = false;
      });
      writeApp({ 'cache-policies/items.yaml': policy(300) }, node.folder);
      await until('the new policy', async () => {
        const response = await node.fetch(`/Item/${performance.now()}`);
        return response.headers.get('cache-control') === 'max-age=300';
      });
      expect(node.stderr()).toMatch(/freshness\.default: 100000 → 300000/);
      writeApp({ 'cache-policies/items.yaml': 'freshness: { defautl: 1s }\n' }, node.folder);
      await until('the problem', () => node.stderr().includes('cache-policies/items.yaml:1:'));
      expect((await node.fetch('/Item/after')).status).toBe(200);
      expect(isOpen).toBe(true);
      leaving.abort();
      await reading;
    } finally {
      await node.dispose();
      await origin.close();
    }
  });
});

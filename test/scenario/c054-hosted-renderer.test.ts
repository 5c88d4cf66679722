/** A renderer that the node runs itself, by `run:` of its origin, as records and pages see it. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type AppFiles, type NodeProcess, startNode, until } from '../support/node-process.ts';

const RENDERER = `
import { createServer } from 'node:http';
import { spawn } from 'node:child_process';
const port = Number(process.argv[2]);
if (port !== Number(process.env.PORT)) throw new Error('PORT is not the port');
const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
createServer((request, response) => {
  if (request.url === '/api/crash') process.exit(3);
  if (request.url === '/api/flood') for (let n = 0; n < 20000; n += 1) console.log('flood ' + n);
  if (request.url.startsWith('/slow')) {
    console.log('asked for /slow');
    return setTimeout(() => response.end('slow page'), 1500);
  }
  const facts = {
    pid: process.pid, child: child.pid, cwd: process.cwd(), url: request.url,
    told: Object.entries(process.env).filter(([name]) => name.startsWith('MILLRACE_')),
  };
  console.log('rendering ' + request.url);
  console.error('noticed ' + request.url);
  if (!request.url.startsWith('/api/')) return response.end('page ' + request.url);
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(facts));
}).listen(port, '127.0.0.1');
`;

const FILES: AppFiles = {
  'schema.graphql': `
    type Fact @table @sourcedFrom(origin: "web", path: "/api/{id}") @cache(policy: "never")
      @export(public: [read]) { id: ID @primaryKey }
    type Page @pages(origin: "web", path: "/*")
  `,
  'origins/web.yaml': [
    'kind: http',
    `run: node renderer.mjs \${port}`,
    'retries: 0',
    'breaker: { failures: 5, cooldown: 100ms }\n',
  ].join('\n'),
  'renderer.mjs': RENDERER,
};

interface Facts {
  readonly pid: number;
  readonly child: number;
  readonly cwd: string;
  readonly told: readonly (readonly [string, string])[];
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

const facts = async (from: NodeProcess): Promise<Facts> => {
  const response = await from.fetch('/Fact/facts');
  if (!response.ok) throw new Error(`${response.status}`);
  return (await response.json()) as Facts;
};
const health = async (of: NodeProcess) =>
  (await (await fetch(`${of.admin}/health`)).json()) as {
    status: string;
    renderers: { web: { kind: string; restarts: number } };
  };

describe.each(['1', '2'])('a renderer that a node of %s threads runs', (threads) => {
  let running: NodeProcess;
  beforeAll(async () => {
    running = await startNode({ files: FILES, flags: ['--threads', threads] });
  });
  afterAll(() => running.dispose());

  it('is there when the node is ready', async () => {
    const told = await facts(running);
    // It hears where the node is, and none of the node's secrets.
    const isTold = [['MILLRACE_URL', running.http]];
    expect(told).toMatchObject({ cwd: running.folder, told: isTold });
    expect(await (await running.fetch('/some/page')).text()).toBe('page /some/page');
    expect(await health(running)).toMatchObject({
      status: 'ready',
      renderers: { web: { kind: 'up' } },
    });
    expect(await running.metric('millrace_renderer_up', { origin: 'web' })).toBe(1);
  });

  it('has its output in the log of the node, line by line, with its name', async () => {
    await facts(running);
    const said = (text: string) =>
      running
        .stderr()
        .split('\n')
        .filter((line) => line.includes(text))
        .map((line) => JSON.parse(line));
    await until('its lines', () => said('noticed').length > 0 && said('rendering').length > 0);
    expect(said('rendering')[0]).toMatchObject({
      origin: 'web',
      from: 'stdout',
      msg: 'rendering /api/facts',
    });
    expect(said('noticed')[0]).toMatchObject({ origin: 'web', from: 'stderr' });
  });

  it('is started again when it crashes, with all that it started gone', async () => {
    const before = await facts(running);
    await running.fetch('/Fact/crash').catch(() => undefined);
    const after = await until('the new renderer', () => facts(running).catch(() => undefined));
    expect(after.pid).not.toBe(before.pid);
    await until('what it started gone', () => !isAlive(before.child));
    expect((await health(running)).renderers.web).toMatchObject({ kind: 'up', restarts: 1 });
    expect(await running.metric('millrace_renderer_restarts_total', { origin: 'web' })).toBe(1);
  });

  it('does not drown the log', async () => {
    await running.fetch('/Fact/flood');
    // What was left out is said with the first line a second later.
    await until('the count of the others', async () => {
      await running.fetch('/Fact/facts');
      return running.stderr().includes('lines more, not logged');
    });
    expect(running.stderr().match(/flood \d+/g)?.length).toBeLessThan(20_000);
  });
});

describe('a renderer that the node runs', () => {
  let node: NodeProcess | undefined;
  afterEach(() => node?.dispose());

  const start = async (threads = '1', files: AppFiles = FILES) => {
    node = await startNode({ files, flags: ['--threads', threads] });
    return node;
  };

  it.each(['1', '2'])(
    'finishes the page it is at when a node of %s threads stops',
    async (threads) => {
      const running = await start(threads);
      const { pid } = await facts(running);
      const page = running.fetch('/slow').then((response) => response.text());
      await until('the request', () => running.stderr().includes('asked for /slow'));
      const stopped = running.stop('SIGTERM');
      expect(await page).toBe('slow page');
      await stopped;
      await until('the renderer gone', () => !isAlive(pid));
    },
  );

  it('can be killed again and again while its pages are read: they are served stale', async () => {
    const running = await start('2', {
      ...FILES,
      'cache-policies/site.yaml':
        'freshness: { default: 0s }\nstale: { whileRevalidate: 0s, ifError: 1h }\n',
      'schema.graphql':
        FILES['schema.graphql']?.replace('path: "/*"', 'policy: "site", path: "/*"') ?? '',
    });
    await until('a stored page', async () => {
      const response = await running.fetch('/some/page');
      await response.text();
      return response.headers.get('cache-status')?.includes('hit') === true || response.ok;
    });
    let isReading = true;
    const failures: number[] = [];
    const reader = async () => {
      while (isReading) {
        const response = await running.fetch('/some/page');
        if ((await response.text()) !== 'page /some/page') failures.push(response.status);
      }
    };
    const readers = Array.from({ length: 8 }, reader);
    for (let kill = 1; kill <= 3; kill += 1) {
      const { pid } = await until('the renderer', () => facts(running).catch(() => undefined));
      process.kill(pid, 'SIGKILL');
      await until('the next start', async () => {
        return (await health(running)).renderers.web.restarts >= kill;
      });
    }
    isReading = false;
    await Promise.all(readers);
    expect(failures).toEqual([]);
  });

  it.each(['SIGTERM', 'SIGKILL'] as const)(
    'is gone after the node was ended by %s',
    async (signal) => {
      const running = await start();
      const { pid, child } = await facts(running);
      await running.stop(signal);
      await until('the old one gone', () => !isAlive(pid) && !isAlive(child));
    },
  );

  it('leaves the node serving when it never works, with pauses between its starts', async () => {
    const running = await start('1', { ...FILES, 'renderer.mjs': 'process.exit(7);' });
    expect((await running.fetch('/Fact/facts')).status).toBe(502);
    const report = await until('two restarts', async () => {
      const now = await health(running);
      return now.renderers.web.restarts > 1 ? now : undefined;
    });
    expect(report.status).toBe('degraded');
    expect(report.renderers.web.restarts).toBeLessThan(10);
    expect(running.stderr()).toContain('it ended with code 7');
  });

  it('is killed and started again when it no longer answers its health path', async () => {
    const files = {
      ...FILES,
      'origins/web.yaml': `${FILES['origins/web.yaml']}health: { path: /api/well, every: 100ms }\n`,
    };
    const running = await start('1', files);
    const { pid } = await facts(running);
    process.kill(pid, 'SIGSTOP');
    const after = await until(
      'another renderer',
      async () => {
        const told = await facts(running).catch(() => undefined);
        return told !== undefined && told.pid !== pid ? told : undefined;
      },
      30_000,
    );
    await until('the one that hung gone', () => !isAlive(pid));
    expect(after.pid).not.toBe(pid);
  }, 40_000);
});

/**
 * What code may ask of the node it runs in, and what it cannot do to it: end the process, hang for
 * others, or be heard of after it was given up. On both engines.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ADMIN,
  type NodeProcess,
  runCommand,
  startNode,
  writeApp,
} from '../support/node-process.ts';
import { ENGINES, expectProblem, JSON_BODY, json } from '../support/scenario-apps.ts';

const SCHEMA = `
type Item @table @export(public: [read, insert, update]) { id: ID @primaryKey, n: Int }
`;
const RESOURCES = `
import { Resource, auth, getResponse, resources, server, tables, transaction } from 'millrace';
export class Facts extends Resource {
  static public = ['read'];
  static path = '/facts/:what';
  static async get(target, context) {
    switch (target.params.what) {
      case 'config': return server.config;
      case 'name': return { name: server.hostname, index: server.workerIndex };
      case 'match': {
        const paths = ['/Item/a/b?x', '/facts/name', '/nothing'];
        const found = paths.map((path) => resources.getMatch(path));
        return found.map((one) => one && [one.Resource.name, one.path, one.relativeURL]);
      }
      case 'auth': {
        const right = await auth('admin', target.get('password'));
        return { right: right?.username ?? null, wrong: await auth('admin', 'x') ?? null };
      }
      case 'hints':
        context.sendEarlyHints('</style.css>; rel=preload', { 'x-more': '1' });
        getResponse().headers.set('x-answer', 'set');
        return { same: context.data === context.body };
    }
  }
}
export class Write extends Resource {
  static public = ['insert'];
  static async post(target, body, context) {
    await tables.Item.put('first', { n: body.n });
    if (body.abort) context.transaction.abort();
    if (body.commit) {
      await context.transaction.commit();
      throw Object.assign(new Error('after'), { statusCode: 409 });
    }
    return transaction(context, async (txn) => {
      if (!body.abort) await tables.Item.put('second', { n: body.n });
      return { isSame: txn === context.transaction, at: txn.timestamp > 0 };
    });
  }
}
export class Bad extends Resource {
  static public = ['read'];
  static loadAsInstance = false;
  async get(target) {
    switch (target.id) {
      case 'exit': process.exit(3); break;
      case 'abort': process.abort(); break;
      case 'kill': process.kill(process.pid, 'SIGTERM'); break;
      case 'alive': return process.kill(process.pid, 0);
      case 'later': await new Promise((resolve) => setTimeout(resolve, 5)); process.exit(4); break;
      case 'timer': setTimeout(() => process.exit(5), 5); return { later: true };
      case 'never': return new Promise(() => undefined);
      case 'reject': void Promise.reject(new Error('nobody waits')); return { rejected: true };
      case 'throw': throw 'text';
      case 'throwsNull': throw null;
      case 'deep': { const deep = () => deep() + 1; return deep(); }
      case 'cycle': { const cycle = {}; cycle.self = cycle; return cycle; }
    }
  }
}
`;

describe.each(ENGINES)('code of an application (%s)', (engine) => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startNode({
      files: {
        'schema.graphql': SCHEMA,
        'resources.js': RESOURCES,
        'millrace.yaml': 'limits: { resourceMsMax: 4s, writeQueueAgeMsMax: 60s }\n',
      },
      env: { MILLRACE_HTTP_ENGINE: engine },
    });
  });
  afterAll(() => node?.dispose());
  const fact = async (what: string) => json(await node.fetch(`/facts/${what}`));
  const write = (body: object) =>
    node.fetch('/Write', { method: 'POST', headers: JSON_BODY, body: JSON.stringify(body) });

  it('is told of the node, but no secrets', async () => {
    const config = (await fact('config')) as Record<string, Record<string, unknown>>;
    expect(config.http).toMatchObject({ engine });
    expect(JSON.stringify(config)).not.toContain(ADMIN.password);
    expect(config.admin).not.toHaveProperty('password');
    expect(await fact('name')).toEqual({ name: expect.any(String), index: 0 });
    expect(await fact('match')).toEqual([
      ['Item', 'Item', '/a/b'],
      ['Facts', 'facts/name', ''],
      null,
    ]);
  });

  it('verifies credentials', async () => {
    const password = encodeURIComponent(ADMIN.password);
    expect(await fact(`auth?password=${password}`)).toEqual({ right: 'admin', wrong: null });
  });

  it('may say something ahead of its answer, and beside it', async () => {
    const response = await node.fetch('/facts/hints');
    expect(response.headers.get('x-answer')).toBe('set');
    expect(await json(response)).toEqual({ same: true });
  });

  it('may commit or abort the writes of its call', async () => {
    expect(await json(await write({ n: 1 }))).toEqual({ isSame: true, at: true });
    expect(await json(await node.fetch('/Item/second'))).toMatchObject({ n: 1 });
    expect((await write({ n: 2, commit: true })).status).toBe(409);
    expect(await json(await node.fetch('/Item/first'))).toMatchObject({ n: 2 });
    expect((await write({ n: 3, abort: true })).status).toBe(200);
    expect(await json(await node.fetch('/Item/first'))).toMatchObject({ n: 2 });
  });

  it.each(['exit', 'abort', 'kill', 'later', 'throw', 'throwsNull', 'deep', 'cycle'])(
    'fails its own request only (%s)',
    async (what) => {
      await expectProblem(await node.fetch(`/Bad/${what}`), 500, 'INTERNAL');
      expect((await node.fetch('/Item/?limit(1)')).status).toBe(200);
    },
  );

  it('is given up when it does not answer in time, and others are not', async () => {
    const hanging = Array.from({ length: 20 }, () => node.fetch('/Bad/never'));
    expect((await node.fetch('/Bad/alive')).status).toBe(200);
    for (const response of await Promise.all(hanging)) {
      await expectProblem(response, 504, 'DEADLINE_EXCEEDED');
    }
  });

  it('is heard of in the log when it fails where nobody waits', async () => {
    expect(await json(await node.fetch('/Bad/timer'))).toEqual({ later: true });
    expect(await json(await node.fetch('/Bad/reject'))).toEqual({ rejected: true });
    await expect.poll(() => node.stderr()).toContain('process.exit() is not for code');
    await expect.poll(() => node.stderr()).toContain('nobody waits');
    expect((await node.fetch('/Item/?limit(1)')).status).toBe(200);
    expect(node.process.exitCode).toBeNull();
  });
});

describe('code that would end the process while it is loaded', () => {
  it('is a mistake of its line', async () => {
    const folder = writeApp({ 'schema.graphql': SCHEMA, 'resources.js': '\nprocess.exit(0);\n' });
    const { code, stderr } = await runCommand(['check', folder], { env: { NO_COLOR: '1' } });
    expect(code).toBe(2);
    expect(stderr).toContain('resources.js:2');
    expect(stderr).toContain('process.exit()');
  });
});

const FAULT = `
import { Resource } from 'millrace';
export class Fault extends Resource {
  static public = ['read'];
  static get() {
    // As if the node itself had failed: no line of the application is to blame.
    const error = Object.assign(new Error('broken'), { stack: 'Error: broken\\n    at inside' });
    setTimeout(() => Promise.reject(error), 20);
    return {};
  }
}
`;

describe.each([
  ['uws', '1'],
  ['uws', '2'],
  ['node', '1'],
] as const)('a fault of the node itself (%s, --threads %s)', (engine, threads) => {
  it('ends the process at once, also while it writes', async () => {
    const node = await startNode({
      files: { 'schema.graphql': SCHEMA, 'resources.js': FAULT },
      env: { MILLRACE_HTTP_ENGINE: engine },
      flags: ['--threads', threads],
    });
    try {
      const writes = Array.from({ length: 100 }, (_, n) =>
        node.put(`/Item/${n}`, { n }).catch(() => undefined),
      );
      const fault = node.fetch('/Fault/').catch(() => undefined);
      await node.exited;
      expect(node.process.signalCode).toBe('SIGKILL');
      await expect.poll(() => node.stderr()).toContain('the node broke one of its own assumptions');
      await Promise.all([...writes, fault]);
    } finally {
      await node.dispose();
    }
  });
});

/** Application code behind URLs on a real node: verbs, answers, access, failures, transactions. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ADMIN,
  type NodeProcess,
  runCommand,
  startNode,
  until,
  writeApp,
} from '../support/node-process.ts';
import { expectProblem, JSON_BODY, json } from '../support/scenario-apps.ts';

const APP = fileURLToPath(new URL('../fixtures/resource-app/', import.meta.url));
const read = (file: string) => [file, readFileSync(APP + file, 'utf8')] as const;
const FILES = ['schema.graphql', 'resources/main.ts', 'resources/lib/greet.ts'].map(read);

const AS_ADMIN = {
  authorization: `Basic ${Buffer.from(`${ADMIN.username}:${ADMIN.password}`).toString('base64')}`,
};

describe.each(['1', '2'])('resources on %s threads', (threads) => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startNode({
      files: {
        ...Object.fromEntries(FILES),
        'millrace.yaml': 'limits: { resourceMsMax: 300ms }\n',
      },
      flags: ['--threads', threads],
    });
  });
  afterAll(() => node.dispose());

  it('serves an exported class under its name, with id, query and collection', async () => {
    expect(await json(await node.fetch('/Hello/a%20b?name=Ada'))).toEqual({
      greeting: 'hello Ada',
      id: 'a b',
      isCollection: false,
    });
    expect(await json(await node.fetch('/Hello/'))).toMatchObject({ isCollection: true });
  });

  it('answers with the status, fields and content that a method returns', async () => {
    const posted = await node.fetch('/Hello', { method: 'POST', headers: JSON_BODY, body: '[1]' });
    expect(posted.status).toBe(202);
    expect(posted.headers.get('x-seen')).toBe('yes');
    expect(await posted.json()).toEqual({ body: [1] });
    const response = await node.fetch('/Web/response');
    expect([response.status, await response.text()]).toEqual([203, '<p>hi</p>']);
    expect(await json(await node.fetch('/Web/rows'))).toEqual([{ n: 1 }, { n: 2 }]);
    const typed = await node.fetch('/Web/typed');
    expect([typed.headers.get('content-type'), await typed.text()]).toEqual(['text/csv', 'a,b']);
    expect((await node.fetch('/Web/none')).status).toBe(404);
  });

  it('adds what a method said by its context', async () => {
    const { headers } = await node.fetch('/Dated');
    expect(headers.get('x-said')).toBe('yes');
    expect(headers.get('last-modified')).toBe('Thu, 01 Jan 2026 00:00:00 GMT');
  });

  it('says 304 to a client that holds the same bytes [RFC9110 §13.1.2]', async () => {
    const first = await node.fetch('/Hello/a');
    const etag = first.headers.get('etag') ?? '';
    const again = await node.fetch('/Hello/a', { headers: { 'if-none-match': etag } });
    expect(again.status).toBe(304);
  });

  it('is closed to anonymous clients unless class or hook says so', async () => {
    await expectProblem(await node.fetch('/Closed'), 401, 'AUTHENTICATION_REQUIRED');
    expect(await json(await node.fetch('/Closed', { headers: AS_ADMIN }))).toEqual({
      user: ADMIN.username,
    });
    await expectProblem(await node.fetch('/Guarded/x'), 401, 'AUTHENTICATION_REQUIRED');
    expect(await json(await node.fetch('/Guarded/open'))).toEqual({ id: 'open' });
    await expectProblem(
      await node.fetch('/Hello/a', { method: 'PUT', body: '{}', headers: JSON_BODY }),
      405,
      'METHOD_NOT_ALLOWED',
    );
  });

  it('turns what a method throws into the answer, and hides its mistakes', async () => {
    const refused = await expectProblem(await node.fetch('/Web/thrown'), 418, 'RESOURCE_REFUSED');
    expect(refused.detail).toBe('gone fishing');
    expect((await node.fetch('/Web/response-thrown')).status).toBe(451);
    const fault = await expectProblem(await node.fetch('/Web/bug'), 500, 'INTERNAL');
    expect(fault.detail).toBeUndefined();
    await until('the log line', () => /"file":"resources\/main.ts","line":\d+/.test(node.stderr()));
  });

  it('gives up a method that never resolves, and lives on', async () => {
    await expectProblem(await node.fetch('/Web/hang'), 504, 'DEADLINE_EXCEEDED');
    expect((await node.fetch('/Web/late')).status).toBe(200);
    expect((await node.fetch('/Web/unawaited')).status).toBe(200);
    await until(
      'both logged',
      () => /late mistake/.test(node.stderr()) && /nobody waits/.test(node.stderr()),
    );
    expect((await node.fetch('/Hello')).status).toBe(200);
  });

  it('commits the writes of a request together, and none when it throws', async () => {
    const put = await node.put('/Web/n1', { text: 'good' });
    expect([put.status, await put.json()]).toEqual([200, { own: { id: 'n1', text: 'good' } }]);
    expect((await node.put('/Web/n2', { text: 'bad' })).status).toBe(409);
    expect((await node.fetch('/Note/n2')).status).toBe(404);
    expect(await json(await node.fetch('/Note/n1'))).toEqual({
      id: 'n1',
      text: 'good',
      shouted: 'GOOD',
    });
  });

  it('leaves the methods of a table which a class does not override as they are', async () => {
    expect((await node.put('/Note/n3', { text: 'x' })).status).toBe(201);
    const rows = (await json(await node.fetch('/Note/?text=x'))) as unknown[];
    expect(rows).toEqual([{ id: 'n3', text: 'x' }]);
  });

  it('runs methods of an instance over a table with its own access', async () => {
    expect((await node.put('/Secret/s', { text: 'psst' }, AS_ADMIN)).status).toBe(201);
    expect((await node.fetch('/Secret/s')).status).toBe(401);
    expect(await json(await node.fetch('/Upper/s'))).toEqual({ text: 'PSST' });
  });

  it('finds resources by static path and in exported objects', async () => {
    expect(await json(await node.fetch('/shop/a/widgets/7'))).toEqual({ shop: 'a', id: '7' });
    expect((await node.fetch('/shop/a/widgets/7/8')).status).toBe(404);
    expect(await json(await node.fetch('/api/Inner'))).toBe('inner');
  });

  it('runs handlers of server.http around the answers below their path', async () => {
    await node.put('/Note/h', { text: 'x' });
    for (const target of ['/Note/h', '/Note/?text=x', '/Note/nothing']) {
      expect((await node.fetch(target)).headers.get('x-around')).toBe('GET');
    }
    const stopped = await node.fetch('/Note/h', { headers: { 'x-stop': '1' } });
    expect([stopped.status, await stopped.text()]).toEqual([403, 'stopped']);
    expect((await node.fetch('/Hello')).headers.get('x-around')).toBeNull();
    const head = await node.fetch('/Note/h', { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
  });

  it('searches a table by conditions, order and window', async () => {
    for (const n of [1, 2, 3, 4, 5]) {
      const text = n === 1 ? 'zero' : 'x';
      expect((await node.put(`/Note/q${n}`, { text, n, tag: 'find' })).status).toBe(201);
    }
    expect(await json(await node.fetch('/Find?tag=find'))).toEqual([
      { id: 'q4', n: 4 },
      { id: 'q3', n: 3 },
      { id: 'q2', n: 2 },
    ]);
    const passedOn = '/Note/?tag=find&n=gt=3&sort(-n)&select(id)';
    expect(await json(await node.fetch(passedOn))).toEqual(['q5', 'q4']);
    await expectProblem(await node.fetch('/Note/?nothing=1'), 400, 'QUERY_INVALID');
  });

  it('follows the changes of a table, and ends with its client', async () => {
    const leaving = new AbortController();
    const headers = { accept: 'text/event-stream' };
    const stream = await node.fetch('/Changes?new', { headers, signal: leaving.signal });
    expect(stream.headers.get('content-type')).toBe('text/event-stream');
    await node.put('/Note/followed', { text: 'x' });
    let text = '';
    for await (const chunk of stream.body ?? []) {
      text += Buffer.from(chunk).toString();
      if (text.includes('data:')) break;
    }
    expect(text).toContain('data: {"type":"put","id":"followed","retained":false}');
    leaving.abort();
    await until('the end of the subscription', async () => {
      return (await node.metric('millrace_subscriptions', { protocol: 'code' })) === 0;
    });
  });

  it('makes a table a cache over a source given by code', async () => {
    const first = await json(await node.fetch('/Rate/eur'));
    const again = await node.fetch('/Rate/eur');
    expect(again.headers.get('cache-status')).toMatch(/^millrace; hit/);
    expect(await json(again)).toEqual(first);
  });
});

describe('an application written for Harper', () => {
  it('finds its resources.js, and this installation under the names it knows', async () => {
    const node = await startNode({
      files: {
        'schema.graphql': 'type Dog @table @export { id: ID @primaryKey, name: String }',
        'resources.js': `
          import { Resource, tables } from 'harperdb';
          export class Dogs extends tables.Dog {
            static loadAsInstance = false;
            get(target) { target.checkPermission = false; return super.get(target); }
          }
          export class Bark extends Resource {
            allowCreate() { return true; }
            post(data) { return { said: data.word, by: this.getId() }; }
          }`,
      },
    });
    try {
      expect((await node.put('/Dog/rex', { name: 'Rex' }, AS_ADMIN)).status).toBe(201);
      expect(await json(await node.fetch('/Dogs/rex'))).toEqual({ id: 'rex', name: 'Rex' });
      const post = { method: 'POST', headers: JSON_BODY, body: '{"word":"wuff"}' };
      expect(await json(await node.fetch('/Bark/rex', post))).toEqual({ said: 'wuff', by: 'rex' });
    } finally {
      await node.dispose();
    }
  });
});

describe('check', () => {
  it('says where a resource does not compile', async () => {
    const folder = writeApp({ 'resources/broken.ts': 'export class A {\n  static get( { }\n}\n' });
    const { code, stderr } = await runCommand(['check', folder]);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/resources\/broken.ts:3/)]);
  });

  it('names a path that two classes claim', async () => {
    const twice = "import { Resource } from 'millrace'; export class A extends Resource {}";
    const folder = writeApp({ 'resources/a.ts': twice, 'resources/b.ts': twice });
    const { code, stderr } = await runCommand(['check', folder]);
    expect([code, stderr]).toEqual([2, expect.stringContaining('two resources')]);
  });
});

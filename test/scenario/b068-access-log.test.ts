/**
 * The access log: one line a request with verdict and request id, whole whatever a client sends,
 * without credentials, on every thread, and in a new file after SIGHUP.
 */
import { readFileSync, renameSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { behave, HttpOrigin } from '../support/http-origin.ts';
import { Live } from '../support/live-client.ts';
import { ADMIN, type NodeProcess, startNode, until } from '../support/node-process.ts';

const CREDENTIALS = Buffer.from(`${ADMIN.username}:${ADMIN.password}`).toString('base64');
const NODES = [
  { engine: 'uws', threads: '2', format: 'json' },
  { engine: 'node', threads: '1', format: 'combined' },
] as const;

describe.each(NODES)('the access log ($format, $engine, $threads)', (setting) => {
  const { engine, threads, format } = setting;
  let origin: HttpOrigin;
  let node: NodeProcess;

  beforeAll(async () => {
    origin = await HttpOrigin.start(({ path: asked }) =>
      asked.startsWith('/p/')
        ? behave.answer(
            200,
            { 'cache-control': 'max-age=60', 'x-request-id': 'of-the-origin' },
            '<p>page</p>',
          )
        : behave.json({ id: 'a' }),
    );
    node = await startNode({
      files: {
        'schema.graphql': `
type Item @table @sourcedFrom(origin: "web", path: "/items/{id}") @export(public: [read])
  { id: ID @primaryKey }
type Note @table @export { id: ID @primaryKey }
type Page @pages(origin: "web", path: "/p/*")
`,
        'origins/web.yaml': `kind: http\nurl: ${origin.url}\nallowPrivate: true\nretries: 0\n`,
        'millrace.yaml': `accessLog: { file: access.log, format: ${format} }\n`,
      },
      flags: ['--threads', threads],
      env: { MILLRACE_HTTP_ENGINE: engine },
    });
  });
  afterAll(async () => {
    await node.dispose();
    await origin.close();
  });

  const file = () => path.join(node.folder, 'access.log');
  const lines = () =>
    readFileSync(file(), 'utf8')
      .split('\n')
      .filter((line) => line !== '');
  const lineWith = (text: string) =>
    until(`a line with ${text}`, () => lines().find((line) => line.includes(text)));

  it('has a line for each write on a socket, too', async () => {
    const live = await new Live(`${node.ws}/live`, {
      authorization: `Basic ${CREDENTIALS}`,
    }).opened();
    expect(await live.ask({ put: '/Note/of-a-socket', value: {} })).toMatchObject({ type: 'ack' });
    live.socket.terminate();
    const line = await lineWith('/Note/of-a-socket');
    if (format === 'json') {
      const { method, principal, status } = JSON.parse(line);
      expect([method, principal, Math.floor(status / 100)]).toEqual(['PUT', ADMIN.username, 2]);
    } else expect(line).toMatch(/ - admin \[.*"PUT \/Note\/of-a-socket HTTP\/1\.1" 2\d\d /);
  });

  it('has a line for each request, with the verdict, who asked and its id', async () => {
    const headers = { 'x-request-id': 'mine-1', authorization: `Basic ${CREDENTIALS}` };
    const answer = await node.fetch('/Item/a', { headers });
    expect(answer.headers.get('x-request-id')).toBe('mine-1');
    const line = await lineWith('mine-1');
    if (format === 'json') {
      expect(JSON.parse(line)).toMatchObject({
        ...{ method: 'GET', url: '/Item/a', status: 200, bytes: 10, principal: ADMIN.username },
        ...{ requestId: 'mine-1', verdict: expect.stringMatching(/^millrace; fwd=uri-miss/) },
        ...{ client: expect.stringMatching(/127\.0\.0\.1/), durationMs: expect.any(Number) },
      });
    } else {
      const when = /\[\d\d\/\w{3}\/\d{4}:[\d:]{8} \+0000\]/.source;
      const request = '"GET /Item/a HTTP/1\\.1" 200 10 "-" ';
      expect(line).toMatch(new RegExp(`^\\S*127\\.0\\.0\\.1 - admin ${when} ${request}`));
    }
  });

  it('takes the id of a trace, makes one for what is not sane, and hands it on', async () => {
    const trace = '0af7651916cd43dd8448eb211c80319c';
    const traceparent = `00-${trace}-b7ad6b7169203331-01`;
    const traced = await node.fetch('/Item/a', { headers: { traceparent } });
    expect(traced.headers.get('x-request-id')).toBe(trace);
    const odd = { 'x-request-id': `"${'x'.repeat(200)}` };
    const made = (await node.fetch('/Item/a', { headers: odd })).headers.get('x-request-id');
    expect(made).toMatch(/^[\da-f-]{36}$/);
    const posted = await node.fetch('/p/form', { method: 'POST', body: 'a=1' });
    await posted.text();
    const asked = origin.requests.find((one) => one.method === 'POST');
    expect(asked?.headers.get('x-request-id')).toBe(posted.headers.get('x-request-id'));
  });

  it.each(['/Item', '/p'])('asks origins of %s under an id that no client chose', async (under) => {
    const name = `${under.slice(1)}-${format}`;
    const idAt = (target: string) =>
      origin.requests
        .filter((one) => one.path.includes(target))
        .map((one) => one.headers.get('x-request-id'));
    const answers = [0, 1, 2].map(() => node.fetch(`${under}/herd-${name}`));
    const own = (await Promise.all(answers)).map((answer) => answer.headers.get('x-request-id'));
    const asked = idAt(`herd-${name}`);
    expect(asked.length).toBeGreaterThan(0);
    expect(asked.filter((id) => !own.includes(id ?? null))).toEqual([]);
    const headers = { 'x-request-id': `chosen${under}` };
    await (await node.fetch(`${under}/chosen-${name}`, { headers })).text();
    const [fetched] = idAt(`chosen-${name}`);
    expect(fetched).toMatch(/^[\da-f-]{36}$/);
    const line = await lineWith(`chosen${under}`);
    if (format === 'json') expect(JSON.parse(line)).toMatchObject({ fetchId: fetched });
  });

  it('cannot be broken out of, and tells no credentials', async () => {
    const headers = {
      'x-request-id': 'odd-1',
      'user-agent': 'a" 200 1 "b\\',
      referer: 'https://user:hidden1@x.example/?session=hidden2&a=1',
    };
    await node.fetch('/Item/a?access_token=hidden3&b=2', { headers });
    const line = await lineWith('odd-1');
    expect(line).not.toMatch(/hidden/);
    expect(line).toMatch(/access_token=-&b=2/);
    if (format === 'combined') {
      expect(line).toContain('"a\\x22 200 1 \\x22b\\x5c"');
      expect(line.match(/(?<!\\)"/g)).toHaveLength(8);
    } else expect(JSON.parse(line)).toMatchObject({ userAgent: 'a" 200 1 "b\\' });
  });

  it('has streamed pages with their length', async () => {
    const headers = { 'x-request-id': 'page-1' };
    const page = await node.fetch('/p/home', { headers });
    await page.text();
    expect(page.headers.get('x-request-id')).toBe('page-1');
    const line = await lineWith('page-1');
    if (format === 'json') expect(JSON.parse(line)).toMatchObject({ status: 200, bytes: 11 });
    else expect(line).toMatch(/" 200 11 "/);
  });

  it('goes on in a new file after SIGHUP', async () => {
    renameSync(file(), `${file()}.1`);
    node.process.kill('SIGHUP');
    await until('the new file', async () => {
      await node.fetch('/Item/a', { headers: { 'x-request-id': 'rotated' } });
      try {
        return lines().some((line) => line.includes('rotated'));
      } catch {
        return false;
      }
    });
  });
});

/** Who may do what on a real node: anonymous clients, rejected ones, the administrator. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN, type NodeProcess, startNode } from '../support/node-process.ts';
import { ENGINES, expectProblem, JSON_BODY, json } from '../support/scenario-apps.ts';

const SCHEMA = `
type Closed @table @export { id: ID @primaryKey, note: String }
type Readable @table @export(public: [read]) { id: ID @primaryKey, note: String }
type Inbox @table @export(public: [insert]) { id: ID @primaryKey, note: String }
type Board @table @export(public: [read, update]) { id: ID @primaryKey, note: String }
type Private @table { id: ID @primaryKey, note: String }
`;
const basic = (username: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`,
});
const AS_ADMIN = basic(ADMIN.username, ADMIN.password);
const CHALLENGE = /^Basic realm="/;

describe.each(ENGINES)('access over %s', (engine) => {
  let node: NodeProcess;
  beforeAll(async () => {
    const env = { MILLRACE_HTTP_ENGINE: engine };
    node = await startNode({ files: { 'schema.graphql': SCHEMA }, env });
    for (const table of ['Closed', 'Readable', 'Inbox', 'Board']) {
      expect((await node.put(`/${table}/a`, { note: table }, AS_ADMIN)).status).toBe(201);
    }
  });
  afterAll(() => node.dispose());

  const send = (method: string, target: string, headers: object = {}, body?: object) =>
    node.fetch(target, {
      method,
      headers: { ...JSON_BODY, ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });

  async function expectUnauthenticated(response: Response): Promise<void> {
    expect(response.headers.get('www-authenticate')).toMatch(CHALLENGE);
    expect(response.headers.get('cache-control')).toContain('private');
    await expectProblem(response, 401, 'AUTHENTICATION_REQUIRED');
  }

  it('shows anonymous clients nothing of a table without `public` [RFC9110 §15.5.2]', async () => {
    for (const target of ['/Closed/a', '/Closed/', '/Closed', '/Closed/?note=x', '/Closed/none']) {
      await expectUnauthenticated(await node.fetch(target));
      expect((await node.fetch(target, { method: 'HEAD' })).status).toBe(401);
    }
    for (const method of ['PUT', 'PATCH', 'DELETE']) {
      await expectUnauthenticated(await send(method, '/Closed/a', {}, { note: 'x' }));
    }
    await expectUnauthenticated(await send('POST', '/Closed/', {}, { note: 'x' }));
    expect(await json(await send('GET', '/Closed/a', AS_ADMIN))).toMatchObject({ note: 'Closed' });
  });

  it('does not serve a table that is not exported, not even to the administrator', async () => {
    await expectProblem(await send('GET', '/Private/a', AS_ADMIN), 404, 'NOT_FOUND');
  });

  it('rejects wrong credentials and counts them, also where anybody may read', async () => {
    const wrong = [
      basic('admin', 'wrong'),
      basic('x', ADMIN.password),
      { authorization: 'Bearer x' },
    ];
    for (const headers of [...wrong, { authorization: 'Basic' }, { authorization: 'nonsense' }]) {
      await expectUnauthenticated(await send('GET', '/Readable/a', headers));
    }
    expect(await node.metric('millrace_auth_failures_total', { method: 'basic' })).toBe(3);
    expect(await node.metric('millrace_auth_failures_total', { method: 'bearer' })).toBe(1);
    expect(await node.metric('millrace_auth_failures_total', { method: 'other' })).toBe(1);
  });

  it('counts wrong credentials on the admin port as well', async () => {
    const before = await node.metric('millrace_auth_failures_total', { method: 'basic' });
    const response = await fetch(`${node.admin}/`, {
      method: 'POST',
      headers: { ...JSON_BODY, ...basic('admin', 'wrong') },
      body: '{"operation":"describe_all"}',
    });
    expect(response.status).toBe(401);
    const after = await node.metric('millrace_auth_failures_total', { method: 'basic' });
    expect(after).toBe(before + 1);
  });

  it('lets the administrator do everything', async () => {
    expect((await send('PUT', '/Readable/b', AS_ADMIN, { note: '1' })).status).toBe(201);
    expect((await send('PATCH', '/Readable/b', AS_ADMIN, { note: '2' })).status).toBe(204);
    expect((await send('POST', '/Readable/', AS_ADMIN, { note: '3' })).status).toBe(201);
    expect(await json(await send('GET', '/Readable/b', AS_ADMIN))).toMatchObject({ note: '2' });
    expect((await send('DELETE', '/Readable/b', AS_ADMIN)).status).toBe(204);
  });

  it('keeps answers to who signed in out of shared caches [RFC9111 §5.2.2.7]', async () => {
    for (const target of ['/Closed/a', '/Closed/', '/Closed', '/Inbox/a']) {
      const { headers, status } = await send('GET', target, AS_ADMIN);
      expect(status).toBe(200);
      expect([target, headers.get('cache-control')]).toEqual([
        target,
        expect.stringContaining('private'),
      ]);
      expect(headers.get('vary')).toContain('authorization');
    }
    // What anybody may read is the same for everybody, and the policy says `public`.
    const open = await send('GET', '/Readable/a', AS_ADMIN);
    expect(open.headers.get('cache-control')).toContain('public');
  });

  it('lets clients who may only insert make records and never touch one', async () => {
    expect((await send('POST', '/Inbox/', {}, { note: 'x' })).status).toBe(201);
    expect((await send('PUT', '/Inbox/new', {}, { note: 'x' })).status).toBe(201);
    for (const method of ['PUT', 'PATCH']) {
      const refused = await send(method, '/Inbox/a', {}, { note: 'no' });
      // The tag of a record is no business of who may not read it.
      expect(refused.headers.get('etag')).toBeNull();
      await expectUnauthenticated(refused);
    }
    await expectUnauthenticated(await node.fetch('/Inbox/a'));
    await expectUnauthenticated(await send('DELETE', '/Inbox/a'));
    expect(await json(await send('GET', '/Inbox/a', AS_ADMIN))).toMatchObject({ note: 'Inbox' });
  });

  it('lets clients who may only update change records and never make one', async () => {
    expect((await send('PUT', '/Board/a', {}, { note: 'new' })).status).toBe(204);
    expect((await send('PATCH', '/Board/a', {}, { note: 'newer' })).status).toBe(204);
    await expectUnauthenticated(await send('PUT', '/Board/b', {}, { note: 'no' }));
    await expectUnauthenticated(await send('PATCH', '/Board/b', {}, { note: 'no' }));
    await expectUnauthenticated(await send('POST', '/Board/', {}, { note: 'no' }));
    const stale = await send('PUT', '/Board/a', { 'if-match': '"old"' }, { note: 'no' });
    await expectProblem(stale, 412, 'PRECONDITION_FAILED');
    await expectProblem(await node.fetch('/Board/b'), 404, 'NOT_FOUND');
  });
});

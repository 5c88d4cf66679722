/**
 * Users, roles, tokens, keys and sessions of a real node: made by operation, used on the app port,
 * worth nothing the moment they are taken back, on every thread and engine.
 */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { ADMIN, type NodeProcess, runCommand, startNode, until } from '../support/node-process.ts';

const FILES = {
  'schema.graphql': `
    type Story @table @export { id: ID @primaryKey title: String desk: String }
    type Page @table @export(public: [read]) { id: ID @primaryKey }`,
  'roles.yaml': 'reader: { tables: { Story: { read: true, subscribe: true } } }\n',
};
const PASSWORD = 'correct horse battery';

const basic = (name: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
});
const bearer = (token: unknown) => ({ authorization: `Bearer ${String(token)}` });
const JSON_TYPE = { 'content-type': 'application/json' };

describe.each([
  { engine: 'uws', threads: '1' },
  { engine: 'uws', threads: '2' },
  { engine: 'node', threads: '1' },
] as const)('signing in on $engine with $threads threads', ({ engine, threads }) => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startNode({
      files: FILES,
      flags: ['--threads', threads],
      env: { MILLRACE_HTTP_ENGINE: engine },
    });
    await node.operate({
      operation: 'add_user',
      username: 'bob',
      password: PASSWORD,
      role: 'reader',
    });
  }, 60_000);
  afterAll(() => node.dispose());

  /** Statuses of several requests at once: they reach every thread. */
  const statuses = async (headers: Record<string, string>): Promise<number[]> => {
    const all = Array.from({ length: 8 }, async () => {
      const response = await node.fetch('/Story/', {
        headers: { ...headers, connection: 'close' },
      });
      await response.arrayBuffer();
      return response.status;
    });
    return [...new Set(await Promise.all(all))].sort();
  };
  const operate = (document: object, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${node.admin}/`, {
      method: 'POST',
      headers: { ...JSON_TYPE, ...headers },
      body: JSON.stringify(document),
    });

  it('lets a user in with a password, and nobody without', async () => {
    expect(await statuses({})).toEqual([401]);
    expect(await statuses(basic('bob', 'wrong horse battery'))).toEqual([401]);
    expect(await statuses(basic('bob', PASSWORD))).toEqual([200]);
  });

  it.runIf(process.platform === 'linux')('hashes in a thread that gives way to all others', () => {
    const tasks = `/proc/${node.process.pid}/task`;
    const niceness = readdirSync(tasks).map((thread) =>
      // The name in parentheses may hold blanks; niceness is field 19 [proc_pid_stat(5)].
      Number(readFileSync(`${tasks}/${thread}/stat`, 'utf8').split(') ')[1]?.split(' ')[16]),
    );
    expect(niceness).toContain(Math.min(19, Math.min(...niceness) + 10));
  });

  it('shows users and roles without passwords, and names what is wrong', async () => {
    const users = await node.operate({ operation: 'list_users' });
    expect(users).toMatchObject([{ username: 'bob', active: true, role: { role: 'reader' } }]);
    expect(JSON.stringify(users)).not.toContain('argon2');
    for (const document of [
      { operation: 'add_user', username: 'eve', password: 'too short' },
      { operation: 'add_user', username: 'a:b', password: PASSWORD },
      { operation: 'add_user', username: 'eve', password: PASSWORD, role: 'none' },
      { operation: 'add_user', username: 'bob', password: PASSWORD },
      { operation: 'alter_user', username: 'nobody', active: false },
      { operation: 'alter_user', username: ADMIN.username, active: false },
    ]) {
      const response = await operate(document, basic(ADMIN.username, ADMIN.password));
      expect([400, 404, 409]).toContain(response.status);
    }
  });

  it('makes tokens that are taken until they are revoked, and refreshes them', async () => {
    const made = await operate({
      ...{ operation: 'create_authentication_tokens', username: 'bob', password: PASSWORD },
    });
    expect(made.status).toBe(200);
    const pair = (await made.json()) as Record<string, string>;
    expect(await statuses(bearer(pair.operation_token))).toEqual([200]);
    expect(await statuses(bearer(pair.refresh_token))).toEqual([401]);
    const refreshed = await operate(
      { operation: 'refresh_operation_token' },
      bearer(pair.refresh_token),
    );
    const { operation_token: second } = (await refreshed.json()) as Record<string, string>;
    expect(await statuses(bearer(second))).toEqual([200]);
    await node.operate({ operation: 'revoke_token', token: second });
    expect(await statuses(bearer(second))).toEqual([401]);
    expect(await statuses(bearer(pair.operation_token))).toEqual([200]);
    await node.operate({ operation: 'revoke_user_tokens', username: 'bob' });
    expect(await statuses(bearer(pair.operation_token))).toEqual([401]);
    const late = await operate({
      ...{ operation: 'refresh_operation_token', refresh_token: pair.refresh_token },
    });
    expect(late.status).toBe(401);
    expect(await statuses(basic('bob', PASSWORD))).toEqual([200]);
  });

  it('publishes the keys of its tokens, and no private part of them', async () => {
    const answer = await node.fetch('/.well-known/millrace/jwks.json');
    const { keys } = (await answer.json()) as { keys: Record<string, string>[] };
    expect(keys).toMatchObject([{ kty: 'OKP', crv: 'Ed25519', alg: 'EdDSA', use: 'sig' }]);
    expect(keys[0]).not.toHaveProperty('d');
  });

  it('makes keys that do no more than their scopes, until they are revoked', async () => {
    await node.operate({
      ...{ operation: 'add_role', role: 'writer' },
      tables: { Story: { read: true, insert: true, update: true } },
    });
    await node.operate({
      ...{ operation: 'add_user', username: 'cms', password: PASSWORD, role: 'writer' },
    });
    const made = await node.operate({
      ...{ operation: 'create_api_key', name: 'ci', username: 'cms', scopes: ['read:Story'] },
    });
    const { key, id } = made as { key: string; id: string };
    expect(await statuses(bearer(key))).toEqual([200]);
    expect((await node.put('/Story/a', { title: 'no' }, bearer(key))).status).toBe(403);
    expect((await node.put('/Story/a', { title: 'yes' }, basic('cms', PASSWORD))).status).toBe(201);
    expect(await statuses(bearer(`${key.slice(0, -2)}xx`))).toEqual([401]);
    expect(JSON.stringify(await node.operate({ operation: 'list_api_keys' }))).not.toContain(
      key.slice(-20),
    );
    await node.operate({ operation: 'revoke_api_key', id });
    expect(await statuses(bearer(key))).toEqual([401]);
  });

  it('signs a browser in by a cookie, which other sites cannot use', async () => {
    const signIn = await node.fetch('/.well-known/millrace/session', {
      method: 'POST',
      headers: JSON_TYPE,
      body: JSON.stringify({ username: 'cms', password: PASSWORD }),
    });
    const cookie = signIn.headers.get('set-cookie') ?? '';
    for (const part of ['HttpOnly', 'Secure', 'SameSite=Strict', 'Path=/', '__Host-']) {
      expect(cookie).toContain(part);
    }
    const own = { cookie: cookie.split(';')[0] ?? '' };
    expect(await statuses(own)).toEqual([200]);
    const put = async (headers: Record<string, string>) =>
      (await node.put('/Story/b', { title: 'x' }, { ...own, ...headers })).status;
    expect(await put({ origin: new URL(node.http).origin })).toBe(201);
    expect(await put({ 'sec-fetch-site': 'same-origin' })).toBe(204);
    expect(await put({})).toBe(403);
    expect(await put({ origin: 'https://evil.example' })).toBe(403);
    expect(await put({ 'sec-fetch-site': 'cross-site' })).toBe(403);
    expect(await put({ 'sec-fetch-site': 'same-site', origin: node.http })).toBe(403);
    const plain = { ...own, origin: node.http, 'content-type': 'text/plain' };
    expect((await node.put('/Story/b', { title: 'x' }, plain)).status).toBe(403);
    const out = await node.fetch('/.well-known/millrace/session', {
      method: 'DELETE',
      headers: own,
    });
    expect(out.headers.get('set-cookie')).toContain('Max-Age=0');
    expect(await statuses(own)).toEqual([401]);
    expect((await node.fetch('/Page/', { headers: own })).status).toBe(200);
  });

  it('ends sockets and streams of who is shut out, and of whose rights change', async () => {
    const socketOf = async (): Promise<{ closed: Promise<number> }> => {
      const socket = new WebSocket(`${node.ws}/Story/`, { headers: basic('bob', PASSWORD) });
      const closed = new Promise<number>((resolve) => socket.once('close', resolve));
      await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
      return { closed };
    };
    const stream = await node.fetch('/Story/', {
      headers: { ...basic('bob', PASSWORD), accept: 'text/event-stream' },
    });
    const ended = stream.text();
    const first = await socketOf();
    const rival = await socketOf();
    await node.operate({ operation: 'alter_user', username: 'bob', role: 'writer' });
    expect(await first.closed).toBe(4003);
    expect(await rival.closed).toBe(4003);
    await ended;
    await node.operate({ operation: 'alter_user', username: 'bob', role: 'reader' });
    const last = await socketOf();
    await node.operate({ operation: 'drop_user', username: 'bob' });
    expect(await last.closed).toBe(4501);
    expect(await statuses(basic('bob', PASSWORD))).toEqual([401]);
  });

  it('answers operations to administrators only', async () => {
    const asUser = basic('cms', PASSWORD);
    expect((await operate({ operation: 'list_users' }, asUser)).status).toBe(403);
    expect((await operate({ operation: 'list_users' })).status).toBe(401);
    const own = await operate({ operation: 'user_info' }, asUser);
    expect(await own.json()).toMatchObject({ username: 'cms' });
    expect((await operate({ operation: 'user_info', username: 'x' }, asUser)).status).toBe(403);
    await node.operate({ operation: 'add_role', role: 'boss', permission: { super_user: true } });
    await node.operate({ operation: 'alter_user', username: 'cms', role: 'boss' });
    expect((await operate({ operation: 'list_users' }, asUser)).status).toBe(200);
  });

  it('does all this from the command line, with passwords from files only', async () => {
    const env = {
      MILLRACE_ADMIN_USERNAME: ADMIN.username,
      MILLRACE_ADMIN_PASSWORD: ADMIN.password,
    };
    const run = (...args: string[]) => runCommand([...args, '--url', node.admin], { env });
    const file = path.join(node.folder, 'password.txt');
    writeFileSync(file, `${PASSWORD}\n`);
    const added = await run('user', 'add', 'cli', '--role', 'reader', '--password-file', file);
    expect(added).toMatchObject({ code: 0, stderr: '' });
    expect(await statuses(basic('cli', PASSWORD))).toEqual([200]);
    const wrong = await run('role', 'add', 'odd', '--tables', '{"Story":{"reed":true}}');
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain('odd.tables.Story.reed');
    expect((await run('user', 'drop', 'cli')).code).toBe(0);
    expect(await statuses(basic('cli', PASSWORD))).toEqual([401]);
  });

  it('slows guessing down on every way in, and counts it', async () => {
    const guess = async () => {
      const response = await node.fetch('/Story/', { headers: basic('victim', 'guess') });
      return { status: response.status, after: response.headers.get('retry-after') };
    };
    await until('guessing to be slowed down', async () => (await guess()).status === 429);
    expect(Number((await guess()).after)).toBeGreaterThan(0);
    const login = await operate({ operation: 'login', username: 'victim', password: 'guess' });
    expect(login.status).toBe(429);
    expect(
      await node.metric('millrace_auth_failures_total', { method: 'sign-in' }),
    ).toBeGreaterThan(0);
    expect(await node.metric('millrace_auth_failures_total', { method: 'basic' })).toBeGreaterThan(
      5,
    );
  });

  it('keeps users and revocations over a restart, and kill -9', async () => {
    expect(await node.stop('SIGKILL')).toBeNull();
    const { folder } = node;
    node = await startNode({
      files: FILES,
      folder,
      flags: ['--threads', threads],
      env: { MILLRACE_HTTP_ENGINE: engine },
    });
    expect(await statuses(basic('cms', PASSWORD))).toEqual([200]);
    expect(await statuses(basic('bob', PASSWORD))).toEqual([401]);
  });
});

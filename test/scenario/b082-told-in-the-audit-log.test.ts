/**
 * What the audit log tells besides sign-ins and operations: what somebody was not granted, on every
 * protocol, once for many tries; purges by URL; and an administrator who acts as somebody lesser by
 * the argument `impersonate` of an operation.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectMqtt } from '../support/mqtt-client.ts';
import { ADMIN, type NodeProcess, runCommand, startNode, until } from '../support/node-process.ts';
import { SocketClient } from '../support/push-node.ts';

const PASSWORD = 'a long and quiet river';
const basic = (name: string, password = PASSWORD) => ({
  authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
});
const JSON_TYPE = { 'content-type': 'application/json' };

interface Told {
  readonly kind: string;
  readonly by?: string;
  readonly protocol?: string;
  readonly what?: string;
  readonly address?: string;
  readonly as?: string;
  readonly table?: string;
  readonly scope?: string;
  readonly operation?: string;
}

describe.each([
  ['uws', 1],
  ['node', 2],
] as const)('the audit log over %s with %s threads', (engine, threads) => {
  const origin = createServer((_, response) => response.end('page'));
  let node: NodeProcess;
  beforeAll(async () => {
    await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', () => resolve()));
    const url = `http://127.0.0.1:${(origin.address() as AddressInfo).port}`;
    node = await startNode({
      files: {
        'schema.graphql':
          'type Story @table @export { id: ID @primaryKey title: String }\n' +
          'type Page @pages(origin: "web", path: "/pages/*")\n',
        'origins/web.yaml': `kind: http\nurl: ${url}\nallowPrivate: true\n`,
        'roles.yaml':
          'reader: { operations: [search_by_id], tables: { Story: { read: true } } }\n' +
          'purger: { tables: { Page: { purge: true } } }\n',
      },
      env: { MILLRACE_HTTP_ENGINE: engine },
      flags: ['--threads', String(threads)],
    });
    for (const role of ['reader', 'purger']) {
      await node.operate({ operation: 'add_user', username: role, password: PASSWORD, role });
    }
  });
  afterAll(async () => {
    await node?.dispose();
    origin.close();
  });

  const read = async (kind: string): Promise<readonly Told[]> => {
    const answer = await node.operate({ operation: 'read_audit_log', kind });
    return (answer as { readonly entries: readonly Told[] }).entries;
  };
  const operate = (headers: Record<string, string>, document: object) =>
    fetch(`${node.admin}/`, {
      method: 'POST',
      headers: { ...JSON_TYPE, ...headers },
      body: JSON.stringify(document),
    });

  it('tells what somebody was not granted, on each protocol, once for many tries', async () => {
    const init = { method: 'PUT', headers: { ...JSON_TYPE, ...basic('reader') }, body: '{}' };
    // Each connection is answered by a thread of the kernel's choice; each tells once.
    for (let i = 0; i < 20; i += 1) expect((await node.fetch('/Story/1', init)).status).toBe(403);
    const client = new SocketClient(`${node.ws}/Story/`, basic('reader'));
    await until('a refusal', () => client.refusedWith !== undefined);
    const mqtt = await connectMqtt(node.mqtt, { username: 'reader', password: PASSWORD });
    const publish = mqtt.client.publishAsync('Story/1', '{}', { qos: 1, retain: true });
    await expect(publish).rejects.toThrow();
    await mqtt.close();
    const purge = await operate(basic('reader'), { operation: 'purge', table: 'Story' });
    expect(purge.status).toBe(403);
    expect((await node.fetch('/Story/1')).status).toBe(401);
    const isWrite = ({ what = '' }: Told) => /may not (insert|update) Story/.test(what);
    // The purge is told of as http, too: the write is waited for by itself.
    const told = await until('all to be told', async () => {
      const now = await read('refused');
      const protocols = now.map(({ protocol }) => protocol);
      const isAll = ['http', 'websocket', 'mqtt'].every((one) => protocols.includes(one));
      return isAll && now.some(isWrite) ? now : undefined;
    });
    expect(new Set(told.map(({ by }) => by))).toEqual(new Set(['reader']));
    const writes = told.filter(isWrite);
    expect(writes.length).toBeGreaterThanOrEqual(1);
    expect(writes.length).toBeLessThanOrEqual(threads);
    expect(writes[0]?.address).toBe('127.0.0.1');
  });

  it('tells purges by URL, with who and from where', async () => {
    const page = `${node.http}/pages/1`;
    await (await fetch(page)).text();
    const purge = async (name: string): Promise<number> => {
      const headers = { ...basic(name), 'x-method-override': 'PURGE' };
      return (await fetch(page, { method: 'POST', headers })).status;
    };
    expect(await purge('reader')).toBe(403);
    expect(await purge('purger')).toBe(200);
    await until('the purge to be told', async () => (await read('purged')).length > 0);
    expect(await read('purged')).toMatchObject([
      { by: 'purger', table: 'Page', scope: 'url', address: '127.0.0.1', protocol: 'http' },
    ]);
  });

  it('tells tokens and keys, those that do not count, and how operations ended', async () => {
    const bearer = (value: string) => ({ authorization: `Bearer ${value}` });
    const made = { operation: 'create_api_key', name: 'ci', username: 'reader' };
    const { key, id } = (await node.operate(made)) as { key: string; id: string };
    expect((await node.fetch('/Story/', { headers: bearer(key) })).status).toBe(200);
    await node.operate({ operation: 'revoke_api_key', id });
    expect((await node.fetch('/Story/', { headers: bearer(key) })).status).toBe(401);
    const asked = { username: 'reader', password: PASSWORD };
    const post = async (document: object) => {
      const init = { method: 'POST', headers: JSON_TYPE, body: JSON.stringify(document) };
      const answer = await node.fetch('/.well-known/millrace/token', init);
      return (await answer.json()) as { operation_token: string; refresh_token: string };
    };
    const { operation_token: token, refresh_token } = await post(asked);
    await post({ refresh_token });
    await post({ refresh_token: token });
    expect((await node.fetch('/Story/', { headers: bearer(token) })).status).toBe(200);
    expect((await node.fetch('/Story/', { headers: bearer(`${token}A`) })).status).toBe(401);
    const admin = basic(ADMIN.username, ADMIN.password);
    expect((await operate(admin, { operation: 'drop_role', role: 'nobody' })).status).toBe(404);
    const by = (kind: string, method: string) => async () =>
      (await read(kind)).some((event) => 'method' in event && event.method === method);
    for (const method of ['key', 'bearer', 'tokens', 'refresh']) {
      await until(`a sign-in by ${method}`, by('signedIn', method));
    }
    for (const method of ['key', 'bearer', 'refresh']) {
      await until(`a refusal of ${method}`, by('signInRefused', method));
    }
    const failed = (await read('operationRun')).find((event) => event.operation === 'drop_role');
    expect(failed).toMatchObject({ by: ADMIN.username, outcome: 'NOT_FOUND' });
    const env = {
      MILLRACE_ADMIN_USERNAME: ADMIN.username,
      MILLRACE_ADMIN_PASSWORD: ADMIN.password,
    };
    const exported = await runCommand(['audit', '--url', node.admin, '--kind', 'signedIn'], {
      env,
    });
    const lines = exported.stdout.trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).kind)).toEqual(lines.map(() => 'signedIn'));
    expect(lines.length).toBe((await read('signedIn')).length);
    for (const secret of [key, token, refresh_token, PASSWORD]) {
      expect(exported.stdout + node.stderr()).not.toContain(secret);
    }
  });

  it('lets an administrator run an operation as somebody lesser, and tells of it', async () => {
    const admin = basic(ADMIN.username, ADMIN.password);
    await node.fetch('/Story/1', {
      method: 'PUT',
      headers: { ...JSON_TYPE, ...admin },
      body: '{"title":"A"}',
    });
    const search = { operation: 'search_by_id', table: 'Story', ids: ['1'] };
    const seen = await operate(admin, { ...search, impersonate: 'user=reader' });
    expect(await seen.json()).toMatchObject([{ id: '1', title: 'A' }]);
    const none = await operate(admin, { ...search, impersonate: 'role=purger' });
    expect(none.status).toBe(403);
    const purge = { operation: 'purge', table: 'Story', impersonate: 'user=reader' };
    expect((await operate(admin, purge)).status).toBe(403);
    expect((await operate(basic('reader'), { ...search, impersonate: 'user=purger' })).status).toBe(
      403,
    );
    expect((await operate({}, { ...search, impersonate: 'user=reader' })).status).toBe(401);
    expect((await operate(admin, { ...search, impersonate: 7 })).status).toBe(400);
    const told = await read('impersonated');
    expect(told.every(({ by }) => by === ADMIN.username)).toBe(true);
    expect(told.length).toBe(3);
  });
});

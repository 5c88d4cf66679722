/** Operations that code adds to the admin port, and the node's own called by code. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ADMIN,
  type NodeProcess,
  runCommand,
  startNode,
  writeApp,
} from '../support/node-process.ts';
import { expectProblem, JSON_BODY, json } from '../support/scenario-apps.ts';

const SCHEMA = `
type Item @table @export(public: [read]) { id: ID @primaryKey, n: Int }
`;
const RESOURCES = `
import { Resource, getUser, server, tables } from 'millrace';
server.operation({
  name: 'fill_items',
  async execute(operation, context) {
    if (operation.count > 3) throw Object.assign(new Error('too many'), { statusCode: 400 });
    for (let n = 0; n < operation.count; n += 1) await tables.Item.put('i' + n, { n });
    if (operation.fail) throw new Error('secret text');
    return { filled: operation.count, by: context.user.username, same: getUser() === context.user };
  },
});
server.operation({
  name: 'ping', needs: 'nothing', execute: (_, { user }) => 'hello ' + user?.username,
});
server.operation({ name: 'inside', needs: 'signedIn', execute: () => ({ ok: true }) });
server.operation({ name: 'hangs', execute: () => new Promise(() => undefined) });
export class Run extends Resource {
  static public = ['insert'];
  static async post(target, body, context) {
    const { authorize = false, ...document } = body;
    return { data: await server.operation(document, context, authorize), status: 200 };
  }
}
`;
const AUTHORIZATION = `Basic ${btoa(`${ADMIN.username}:${ADMIN.password}`)}`;

describe.each(['1', '2'])('operations of an application, with %s threads', (threads) => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startNode({
      files: {
        'schema.graphql': SCHEMA,
        'resources.js': RESOURCES,
        'millrace.yaml': 'limits: { resourceMsMax: 2s, writeQueueAgeMsMax: 60s }\n',
      },
      flags: ['--threads', threads],
    });
  });
  afterAll(() => node?.dispose());
  const post = (url: string, body: object, headers: Record<string, string> = {}) =>
    fetch(url, {
      method: 'POST',
      headers: { ...JSON_BODY, ...headers },
      body: JSON.stringify(body),
    });
  const admin = (body: object) => post(`${node.admin}/`, body, { authorization: AUTHORIZATION });
  const run = (body: object, headers?: Record<string, string>) =>
    post(`${node.http}/Run`, body, headers);

  it('run for the administrator, in one transaction', async () => {
    expect(await json(await admin({ operation: 'fill_items', count: 2 }))).toEqual({
      filled: 2,
      by: ADMIN.username,
      same: true,
    });
    expect(await json(await node.fetch('/Item/i1'))).toEqual({ id: 'i1', n: 1 });
    expect((await admin({ operation: 'fill_items', count: 3, fail: true })).status).toBe(500);
    expect((await node.fetch('/Item/i2')).status).toBe(404);
  });

  it('say what they mean to say, and nothing else, when they fail', async () => {
    const many = await expectProblem(
      await admin({ operation: 'fill_items', count: 9 }),
      400,
      'RESOURCE_REFUSED',
    );
    expect(many.detail).toBe('too many');
    const failed = await admin({ operation: 'fill_items', count: 0, fail: true });
    expect(await failed.text()).not.toContain('secret text');
    await expectProblem(await admin({ operation: 'hangs' }), 504, 'DEADLINE_EXCEEDED');
  });

  it('are open to whom they name, and to nobody else', async () => {
    const url = `${node.admin}/`;
    expect(await json(await post(url, { operation: 'ping' }))).toEqual({
      message: 'hello undefined',
    });
    expect((await post(url, { operation: 'inside' })).status).toBe(401);
    expect((await post(url, { operation: 'fill_items', count: 1 })).status).toBe(401);
    expect(await json(await admin({ operation: 'inside' }))).toEqual({ ok: true });
  });

  it('and those of the node can be called by code, with its rights or the client’s', async () => {
    const search = { operation: 'search_by_id', table: 'Item', ids: ['i0'], get_attributes: ['*'] };
    expect(await json(await run(search))).toEqual([{ id: 'i0', n: 0 }]);
    expect(await json(await run({ operation: 'fill_items', count: 1 }))).toMatchObject({
      filled: 1,
      by: 'application',
    });
    await expectProblem(await run({ operation: 'no_such' }), 400, 'OPERATION_UNKNOWN');
    await expectProblem(await run({ ...search, authorize: true }), 401, 'AUTHENTICATION_REQUIRED');
    const signedIn = await run({ ...search, authorize: true }, { authorization: AUTHORIZATION });
    expect(signedIn.status).toBe(200);
  });
});

describe('an operation that cannot be added', () => {
  const start = async (code: string, command = 'check') => {
    const folder = writeApp({ 'schema.graphql': SCHEMA, 'resources.js': code });
    const ports = command === 'start' ? ['--http-port', '0', '--admin-port', '0'] : [];
    const mqtt = command === 'start' ? ['--mqtt-port', '0'] : [];
    const args = [command, folder, ...ports, ...mqtt];
    return runCommand(args, { env: { NO_COLOR: '1' } });
  };

  it('is refused with its line', async () => {
    const named = await start("server.operation({ name: 'Not A Name', execute() {} });");
    expect([named.code, named.stderr]).toEqual([2, expect.stringContaining('resources.js:1')]);
    const own = await start("server.operation({ name: 'purge', execute() {} });", 'start');
    expect([own.code, own.stderr]).toEqual([2, expect.stringContaining('of the node')]);
  });
});

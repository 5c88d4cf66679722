/**
 * Secrets stay where they belong: a node at its most talkative says none of those it is given, in
 * logs, metrics or answers, whatever is asked of it and however it fails [A10].
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type NodeProcess,
  runCommand,
  startNode,
  until,
  writeApp,
} from '../support/node-process.ts';

const CANARY = {
  admin: 'canary-admin-3f9a1c77d2',
  user: 'canary-user-8be04412aa',
  changed: 'canary-changed-71c3d0e5b9',
  origin: 'canary-origin-c2a98d1f06',
  file: 'canary-file-5d5e90b7c1',
  cluster: 'canary-cluster-0e7fab31d4',
  wrong: 'canary-wrong-99ab27c5f3',
} as const;

/** What begins a variable in YAML, where a template string would take it for its own. */
const D = '$';

const FILES = {
  'schema.graphql': `
    type Story @table @export { id: ID @primaryKey title: String }
    type Remote @table @export(public: [read]) @sourcedFrom(origin: "far", path: "/r/{id}") {
      id: ID @primaryKey }`,
  'origins/far.yaml': [
    'kind: http',
    'url: http://127.0.0.1:1/',
    'allowPrivate: ["127.0.0.1:1"]',
    `headers: { authorization: "Bearer ${D}{env.ORIGIN_TOKEN}", x-key: "${D}{file:secret.txt}" }`,
    '',
  ].join('\n'),
  'secret.txt': `${CANARY.file}\n`,
  'millrace.yaml': `cluster: { token: "${D}{env.CLUSTER_TOKEN}" }\n`,
};
const ENV = {
  MILLRACE_ADMIN_USERNAME: 'root',
  MILLRACE_ADMIN_PASSWORD: CANARY.admin,
  ORIGIN_TOKEN: CANARY.origin,
  CLUSTER_TOKEN: CANARY.cluster,
};

const basic = (name: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
});

describe.each(['1', '2'] as const)('a node at trace level with %s threads', (threads) => {
  let node: NodeProcess;
  const told: string[] = [];
  const secrets: string[] = Object.values(CANARY);
  beforeAll(async () => {
    node = await startNode({
      files: FILES,
      env: ENV,
      flags: ['--log-level', 'trace', '--threads', threads],
    });
  }, 60_000);
  afterAll(() => node.dispose());

  const operate = async (document: object, headers = basic('root', CANARY.admin)) => {
    const response = await fetch(`${node.admin}/`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify(document),
    });
    const text = await response.text();
    return { text, answer: JSON.parse(text) as Record<string, string> };
  };

  it('says none of its secrets, whatever is asked of it', async () => {
    const say = async (document: object) => void told.push((await operate(document)).text);
    await say({ operation: 'add_user', username: 'bob', password: CANARY.user });
    await say({ operation: 'add_user', username: 'bob', password: CANARY.user });
    await say({ operation: 'alter_user', username: 'bob', password: CANARY.changed });
    await say({ operation: 'alter_user', username: 'bob', pasword: CANARY.changed });
    await say({ operation: 'login', username: 'bob', password: CANARY.wrong });
    await say({ operation: 'refresh_operation_token', refresh_token: CANARY.wrong });
    const tokens = await operate({
      ...{ operation: 'create_authentication_tokens', username: 'bob', password: CANARY.changed },
    });
    const { operation_token: token = '', refresh_token: refresh = '' } = tokens.answer;
    const { key = '' } = (await operate({ operation: 'create_api_key', name: 'k' })).answer;
    secrets.push(token, refresh, key);
    for (const headers of [
      basic('bob', CANARY.changed),
      basic('bob', CANARY.wrong),
      { authorization: `Bearer ${token}` },
      { authorization: `Bearer ${key}` },
      { authorization: `Bearer ${CANARY.wrong}` },
      { cookie: `__Host-millrace=${CANARY.wrong}` },
    ]) {
      for (const target of ['/Story/a', '/Remote/a', '/openapi', '/nothing']) {
        const response = await node.fetch(target, { headers });
        told.push(JSON.stringify([...response.headers]), await response.text());
      }
    }
    for (const operation of [
      ...['list_users', 'list_roles', 'list_api_keys', 'user_info', 'describe_all', 'reload'],
      ...['read_audit_log', 'purge_log', 'no_such_operation'],
    ]) {
      await say({ operation });
    }
    told.push(await (await fetch(`${node.admin}/metrics`)).text());
    told.push(await (await fetch(`${node.admin}/health`)).text());
  });

  it('remembers who did what, without the secrets', async () => {
    const entries = await until('the audit log to be written', async () => {
      const { text } = await operate({ operation: 'read_audit_log', limit: 1_000 });
      told.push(text);
      return text.includes('signInRefused') && text.includes('api key') && text;
    });
    for (const kind of ['signedIn', 'signInRefused', 'grantChanged', 'operationRun']) {
      expect(entries).toContain(`"kind":"${kind}"`);
    }
    const mine = (await operate({ operation: 'read_audit_log', by: 'bob', limit: 2 })).answer;
    expect(mine.entries).toHaveLength(2);
    expect(mine.next).toEqual(expect.any(String));
  });

  it('leaves none in the logs, in its arguments, or readable in its data', async () => {
    const list = spawnSync('ps', ['-ww', '-o', 'args=', '-p', String(node.process.pid)]);
    told.push(list.stdout?.toString() ?? '');
    await node.stop();
    told.push(node.stdout(), node.stderr());
    const data = readFileSync(path.join(node.folder, 'data', 'store', 'data.mdb'), 'latin1');
    for (const secret of secrets) {
      expect(secret.length).toBeGreaterThan(20);
      const base64 = Buffer.from(`bob:${secret}`).toString('base64');
      const where = told.filter((text) => text.includes(secret) || text.includes(base64));
      expect(where.map((text) => text.slice(0, 300))).toEqual([]);
      expect(data.includes(secret), `${secret.slice(0, 12)} in the store`).toBe(false);
    }
  });

  it('shows none when its files are wrong', async () => {
    const broken = {
      ...FILES,
      'millrace.yaml': `threads: "${D}{env.ORIGIN_TOKEN_TYPO}"\nhosts: x\n`,
    };
    const { stdout, stderr } = await runCommand(['check', writeApp(broken)], { env: ENV });
    expect(stderr).toContain('ORIGIN_TOKEN_TYPO');
    for (const secret of secrets) expect(stdout + stderr).not.toContain(secret);
  });

  it.each([
    ['millrace.yaml', `threads: "${D}{env.ORIGIN_TOKEN}"\n`],
    ['millrace.yaml', `limits: { urlBytesMax: "${D}{env.ORIGIN_TOKEN}" }\n`],
    ['millrace.yaml', `http: { cors: { origins: ["${D}{file:secret.txt}"] } }\n`],
    ['origins/far.yaml', `kind: "${D}{env.ORIGIN_TOKEN}"\n`],
    ['origins/far.yaml', `kind: http\nurl: "a b:${D}{env.ORIGIN_TOKEN}@x"\n`],
    ['origins/far.yaml', `kind: http\nurl: http://a.test\nheaders: { a: "${D}{env.LINES}" }\n`],
    ['origins/far.yaml', `kind: http\nurl: http://a.test\nretries: "x${D}{file:secret.txt}"\n`],
  ])('names the variable, not what it holds, where it is wrong in %s: %s', async (name, text) => {
    const env = { ...ENV, LINES: `${CANARY.origin}\nx` };
    const app = writeApp({ ...FILES, [name]: text });
    const { code, stdout, stderr } = await runCommand(['check', app], { env });
    expect(code).toBe(2);
    expect(stderr).toMatch(/\$\{(?:env\.|file:)/);
    for (const secret of secrets) expect(stdout + stderr).not.toContain(secret);
  });
});

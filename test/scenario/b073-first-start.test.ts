/**
 * The first start of a node that nobody has configured: nothing is open, one link makes the first
 * administrator, and what is loosened is said.
 */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN, type NodeProcess, startNode, until } from '../support/node-process.ts';
import { rawStatus, sendRaw } from '../support/raw-http.ts';

const FILES = {
  'schema.graphql': 'type Story @table @export { id: ID @primaryKey title: String }',
};
const PASSWORD = 'correct horse battery';
/** As if nothing was set. */
const NOBODY = { MILLRACE_ADMIN_USERNAME: '', MILLRACE_ADMIN_PASSWORD: '' };

const operate = (node: NodeProcess, document: object): Promise<Response> =>
  fetch(`${node.admin}/`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(document),
  });

const tokenOf = (node: NodeProcess): Promise<string> =>
  until('the setup link', () => /\/setup#([\w-]+)/.exec(node.stderr())?.[1]);

describe.each(['uws', 'node'] as const)('a first start on %s', (engine) => {
  const env = { ...NOBODY, MILLRACE_HTTP_ENGINE: engine };
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startNode({ files: FILES, env });
  });
  afterAll(() => node.dispose());

  it('knows nobody: no name and password is right, on either port', async () => {
    for (const credentials of ['admin:admin', 'HDB_ADMIN:password', 'admin:', ':', 'dev:dev']) {
      const authorization = `Basic ${Buffer.from(credentials).toString('base64')}`;
      expect((await node.fetch('/Story/', { headers: { authorization } })).status).toBe(401);
    }
    expect((await operate(node, { operation: 'list_users' })).status).toBe(401);
    expect(await node.metric('millrace_insecure_settings')).toBe(0);
    expect(node.stderr()).not.toContain('INSECURE');
  });

  it('keeps the token in a file that only its own user can read', async () => {
    const file = path.join(node.folder, 'data', 'keys', 'setup-token');
    expect(readFileSync(file, 'utf8').trim()).toBe(await tokenOf(node));
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(path.dirname(file)).mode & 0o777).toBe(0o700);
    expect(statSync(path.join(node.folder, 'data')).mode & 0o777).toBe(0o700);
  });

  it('is called by its own name only', async () => {
    const { port } = new URL(node.admin);
    const asked = async (host: string) =>
      rawStatus(await sendRaw(node.admin, `GET /setup HTTP/1.1\r\nHost: ${host}\r\n`));
    expect(await asked('attacker.example')).toBe(421);
    expect(await asked(`127.0.0.1.attacker.example:${port}`)).toBe(421);
    expect(await asked(`localhost:${port}`)).toBe(200);
  });

  it('serves a page that runs its own script only, and makes one administrator', async () => {
    const page = await fetch(`${node.admin}/setup`);
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(await page.text()).toContain('Set up this Millrace node');
    const document = { operation: 'setup', username: 'ann', password: PASSWORD };
    expect((await operate(node, { ...document, token: 'wrong' })).status).toBe(401);
    // As curl sends it when it is told of no type.
    const untyped = await fetch(`${node.admin}/`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: JSON.stringify({ ...document, token: 'wrong' }),
    });
    expect([untyped.status, await untyped.text()]).toEqual([
      415,
      expect.stringContaining('content-type: application/json'),
    ]);
    const token = await tokenOf(node);
    const short = await operate(node, { ...document, token, password: 'short' });
    expect(short.status).toBe(400);
    const both = await Promise.all([
      operate(node, { ...document, token }),
      operate(node, { ...document, token, username: 'eve' }),
    ]);
    expect(both.map(({ status }) => status).sort()).toEqual([200, 401]);
    expect((await fetch(`${node.admin}/setup`)).status).toBe(404);
    expect((await operate(node, { ...document, token })).status).toBe(401);
  });

  it('asks for no setup once there is an administrator', async () => {
    await node.stop();
    node = await startNode({ files: FILES, folder: node.folder, env });
    expect(node.stderr()).not.toContain('/setup#');
    expect((await fetch(`${node.admin}/setup`)).status).toBe(404);
  });
});

describe('a start', () => {
  const nodes: NodeProcess[] = [];
  const start = async (options: Parameters<typeof startNode>[0]): Promise<NodeProcess> => {
    const node = await startNode(options);
    nodes.push(node);
    return node;
  };
  afterEach(async () => {
    for (const node of nodes.splice(0)) await node.dispose();
  });

  it('says and counts every default of safety that is loosened', async () => {
    const node = await start({
      files: {
        ...FILES,
        'millrace.yaml': `
host: 0.0.0.0
mqtt: { requireAuthentication: false }
http: { cors: { origins: ["*"] }, allowedOrigins: ["*"], trustedProxies: ["0.0.0.0/0"] }
auth:
  issuers:
    - { name: a, issuer: a.test, audience: here, keys: "http://a.test/keys", allowPrivate: true }
`,
        'origins/inner.yaml': 'kind: http\nurl: http://10.0.0.1\nallowPrivate: true\n',
      },
    });
    const lines = node
      .stderr()
      .split('\n')
      .filter((line) => line.startsWith('INSECURE: '));
    expect(lines).toHaveLength(9);
    // Open to all addresses, the port shows its metrics to administrators only.
    expect((await fetch(`${node.admin}/metrics`)).status).toBe(401);
    const authorization = `Basic ${btoa(`${ADMIN.username}:${ADMIN.password}`)}`;
    const metrics = await fetch(`${node.admin}/metrics`, { headers: { authorization } });
    expect(await metrics.text()).toContain('millrace_insecure_settings 9');
  });

  it('takes name and password of the administrator from files', async () => {
    const folder = await start({ files: FILES });
    await folder.stop();
    const file = (name: string, text: string): string => {
      writeFileSync(path.join(folder.folder, name), text);
      return path.join(folder.folder, name);
    };
    const node = await start({
      files: FILES,
      folder: folder.folder,
      env: {
        ...NOBODY,
        MILLRACE_ADMIN_USERNAME_FILE: file('name', 'filed\n'),
        MILLRACE_ADMIN_PASSWORD_FILE: file('password', `${PASSWORD}\n`),
      },
    });
    const authorization = `Basic ${Buffer.from(`filed:${PASSWORD}`).toString('base64')}`;
    expect((await node.fetch('/Story/', { headers: { authorization } })).status).toBe(200);
  });
});

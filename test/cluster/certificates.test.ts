/** A cluster that is founded, joined and run by the command line, with certificates alone. */
import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { CLUSTER_APP } from '../support/cluster-app.ts';
import {
  ADMIN,
  type NodeProcess,
  runCommand,
  startNode,
  until,
  writeApp,
} from '../support/node-process.ts';

const nodes: NodeProcess[] = [];
afterAll(() => Promise.all(nodes.map((node) => node.dispose())));

const start = async (folder: string, name: string, peer?: string): Promise<NodeProcess> => {
  const flags = ['--node-name', name, ...(peer === undefined ? [] : ['--peer', peer])];
  const node = await startNode({ files: CLUSTER_APP, folder, flags });
  nodes.push(node);
  return node;
};

const cluster = (command: string, folder: string, ...args: readonly string[]) =>
  runCommand(['cluster', command, ...args, folder, '--data', path.join(folder, 'data')]);

const isConnected = async (node: NodeProcess): Promise<boolean> => {
  const { connections } = await node.operate({ operation: 'cluster_status' });
  return (connections as { connected: boolean }[]).some(({ connected }) => connected);
};

/** Without a restart of anybody: cut off by its serial number, and believed again. */
async function revoked(one: NodeProcess, first: string, second: string): Promise<void> {
  const settings = path.join(first, 'millrace.yaml');
  const reload = () => one.operate({ operation: 'reload' });
  const pem = readFileSync(path.join(second, 'data/cluster/node.pem'));
  const { serialNumber } = new X509Certificate(pem);
  writeFileSync(settings, `cluster: { revoked: ["${serialNumber}"] }\n`);
  const report = await reload();
  expect(JSON.stringify(report)).toContain(`certificates revoked: ${serialNumber}`);
  await until('the end of the connection', async () => !(await isConnected(one)));
  // It goes on dialling, and is turned away.
  await until('a refusal', async () => {
    const labels = { reason: 'certificate' };
    return (await one.metric('millrace_replication_refused_total', labels)) > 0;
  });
  expect(await isConnected(one)).toBe(false);
  writeFileSync(settings, 'cluster: { revoked: [] }\n');
  await reload();
  await until('a connection', () => isConnected(one), 30_000);
  // What is no certificate is refused as a whole, and the old one stays.
  writeFileSync(path.join(first, 'data/cluster/node.pem'), 'no certificate');
  expect(await reload()).toMatchObject({ outcome: 'refused' });
  expect(await isConnected(one)).toBe(true);
  await one.put('/Item/b', { name: 'still' });
}

/** `cluster top` looks as often as it is told, and says of what it needs. */
async function isWatched({ admin }: NodeProcess): Promise<void> {
  const top = (...flags: string[]) =>
    runCommand(['cluster', 'top', '--url', admin, ...flags], {
      env: { MILLRACE_ADMIN_USERNAME: ADMIN.username, MILLRACE_ADMIN_PASSWORD: ADMIN.password },
    });
  const { code, stdout } = await top('--every', '0.05', '--count', '2');
  expect([code, stdout.match(/^n2: caught up, at \d+/gm)?.length]).toEqual([0, 2]);
  expect(stdout).toMatch(/, \d+ changes\/s\nNODE +STATE.*\nn1 +live +\d/);
  const json = await top('--json', '--count', '1');
  expect(JSON.parse(json.stdout)).toMatchObject({ node_name: 'n2', is_enabled: true });
  const wrong = await top('--every', 'often');
  expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('--every often')]);
}

describe('millrace cluster', () => {
  it('founds a cluster, admits a node by a token good once, and connects them', async () => {
    const [first, second, third] = [CLUSTER_APP, CLUSTER_APP, CLUSTER_APP].map((app) =>
      writeApp(app),
    );
    if (first === undefined || second === undefined || third === undefined)
      throw new Error('three');
    const founded = await cluster('init', first, '--node-name', 'n1');
    const token = /millrace-join\.\S+/.exec(founded.stdout)?.[0] ?? '';
    const one = await start(first, 'n1');
    expect(one.replication).toMatch(/^wss:/);
    const joined = await cluster('join', second, one.replication, token, '--node-name', 'n2');
    expect({ code: joined.code, err: joined.stderr }).toEqual({ code: 0, err: '' });
    const again = await cluster('join', third, one.replication, token, '--node-name', 'n3');
    expect(again.code).toBe(1);
    expect(again.stderr).toContain('join token');
    const two = await start(second, 'n2', one.replication);
    await one.put('/Item/a', { name: 'over TLS' });
    await until('the row', async () => (await two.fetch('/Item/a')).ok);
    const status = await runCommand(['cluster', 'status', '--url', two.admin], {
      env: { MILLRACE_ADMIN_USERNAME: 'admin', MILLRACE_ADMIN_PASSWORD: 'correct horse battery' },
    });
    expect(status.stdout).toContain('peer     n1: live');
    await isWatched(two);
    await revoked(one, first, second);
  }, 180_000);
});

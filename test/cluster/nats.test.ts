/**
 * Nodes that reach one another over a NATS server only: they find each other, hold the same, and
 * lose nothing when the server is killed, and when what it kept is lost with it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { connect } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLUSTER_APP } from '../support/cluster-app.ts';
import {
  type NodeProcess,
  runCommand,
  startNode,
  until,
  writeApp,
} from '../support/node-process.ts';
import { freePort } from '../support/ports.ts';

const SERVER = '/usr/sbin/nats-server';
const isMissing = !existsSync(SERVER);
const TOKEN = 'a token that all nodes share';
const NAMES = ['n1', 'n2', 'n3.example'];

describe.skipIf(isMissing)(
  `nodes over a NATS server${isMissing ? ' (nats-server is not installed)' : ''}`,
  () => {
    let port = 0;
    let server: ChildProcess | undefined;
    const nodes: NodeProcess[] = [];
    const url = () => `nats://u:p@127.0.0.1:${port}`;

    async function startServer(): Promise<void> {
      const flags = ['-a', '127.0.0.1', '-p', String(port), '--user', 'u', '--pass', 'p'];
      server = spawn(SERVER, flags, { stdio: 'ignore' });
      const client = await until('the server', () =>
        connect({ servers: `127.0.0.1:${port}`, user: 'u', pass: 'p' }).catch(() => undefined),
      );
      await client.close();
    }
    async function killServer(): Promise<void> {
      const ended = new Promise((resolve) => server?.once('close', resolve));
      server?.kill('SIGKILL');
      await ended;
      server = undefined;
    }
    const start = (name: string, token = TOKEN): Promise<NodeProcess> =>
      startNode({
        files: CLUSTER_APP,
        flags: ['--node-name', name, '--cluster-token', token, '--nats', url()],
      });
    const rows = (node: NodeProcess) => node.fetch('/Item/').then((answer) => answer.text());
    const areSame = (least: number) =>
      until(`${least} equal rows everywhere`, async () => {
        const [first = '', ...others] = await Promise.all(nodes.map(rows));
        const count = (JSON.parse(first) as unknown[]).length;
        return count >= least && others.every((other) => other === first);
      });
    const areConnected = (value: number) =>
      until(`${value} connections of each node`, async () => {
        const all = nodes.flatMap((node, index) => {
          const others = NAMES.filter((_, other) => other !== index);
          return [others.map((peer) => node.metric('millrace_replication_connected', { peer }))];
        });
        const counts = await Promise.all(all.map((each) => Promise.all(each)));
        return counts.every((each) => each.reduce((sum, one) => sum + one, 0) === value);
      });

    beforeAll(async () => {
      port = await freePort();
      await startServer();
      for (const name of NAMES) nodes.push(await start(name));
    });
    afterAll(async () => {
      await Promise.all(nodes.map((node) => node.dispose()));
      if (server !== undefined) await killServer();
    });

    it('find each other and hold the same', async () => {
      await areConnected(NAMES.length - 1);
      for (const [index, node] of nodes.entries()) {
        expect((await node.put(`/Item/from-${index}`, { count: index })).status).toBe(201);
      }
      await areSame(3);
      // More than one piece, and more than one window.
      const name = 'x'.repeat(60_000);
      await Promise.all(
        Array.from({ length: 100 }, (_, index) => nodes[0]?.put(`/Item/large-${index}`, { name })),
      );
      await areSame(103);
    });

    it('go on alone while the server is away, and lose nothing of it', async () => {
      await killServer();
      await areConnected(0);
      for (const [index, node] of nodes.entries()) {
        expect((await node.put(`/Item/alone-${index}`, { count: index })).status).toBe(201);
      }
      await startServer();
      await areConnected(NAMES.length - 1);
      await areSame(106);
    });

    it('are strangers to a node with another token', async () => {
      const stranger = await start('stranger', 'a token of another cluster');
      try {
        await stranger.put('/Item/strange', { count: 1 });
        await nodes[0]?.put('/Item/known', { count: 1 });
        await areSame(107);
        expect(await rows(stranger)).not.toContain('known');
        expect(await rows(nodes[1] as NodeProcess)).not.toContain('strange');
      } finally {
        await stranger.dispose();
      }
    });

    it('need something by which they know one another', async () => {
      const folder = writeApp(CLUSTER_APP);
      const { code, stderr } = await runCommand(['start', folder, '--nats', url()]);
      expect(code).not.toBe(0);
      expect(stderr).toMatch(/cluster\.nats\.url is set, but nothing.*--cluster-token/s);
    });
  },
);

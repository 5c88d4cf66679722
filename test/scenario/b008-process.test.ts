/**
 * A node as a process: what it prints, where its settings come from, what keeps it from starting.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import {
  type NodeOptions,
  type NodeProcess,
  runCommand,
  startNode,
  writeApp,
} from '../support/node-process.ts';
import { freePort, takenPort } from '../support/ports.ts';
import { ENGINES, json } from '../support/scenario-apps.ts';

const SCHEMA = 'type Item @table @export(public: [read, insert, update]) { id: ID @primaryKey }\n';
const FILES = { 'schema.graphql': SCHEMA };

const nodes: NodeProcess[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.dispose();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

async function start(options: Partial<NodeOptions> = {}): Promise<NodeProcess> {
  const node = await startNode({ files: FILES, ...options });
  nodes.push(node);
  return node;
}

function app(files: Readonly<Record<string, string>> = FILES): string {
  const folder = writeApp(files);
  folders.push(folder);
  return folder;
}

const jsonLines = (text: string) =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe('the ready line', () => {
  it.each(ENGINES)(
    'is the one line on standard output of a node on %s, flat, and true',
    async (engine) => {
      const node = await start({ env: { MILLRACE_HTTP_ENGINE: engine } });
      const lines = jsonLines(node.stdout());
      expect(lines).toEqual([
        { msg: 'ready', http: node.http, admin: node.admin, mqtt: node.mqtt },
      ]);
      expect(node.mqtt).toMatch(/^mqtt:\/\/127\.0\.0\.1:[1-9]\d*$/);
      expect(node.http).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
      expect(await json(await node.fetch('/Item/'))).toEqual([]);
      expect((await fetch(`${node.admin}/health/ready`)).status).toBe(200);
      expect(await node.stop()).toBe(0);
      expect(jsonLines(node.stdout())).toEqual(lines);
    },
  );
});

describe('settings', () => {
  it('come from flags before the environment before the file', async () => {
    const [fromFile, fromEnv, fromFlag, admin] = await Promise.all([
      ...[freePort(), freePort(), freePort(), freePort()],
    ]);
    const files = {
      ...FILES,
      'millrace.yaml': `http: { port: ${fromFile} }\nadmin: { port: ${admin} }\n`,
    };
    const own = { files, ownPorts: true } as const;
    const bound: string[] = [];
    const env = { MILLRACE_HTTP_PORT: String(fromEnv) };
    for (const more of [{}, { env }, { env, flags: ['--http-port', String(fromFlag)] }]) {
      const node = await start({ ...own, ...more });
      bound.push(node.http);
      await node.stop();
    }
    const expected = [fromFile, fromEnv, fromFlag].map((port) => `http://127.0.0.1:${port}`);
    expect(bound).toEqual(expected);
  });

  it('take the last of a flag that is repeated', async () => {
    const [first, last] = await Promise.all([freePort(), freePort()]);
    const flags = ['--http-port', String(first), '--http-port', String(last)];
    expect((await start({ flags })).http).toBe(`http://127.0.0.1:${last}`);
  });
});

describe('a start that cannot succeed', () => {
  it.each([
    ['--http-port', 1],
    ['--admin-port', 1],
    ['--http-port', 2],
  ])('ends with 1 and names the port when %s is taken, with %i threads', async (flag, threads) => {
    const taken = await takenPort();
    const others = ['--http-port', '0', '--admin-port', '0', '--threads', String(threads)];
    const run = await runCommand(['start', app(), ...others, flag, String(taken.port)]);
    await taken.close();
    expect([run.code, run.stdout]).toEqual([1, '']);
    expect(run.stderr).toContain(`${taken.port}`);
    expect(run.stderr).toMatch(/stop it or choose another port/);
    expect(run.stderr).not.toMatch(/\n\s+at /);
  });

  it('waits for a data folder that another node holds, then ends with 1', async () => {
    const holder = await start();
    const data = path.join(holder.folder, 'data');
    const ports = ['--http-port', '0', '--admin-port', '0'];
    const before = performance.now();
    const run = await runCommand(['start', holder.folder, ...ports, '--data', data]);
    expect(performance.now() - before).toBeGreaterThan(4_500);
    expect([run.code, run.stdout]).toEqual([1, '']);
    expect(run.stderr).toContain(data);
    expect(run.stderr).toContain(String(holder.process.pid));
    expect(await json(await holder.fetch('/Item/'))).toEqual([]);
  });

  it('starts as soon as the holder of the data folder has gone', async () => {
    const holder = await start();
    await holder.put('/Item/kept', {});
    const next = start({ folder: holder.folder });
    expect(await holder.stop()).toBe(0);
    expect(await json(await (await next).fetch('/Item/kept'))).toEqual({ id: 'kept' });
  });

  it('leaves a data folder of a newer format alone and names both formats', async () => {
    const folder = app();
    const data = path.join(folder, 'data');
    mkdirSync(data);
    writeFileSync(path.join(data, 'FORMAT'), '99\n');
    const ports = ['--http-port', '0', '--admin-port', '0'];
    const run = await runCommand(['start', folder, ...ports, '--data', data]);
    expect([run.code, run.stdout]).toEqual([1, '']);
    expect(run.stderr).toMatch(/format 99.*up to 1/);
  });
});

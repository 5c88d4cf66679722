/** `millrace dev`: an application under the hands of its author. */
import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NodeProcess, startNode, until, writeApp } from '../support/node-process.ts';

const table = (name: string) =>
  `type ${name} @table @export(public: [read, insert, update]) { id: ID @primaryKey }\n`;

/** Listens there; `undefined` when it is not free. */
const takePort = (port: number): Promise<Server | undefined> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => resolve(server));
  });

describe('millrace dev', () => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startNode({ command: 'dev', files: { 'schema.graphql': table('First') } });
    expect((await node.put('/First/kept', {})).status).toBe(201);
  });
  afterAll(() => node.dispose());

  const save = (schema: string) => writeApp({ 'schema.graphql': schema }, node.folder);
  const status = (target: string): Promise<number> =>
    node.fetch(target).then(
      (response) => response.status,
      () => 0,
    );
  const answers = (target: string, wanted: number) =>
    until(`${wanted} at ${target}`, async () => (await status(target)) === wanted);

  it('says the verdict of every request in a line', async () => {
    await status('/First/kept');
    await until('the verdict', () => /GET \/First\/kept 200 .*hit/.test(node.stdout()));
  });

  it('serves a table soon after it was declared, at the same address, with what it held', async () => {
    expect(await status('/Second/')).toBe(404);
    save(table('First') + table('Second'));
    await answers('/Second/', 200);
    expect(await status('/First/kept')).toBe(200);
  });

  it('starts as soon as a port is free that somebody took while it was started again', async () => {
    const { port } = new URL(node.http);
    let saved = 0;
    const change = () => {
      saved += 1;
      save(`${table('First')}${table('Taken')}# ${saved}\n`);
    };
    change();
    const other = await until('the port to be taken', async () => {
      const taken = await takePort(Number(port));
      // A busy test may have come too late.
      if (taken === undefined && (await status('/Taken/')) === 200) change();
      return taken;
    });
    await until('a start that fails', () => node.stderr().includes('is tried again'));
    other.close();
    await answers('/Taken/', 200);
    expect(await status('/First/kept')).toBe(200);
  });

  it('survives a schema that is broken, says where, and recovers when it is mended', async () => {
    save(`${table('First')}type Third @tabel { id: ID }\n`);
    await until('the problem', () => node.stderr().includes('schema.graphql:2:'));
    expect(node.process.exitCode).toBeNull();
    save(table('First') + table('Third'));
    await answers('/Third/', 200);
    expect(await status('/First/kept')).toBe(200);
  });

  it('ends with 0 when it is told to', async () => {
    expect(await node.stop()).toBe(0);
    expect(await status('/First/kept')).toBe(0);
  });
});

/**
 * A node that is about to run out of something, over the wire: memory, descriptors, the turns of an
 * event loop. It refuses before it dies, and what stands still is ended and started again.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ADMIN, startNode, until, writeApp } from '../support/node-process.ts';
import { headOf, RawConnection } from '../support/raw-connection.ts';

const SCHEMA = `
type Item @table @export(public: [read, insert, update, subscribe]) {
  id: ID @primaryKey
}
`;
const SPIN = `
import { Resource } from 'millrace';
export class Spin extends Resource {
  static loadAsInstance = false;
  allowRead() { return true; }
  get() { for (;;) { /* for ever */ } }
}
`;
const ENTRY = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

const ENGINES = ['uws', 'node'] as const;

describe.each(ENGINES)('a node on the %s engine', (engine) => {
  it('sheds with 503 while memory is short, and stays open to its operator', async () => {
    const node = await startNode({
      files: { 'schema.graphql': SCHEMA, 'millrace.yaml': 'limits: { memoryBytesMax: 32MiB }\n' },
      env: { MILLRACE_HTTP_ENGINE: engine },
    });
    const level = () => node.metric('millrace_memory_pressure');
    await until('the pressure to be seen', async () => (await level()) === 3);
    const answer = new RawConnection(node.http);
    answer.send(`${headOf('GET /Item/')}\r\n`);
    await until('an answer', () => answer.statuses.length > 0 || answer.ended);
    expect(answer.statuses[0]).toBe(503);
    expect(answer.text).toMatch(/^retry-after: [1-9]/im);
    expect(answer.text).toContain('memoryBytesMax');
    answer.destroy();
    expect(await node.metric('millrace_limits_hit_total', { limit: 'memoryBytesMax' })).toBe(1);
    await node.dispose();
  });

  it('turns clients away when descriptors run short, and takes them again', async () => {
    const folder = writeApp({ 'schema.graphql': SCHEMA });
    const ports = '--http-port 0 --admin-port 0 --mqtt-port 0';
    const start = `ulimit -n 256; exec '${process.execPath}' '${ENTRY}' start '${folder}' ${ports}`;
    const env = { ...process.env, MILLRACE_HTTP_ENGINE: engine, ...adminEnv };
    const child = spawn('bash', ['-c', start], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const { http, admin } = await ready(child.stdout);
    const crowd = Array.from({ length: 320 }, () => new RawConnection(http));
    await until('the shortage', async () => {
      const refused = crowd.filter((one) => one.ended).length;
      return refused > 60 || (await pauses(admin)) > 0;
    });
    expect((await fetch(`${admin}/health`)).status).toBe(200);
    for (const one of crowd) one.destroy();
    await until('an answer', async () => {
      const response = await fetch(`${http}/Item/`).catch(() => undefined);
      return response?.status === 200;
    });
    expect(child.exitCode).toBeNull();
    child.kill('SIGKILL');
  });
});

describe.concurrent.each([1, 2])('an event loop that stands still, with %d threads', (threads) => {
  it('ends the process with its stack, and is started again', { timeout: 150_000 }, async () => {
    const folder = writeApp({ 'schema.graphql': SCHEMA, 'resources/spin.js': SPIN });
    const ports = ['--http-port', '0', '--admin-port', '0', '--mqtt-port', '0'];
    const args = [ENTRY, 'start', '--supervise', folder, '--threads', String(threads), ...ports];
    const env = { ...process.env, ...adminEnv };
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let stderr = '';
    let stdout = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    onTestFinished(async () => {
      if (child.exitCode === null) child.kill('SIGTERM');
      await until('the end', () => child.exitCode !== null);
    });
    const starts = () => stdout.split('\n').filter((line) => line.includes('"ready"'));
    await until('the start', () => starts().length === 1);
    const { http } = JSON.parse(starts()[0] ?? '{}') as { http: string };
    const spin = new RawConnection(http);
    spin.send(`${headOf('GET /Spin/1')}\r\n`);
    await until('the end to be told', () => stderr.includes('stood still'), 60_000);
    expect(stderr).toMatch(/"stack":\["get /);
    await until('the second start', () => starts().length === 2, 60_000);
    const again = JSON.parse(starts()[1] ?? '{}') as { http: string };
    expect((await fetch(`${again.http}/Item/`)).status).toBe(200);
  });
});

const adminEnv = {
  MILLRACE_ADMIN_USERNAME: ADMIN.username,
  MILLRACE_ADMIN_PASSWORD: ADMIN.password,
};

async function ready(out: NodeJS.ReadableStream): Promise<{ http: string; admin: string }> {
  let text = '';
  out.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
  });
  return until('the ready line', () => {
    const line = text.split('\n').find((one) => one.includes('"ready"'));
    return line === undefined ? undefined : (JSON.parse(line) as { http: string; admin: string });
  });
}

async function pauses(admin: string): Promise<number> {
  const text = await (await fetch(`${admin}/metrics`)).text().catch(() => '');
  return Number(/millrace_accept_pauses_total (\d+)/.exec(text)?.[1] ?? 0);
}

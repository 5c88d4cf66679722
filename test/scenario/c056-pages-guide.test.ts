/**
 * The guide to pages, executed: its files are the application, every command in it is run in its
 * order, and prints what the guide says; once with a renderer of its own, once with one that the
 * node runs.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ADMIN, type NodeProcess, startNode, until } from '../support/node-process.ts';
import { freePort } from '../support/ports.ts';

const GUIDE = readFileSync(fileURLToPath(new URL('../../docs/pages.md', import.meta.url)), 'utf8');
const CREDENTIALS = Buffer.from(`${ADMIN.username}:${ADMIN.password}`).toString('base64');

const blocks = [...GUIDE.matchAll(/^```(\w+)\n(.*?)^```/gms)].map(([, language, text = '']) => ({
  language,
  text,
}));

/** `[name, text]` of the blocks that begin with the name of a file. */
const files = blocks.flatMap(({ text }) => {
  const name = /^(?:#|\/\/) (\S+\.\w+)\n/.exec(text)?.[1];
  return name === undefined ? [] : [[name, text] as const];
});

interface Command {
  readonly line: string;
  readonly prints: readonly string[];
}

const commands: Command[] = blocks
  .filter(({ language }) => language === 'sh')
  .flatMap(({ text }) => text.split(/^(?=curl )/m))
  .map((text) => {
    const [line = '', ...rest] = text.trim().split('\n');
    return { line, prints: rest.map((one) => one.replace(/^# /, '')) };
  });

/** Seconds that are left are not known beforehand. */
const timeless = (text: string): string =>
  text.replace(/ttl=-?\d+/, (ttl) => (ttl.startsWith('ttl=-') ? 'ttl=-N' : 'ttl=N'));

describe.each(['beside the node', 'run by the node'])(
  'the guide to pages, renderer %s',
  (where) => {
    let node: NodeProcess;
    let renderer: ChildProcess | undefined;

    beforeAll(async () => {
      const port = String(await freePort());
      const isRun = where.startsWith('run');
      const chosen = Object.fromEntries(isRun ? files : [...files].reverse());
      const app = Object.fromEntries(
        Object.entries(chosen).map(([name, text]) => [
          name,
          name.startsWith('origins/') ? text.replaceAll('3000', port) : text,
        ]),
      );
      node = await startNode({ files: app });
      if (isRun) return;
      const script = path.join(node.folder, 'renderer.mjs');
      renderer = spawn(process.execPath, [script], { env: { ...process.env, PORT: port } });
      await until('the renderer', async () => {
        return fetch(`http://127.0.0.1:${port}/`).then(
          (response) => response.ok,
          () => false,
        );
      });
    });
    afterAll(async () => {
      await node.dispose();
      renderer?.kill('SIGKILL');
    });

    async function printed(line: string): Promise<string[]> {
      const [, port, target = ''] = /http:\/\/localhost:(\d+)([^\s']*)/.exec(line) ?? [];
      const body = /-d '([^']*)'/.exec(line)?.[1];
      const headers = [...line.matchAll(/-H '([^:]+): ([^']*)'/g)].map(
        ([, name = '', value = '']) => [name, value] as [string, string],
      );
      if (line.includes(' -u ')) headers.push(['authorization', `Basic ${CREDENTIALS}`]);
      const base = port === '9925' ? node.admin : node.http;
      const method = /-X (\w+)/.exec(line)?.[1] ?? (body === undefined ? 'GET' : 'POST');
      const response = await fetch(`${base}${target}`, { method, headers, body: body ?? null });
      const text = (await response.text()).replaceAll(new URL(node.http).host, 'localhost:9926');
      const lines = [...response.headers].map(([name, value]) => `${name}: ${timeless(value)}`);
      return [`HTTP/1.1 ${response.status}`, ...lines, text.trim()];
    }

    it('has commands to run', () => {
      expect(commands.filter(({ prints }) => prints.length > 0).length).toBeGreaterThan(10);
    });

    it.each(commands)('prints what it says: $line', async ({ line, prints }) => {
      const told = prints.map((one) => timeless(one).replace(/^(HTTP\/1.1 \d+).*/, '$1'));
      // A page can be read from the store a moment after its answer.
      await vi.waitFor(
        async () => {
          expect(await printed(line)).toEqual(expect.arrayContaining(told));
        },
        { timeout: 20_000, interval: 50 },
      );
    });
  },
);

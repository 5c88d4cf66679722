/**
 * The guide to access, executed: its files are the application, and every command in it, in its
 * order, prints what the guide says. What is misspelled in the roles is named by `millrace check`.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ADMIN,
  type NodeProcess,
  runCommand,
  startNode,
  writeApp,
} from '../support/node-process.ts';

const GUIDE = readFileSync(fileURLToPath(new URL('../../docs/access.md', import.meta.url)), 'utf8');
const CREDENTIALS = Buffer.from(`${ADMIN.username}:${ADMIN.password}`).toString('base64');

const blocks = [...GUIDE.matchAll(/^```(\w+)\n(.*?)^```/gms)].map(([, language, text = '']) => ({
  language,
  text,
}));
const files = Object.fromEntries(
  blocks.flatMap(({ text }) => {
    const name = /^# (\S+\.\w+)\n/.exec(text)?.[1];
    return name === undefined ? [] : [[name, text] as const];
  }),
);
const commands = blocks
  .filter(({ language }) => language === 'sh')
  .flatMap(({ text }) => text.split(/^(?=curl )/m))
  .map((text) => {
    const [line = '', ...rest] = text.trim().split('\n');
    return { line, prints: rest.map((one) => one.replace(/^# /, '')) };
  });

describe('the guide to access', () => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startNode({ files });
  });
  afterAll(() => node.dispose());

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
    return [`HTTP/1.1 ${response.status}`, (await response.text()).trim()];
  }

  it('has commands to run', () => {
    expect(commands.length).toBeGreaterThan(10);
    expect(commands.every(({ prints }) => prints.length > 0)).toBe(true);
  });

  it.each(commands)('prints what it says: $line', async ({ line, prints }) => {
    expect(await printed(line)).toEqual(expect.arrayContaining(prints));
  });

  it('has what is misspelled named with its line and the nearest name', async () => {
    const roles = (files['roles.yaml'] ?? '')
      .replace('level=le=1', 'levle=le=1')
      .replace('delete: true', 'delte: true')
      .replace('notes: { update: false', 'note: { update: false')
      .replace('search_by_value', 'search_by_valu');
    const folder = writeApp({ ...files, 'roles.yaml': roles });
    const { code, stdout, stderr } = await runCommand(['check', folder]);
    const told = `${stdout}${stderr}`;
    expect(code).not.toBe(0);
    for (const place of ['7:15', '10:16', '16:7', '19:21']) expect(told).toContain(`yaml:${place}`);
    for (const near of ['level', 'delete', 'notes', 'search_by_value']) {
      expect(told).toContain(`did you mean ${near}?`);
    }
  });
});

/**
 * The guide to signing in, executed: a node runs its application, each `curl` line is sent as it is
 * printed, and answers what the guide says. `OPERATION_TOKEN`, `KEY` and the like stand for what an
 * answer before has brought.
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ADMIN,
  type NodeProcess,
  runCommand,
  startNode,
  writeApp,
} from '../support/node-process.ts';

const GUIDE = readFileSync(new URL('../../docs/signing-in.md', import.meta.url), 'utf8');

function blocks(language: string): readonly string[] {
  const fence = new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms');
  return [...GUIDE.matchAll(fence)].map(([, text = '']) => text);
}

const yaml = (name: string): string =>
  blocks('yaml').find((text) => text.startsWith(`# ${name}`)) ?? '';
const FILES = { 'schema.graphql': blocks('graphql').join('\n'), 'roles.yaml': yaml('roles.yaml') };

const commands = blocks('sh').flatMap((text) =>
  [...text.matchAll(/^(curl .*)\n# (.*)$/gm)].map(([, line = '', prints = '']) => ({
    line,
    prints,
  })),
);

/** The words of a command line, quotes taken off. */
const words = (line: string): readonly string[] =>
  [...line.matchAll(/(?:'[^']*'|[^\s'])+/g)].map(([word]) => word.replaceAll("'", ''));

const pattern = (printed: string): RegExp => {
  const parts = printed.split('…').map((part) => part.replace(/[^\w ]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 's');
};

describe('the guide to signing in', () => {
  let node: NodeProcess;
  const brought = new Map<string, string>();
  beforeAll(async () => {
    node = await startNode({ files: FILES });
  });
  afterAll(() => node.dispose());

  const send = (line: string): Promise<Response> => {
    const filled = line.replace(/\b[A-Z]+(?:_[A-Z]+)*\b/g, (name) => brought.get(name) ?? name);
    const headers = new Headers();
    let method: string | undefined;
    let body: string | undefined;
    let url = '';
    const rest = [...words(filled).slice(1)];
    for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
      if (word === '-u') headers.set('authorization', `Basic ${btoa(rest.shift() ?? '')}`);
      else if (word === '-H') {
        const [name = '', value = ''] = (rest.shift() ?? '').split(': ');
        headers.set(name, value);
      } else if (word === '-X') method = rest.shift();
      else if (word === '-d') body = rest.shift();
      else url = word;
    }
    const { pathname, port, search } = new URL(url);
    const base = port === '9925' ? node.admin : node.http;
    const sent = method ?? (body === undefined ? 'GET' : 'POST');
    return fetch(base + pathname + search, { method: sent, headers, body: body ?? null });
  };

  it('prints what a node answers, from the first command to the last', async () => {
    expect(ADMIN).toEqual({ username: 'admin', password: 'correct horse battery' });
    expect(commands.length).toBeGreaterThan(10);
    for (const { line, prints } of commands) {
      const response = await send(line);
      const text = await response.text();
      if (prints.startsWith('HTTP/1.1 ')) expect(`HTTP/1.1 ${response.status}`, line).toBe(prints);
      else expect(text, line).toMatch(pattern(prints));
      if (!text.startsWith('{')) continue;
      for (const [name, value] of Object.entries(JSON.parse(text) as Record<string, unknown>)) {
        if (typeof value === 'string') brought.set(name.toUpperCase(), value);
      }
    }
  });

  it('shows settings that `check` takes', async () => {
    const folder = writeApp({ ...FILES, 'millrace.yaml': yaml('millrace.yaml') });
    const { code, stderr } = await runCommand(['check', folder]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
  });
});
